/* What the kernels compute inside, by itself: the exponential and the logarithm of each instruction set. */
#ifndef FSM_TEST_MEASURED_H
#define FSM_TEST_MEASURED_H

#include <stddef.h>

/* The exponentials of `count` numbers in a row whose maximum is as given, times 2^-N with N = round(maximum log2 e),
   or e^-maximum where that is what the kernel subtracts, and times the kernel's scale: e, rounded, and power + rest,
   not rounded. */
typedef void measured_exp32(const float *x, size_t count, float maximum, float *e, double *power, double *rest);
typedef void measured_exp64(const double *x, size_t count, double maximum, double *e, double *power, double *rest);
/* log(1 + hi + lo). */
typedef void measured_log1p(const double *hi, const double *lo, size_t count, double *result);

struct measured {
    const char *name;
    int (*supported)(void);
    measured_exp32 *exp32;
    measured_exp64 *exp64;
    const double *scale32, *scale64;
    measured_log1p *log1p32, *log1p64; /* as the kernels of float32 have it, and as those of float64 do */
};

/* In the order of fsm_instruction_set_at. */
const struct measured *measured_at(size_t instruction_set);

#endif
