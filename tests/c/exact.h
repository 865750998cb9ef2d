/* The reference's own number type: 113 bits of significand, on AArch64 as long double, on x86-64 as __float128 with
   the functions that glibc's libm has for it. They are declared here since math.h shows them to gcc alone. */
#ifndef FSM_TEST_EXACT_H
#define FSM_TEST_EXACT_H

#include <float.h>
#include <math.h>

#if LDBL_MANT_DIG == 113
typedef long double exact;
#define EXACT_FUNCTION(name) name##l
#else
typedef __float128 exact;
#define EXACT_FUNCTION(name) name##f128
extern exact expf128(exact x);
extern exact log1pf128(exact x);
extern exact frexpf128(exact x, int *exponent);
extern exact ldexpf128(exact x, int exponent);
#endif

static inline exact exact_exp(exact x) { return EXACT_FUNCTION(exp)(x); }
static inline exact exact_log1p(exact x) { return EXACT_FUNCTION(log1p)(x); }
static inline exact exact_ldexp(exact x, int exponent) { return EXACT_FUNCTION(ldexp)(x, exponent); }
static inline exact exact_abs(exact x) { return x < 0 ? -x : x; }
static inline exact exact_max(exact a, exact b) { return a > b ? a : b; }
static inline int exact_is_nan(exact x) { return x != x; }
static inline int exact_is_infinite(exact x) { return exact_abs(x) == (exact)INFINITY; }

/* e with 2^(e - 1) <= |x| < 2^e, for a finite x other than 0. */
static inline int exact_exponent(exact x) {
    int exponent;
    (void)EXACT_FUNCTION(frexp)(x, &exponent);
    return exponent;
}

#endif
