/* Numbers kept to twice the precision as unevaluated sums of two float64, and what a row's end needs of them. */

#include <math.h>

#include "../two_sum.h"

/* What a * b, rounded to `product`, left out. */
static inline double product_error(double a, double b, double product) {
#if HAS_FUSED_MULTIPLY_ADD
    return fma(a, b, -product);
#else
    double a_big = a * 0x1.0000002p27, b_big = b * 0x1.0000002p27;
    double a_hi = a_big - (a_big - a), b_hi = b_big - (b_big - b);
    double a_lo = a - a_hi, b_lo = b - b_hi;
    return ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo;
#endif
}

static inline double sum_value(struct fsm_sum a) { return a.hi + a.lo; }

static inline struct fsm_sum sum_of(double hi, double lo) {
    double sum = hi + lo;
    /* Infinities and NaN stay as they are; an error term would make NaN of both. */
    return (struct fsm_sum){sum, isfinite(sum) ? fsm_sum_error(hi, lo, sum) : 0};
}

static inline struct fsm_sum sum_plus(struct fsm_sum a, struct fsm_sum b) {
    double sum = a.hi + b.hi;
    if (!isfinite(sum)) return (struct fsm_sum){sum, 0};
    return sum_of(sum, fsm_sum_error(a.hi, b.hi, sum) + (a.lo + b.lo));
}

static inline struct fsm_sum sum_negative(struct fsm_sum a) { return (struct fsm_sum){-a.hi, -a.lo}; }

static inline struct fsm_sum sum_times(struct fsm_sum a, double b) {
    double product = a.hi * b;
    if (!isfinite(product)) return (struct fsm_sum){product, 0};
    return sum_of(product, product_error(a.hi, b, product) + a.lo * b);
}

static inline struct fsm_sum sum_product(struct fsm_sum a, struct fsm_sum b) {
    double product = a.hi * b.hi;
    if (!isfinite(product)) return (struct fsm_sum){product, 0};
    return sum_of(product, product_error(a.hi, b.hi, product) + (a.hi * b.lo + a.lo * b.hi));
}

static inline struct fsm_sum sum_quotient(struct fsm_sum a, struct fsm_sum b) {
    double quotient = a.hi / b.hi;
    if (!isfinite(quotient)) return (struct fsm_sum){quotient, 0};
    double product = quotient * b.hi;
    double rest = (a.hi - product) - product_error(quotient, b.hi, product);
    return sum_of(quotient, (rest + (a.lo - quotient * b.lo)) / b.hi);
}

/* Adds up LANES rows of `width` sums hi + lo each, in halves, into the first row; rows from `used` on are 0 and
   are not read. The order is the same for a row along the lanes (width 1) and for rows across them (width
   LANES), and so are the bits. */
static inline void fold_sums(double *hi, double *lo, size_t width, size_t used, struct fsm_sum *totals) {
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        if (half >= used) continue;
        size_t both = used - half < half ? used - half : half;
        for (size_t i = 0; i < both * width; i++) {
            double a = hi[i], b = hi[i + half * width], sum = a + b;
            hi[i] = sum;
#if FSM_REAL_BITS == 32
            /* float64 has bits to spare here, and the residuals' own rounding is far below them. */
            lo[i] += lo[i + half * width];
#else
            lo[i] = (lo[i] + lo[i + half * width]) + fsm_sum_error(a, b, sum);
#endif
        }
        used = half;
    }
    for (size_t i = 0; i < width; i++)
        totals[i] = isfinite(hi[i]) ? sum_of(hi[i], lo[i]) : (struct fsm_sum){hi[i], 0};
}

/* log(1 + a). */
static inline double sum_log1p(struct fsm_sum a) { return log1p(a.hi) + (isfinite(a.hi) ? a.lo / (1 + a.hi) : 0); }
