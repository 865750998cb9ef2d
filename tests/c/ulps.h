/* Errors in units in the last place (ulp), collected over many results. */
#ifndef FSM_TEST_ULPS_H
#define FSM_TEST_ULPS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "exact.h"

struct errors {
    /* What an error is measured with is wrong by less than this, in ulp: so near to one half it does not say whether
       a result is the nearest number. */
    double doubt;
    uint64_t count, not_nearest, digest;
    double worst, at;
    int is_wrong; /* a result was NaN */
};

/* The error of the result at x, in ulp, in 113 bits. */
typedef double exact_error(double x, double result);

/* Of float32 for a value that float64 holds well enough, and of float64 for one that long double does. */
static inline double float32_ulp(double value) {
    const double magnitude = fabs(value);
    uint64_t bits;
    if (magnitude < 0x1p-126) return 0x1p-149;
    memcpy(&bits, &magnitude, sizeof bits);
    bits = (bits & 0x7ff0000000000000u) - ((uint64_t)23 << 52);
    double ulp;
    memcpy(&ulp, &bits, sizeof ulp);
    return ulp;
}
static inline long double float64_ulp(long double value) {
    int exponent;
    (void)frexpl(value, &exponent);
    return ldexpl(1, exponent - 53 < -1074 ? -1074 : exponent - 53);
}
static inline exact exact_ulp(exact value, int digits, int bottom) {
    const int exponent = value == 0 ? bottom : exact_exponent(value) - digits;
    return exact_ldexp(1, exponent < bottom ? bottom : exponent);
}

/* `error` in ulp for each of the results; `decide` where the digits leave in doubt which number is the nearest, which
   is not counted without it. */
void note_errors(struct errors *e, const double *x, const double *result, const double *error, size_t count,
                 exact_error *decide);

#endif
