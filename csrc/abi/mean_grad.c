#include "mean_grad.h"

#include <math.h>
#include <stdlib.h>

#include "kernel/halves.h"

size_t fsm_storage_bytes(enum fsm_storage storage) {
    return storage == FSM_FLOAT64 ? sizeof(double) : storage == FSM_FLOAT32 ? sizeof(float) : sizeof(uint16_t);
}

double *fsm_open_mean_grad(const struct fsm_job *job, void *mean_grad, double *small) {
    if (job->storage == FSM_FLOAT64) return mean_grad;
    return job->classes <= FSM_SMALL_MEAN_GRAD ? small : malloc(job->classes * sizeof(double));
}

/* To float32 with an odd last bit wherever it is not exact: rounding that to fewer bits, to nearest, gives what
   rounding the number itself does (S. Boldo, G. Melquiond, "Emulation of FMA and correctly rounded sums: proved
   algorithms using rounding to odd", IEEE Transactions on Computers 57(4), 2008). */
static float round_to_odd(double x) {
    const float nearest = (float)x;
    const uint32_t bits = bits_of_float(nearest);
    if ((double)nearest == x || (bits & 1) || isnan(x) || isinf(x)) return nearest;
    return nextafterf(nearest, (double)nearest < x ? INFINITY : -INFINITY);
}

void fsm_close_mean_grad(const struct fsm_job *job, void *mean_grad, double *sums, double *small, int valid) {
    for (size_t k = 0; valid && sums != mean_grad && k < job->classes; k++) {
        if (job->storage == FSM_FLOAT32)
            ((float *)mean_grad)[k] = (float)sums[k];
        else if (job->storage == FSM_FLOAT16)
            ((uint16_t *)mean_grad)[k] = float16_from_float(round_to_odd(sums[k]));
        else
            ((uint16_t *)mean_grad)[k] = bfloat16_from_float(round_to_odd(sums[k]));
    }
    if (sums != mean_grad && sums != small) free(sums);
}
