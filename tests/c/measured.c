/* The kernels' exponential and logarithm for one instruction set and dtype: FSM_ISA, FSM_REAL_BITS and, as the file
   of its words, FSM_TEST_WORDS are given. */
#include FSM_TEST_WORDS

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "job.h"
/* In the order in which kernel/template.h has them. */
#include "kernel/wide.h"
#include "kernel/sums.h"
#include "kernel/exponential.h"
#include "measured.h"

#define JOIN_(isa, name, bits) fsm_##isa##_##name##_float##bits
#define JOIN(isa, name, bits) JOIN_(isa, name, bits)
#define FSM_NAME(name) JOIN(FSM_ISA, name, FSM_REAL_BITS)

#if FSM_REAL_BITS == 32
extern measured_exp32 FSM_NAME(measured_exp);
#else
extern measured_exp64 FSM_NAME(measured_exp);
#endif
extern measured_log1p FSM_NAME(measured_log1p);
extern const double FSM_NAME(measured_scale);

const double FSM_NAME(measured_scale) = POWER_FACTOR / ROOM;

void FSM_NAME(measured_exp)(const real *x, size_t count, real maximum, real *e, double *power, double *rest) {
    const struct shifts shifts = find_shifts(w_set1(maximum), w_set1(maximum));
    for (size_t i = 0; i < count; i += LANES) {
        const size_t lanes = count - i < LANES ? count - i : LANES;
        const struct exponential one = shifted_exp(w_load_tail(x + i, lanes, maximum), &shifts);
        real powers[LANES], rests[LANES];
        w_store_tail(e + i, lanes, one.e);
        w_store(powers, one.power);
        w_store(rests, one.rest);
        for (size_t j = 0; j < lanes; j++) power[i + j] = powers[j], rest[i + j] = rests[j];
    }
}

void FSM_NAME(measured_log1p)(const double *hi, const double *lo, size_t count, double *result) {
    for (size_t i = 0; i < count; i++) result[i] = sum_log1p((struct fsm_sum){hi[i], lo[i]});
}
