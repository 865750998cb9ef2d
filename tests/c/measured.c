/* One of the kernels' own files, named by FSM_TEST_KERNEL, and doors to what is inside. */
#include FSM_TEST_KERNEL

#include "measured.h"

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
