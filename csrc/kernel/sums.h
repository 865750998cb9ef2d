/* Numbers kept to twice the precision as unevaluated sums of two float64, and what a row's end needs of them.

   Nothing here branches, so that the compiler can do all rows of a block at once. */

#include <float.h>
#include <math.h>
#include <string.h>

#include "../two_sum.h"

/* Infinities and NaN stay as they are; an error term would make NaN of both. */
static ALWAYS_INLINE double if_finite(double x, double yes, double no) { return fabs(x) <= DBL_MAX ? yes : no; }

static ALWAYS_INLINE double double_from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static ALWAYS_INLINE uint64_t bits_of_double(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static ALWAYS_INLINE double sum_value(struct fsm_sum a) { return a.hi + a.lo; }
static ALWAYS_INLINE struct fsm_sum sum_negative(struct fsm_sum a) { return (struct fsm_sum){-a.hi, -a.lo}; }
static ALWAYS_INLINE struct fsm_sum sum_either(int first, struct fsm_sum a, struct fsm_sum b) {
    return (struct fsm_sum){first ? a.hi : b.hi, first ? a.lo : b.lo};
}

#if FSM_REAL_BITS == 32

/* float64 is twice the precision: lo is 0 throughout. */
static ALWAYS_INLINE struct fsm_sum sum_of(double hi, double lo) { return (struct fsm_sum){hi + lo, 0}; }
static ALWAYS_INLINE struct fsm_sum sum_plus(struct fsm_sum a, struct fsm_sum b) {
    return (struct fsm_sum){a.hi + b.hi, 0};
}
static ALWAYS_INLINE struct fsm_sum sum_product(struct fsm_sum a, struct fsm_sum b) {
    return (struct fsm_sum){a.hi * b.hi, 0};
}
static ALWAYS_INLINE struct fsm_sum sum_ratio(struct fsm_sum a, struct fsm_sum b, double inverse) {
    (void)b;
    return (struct fsm_sum){a.hi * inverse, 0};
}

#else

/* What a * b, rounded to `product`, left out. */
static ALWAYS_INLINE double product_error(double a, double b, double product) {
#if HAS_FUSED_MULTIPLY_ADD
    return fma(a, b, -product);
#else
    double a_hi = double_from_bits(bits_of_double(a) & (uint64_t)UPPER_HALF);
    double b_hi = double_from_bits(bits_of_double(b) & (uint64_t)UPPER_HALF);
    double a_lo = a - a_hi, b_lo = b - b_hi;
    return ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo;
#endif
}

static ALWAYS_INLINE struct fsm_sum sum_of(double hi, double lo) {
    double sum = hi + lo;
    return (struct fsm_sum){sum, if_finite(sum, fsm_sum_error(hi, lo, sum), 0)};
}

static ALWAYS_INLINE struct fsm_sum sum_plus(struct fsm_sum a, struct fsm_sum b) {
    double sum = a.hi + b.hi;
    return sum_of(sum, if_finite(sum, fsm_sum_error(a.hi, b.hi, sum) + (a.lo + b.lo), 0));
}

static ALWAYS_INLINE struct fsm_sum sum_product(struct fsm_sum a, struct fsm_sum b) {
    double product = a.hi * b.hi;
    double error = product_error(a.hi, b.hi, product) + (a.hi * b.lo + a.lo * b.hi);
    return sum_of(product, if_finite(product, error, 0));
}

/* a / b, given 1 / b.hi, whose rounding is made good by what is left. */
static ALWAYS_INLINE struct fsm_sum sum_ratio(struct fsm_sum a, struct fsm_sum b, double inverse) {
    double quotient = a.hi * inverse, product = quotient * b.hi;
    double rest = (a.hi - product) - product_error(quotient, b.hi, product);
    return sum_of(quotient, if_finite(quotient, (rest + (a.lo - quotient * b.lo)) * inverse, 0));
}

#endif

static ALWAYS_INLINE struct fsm_sum sum_quotient(struct fsm_sum a, struct fsm_sum b) {
    return sum_ratio(a, b, 1 / b.hi);
}

static ALWAYS_INLINE struct fsm_sum sum_times(struct fsm_sum a, double b) {
    return sum_product(a, (struct fsm_sum){b, 0});
}

/* log(1 + a) for a >= 0.

   u = 1 + a is 2^k m with m within a factor of sqrt 2 of 1, and log m = f - (f^2 / 2 - s (f^2 / 2 + z R(z))) with f =
   m - 1, s = f / (2 + f) and z = s^2: the series of 2 artanh s, but that f itself, exact, stands apart. R is minimax,
   to 2^-59 of the logarithm. What u's rounding left out of 1 + a is added as a tangent, times 1 / u: in float32 only
   near 1, where alone it is seen there, in float64 with 1 / m = (1 - s) / (1 + s) = (1 - s)(1 - s + s^2 - ...), which
   is exact at 1, and wrong by a 90th of a unit of roundoff elsewhere. */
static ALWAYS_INLINE double sum_log1p(struct fsm_sum a) {
    const uint64_t root_of_half = 0x3fe6a09e667f3bcd, two_to_52 = 0x4330000000000000;
    double u = 1 + a.hi, left_out = fsm_sum_error(1, a.hi, u) + a.lo;
    uint64_t bits = bits_of_double(u), exponent = (bits - root_of_half) >> 52;
    double k = double_from_bits(exponent | two_to_52) - 0x1p52;
    double f = double_from_bits(bits - (exponent << 52)) - 1;
    double s = f / (2 + f), z = s * s, z2 = z * z;
    double even = (0x1.2f0bc36828acdp-3 * z2 + 0x1.74664537fbd72p-3) * z2 + 0x1.24924942190e9p-2;
    double odd = (0x1.39a118e58a77bp-3 * z2 + 0x1.c71c51ea109a2p-3) * z2 + 0x1.999999997fab3p-2;
    double r = (even * z + odd) * z + 0x1.5555555555593p-1;
#if FSM_REAL_BITS == 32
    double tangent = u < 2 ? left_out : 0;
#else
    double one_over_2_to_k = double_from_bits(bits_of_double(1) - (exponent << 52));
    double tangent = left_out * one_over_2_to_k * ((1 - s) * ((1 - s) + z));
#endif
    double half_square = 0.5 * f * f;
    double curve = s * (half_square + z * r) + (k * -0x1.8432a1b0e2p-43 + tangent);
    double result = k * 0x1.62e42fefa4p-1 + (f - (half_square - curve));
    return if_finite(a.hi, result, a.hi);
}

/* One such number a row. */
struct row_sums {
    double hi[LANES], lo[LANES];
};

static ALWAYS_INLINE struct fsm_sum row_sum(const struct row_sums *sums, size_t row) {
    return (struct fsm_sum){sums->hi[row], sums->lo[row]};
}
static ALWAYS_INLINE void set_row_sum(struct row_sums *sums, size_t row, struct fsm_sum sum) {
    sums->hi[row] = sum.hi;
    sums->lo[row] = sum.lo;
}

/* Adds up LANES rows of `width` sums hi + lo each, in halves, into the first row; rows from `used` on are 0 and
   are not read. The order is the same for a row along the lanes (width 1) and for rows across them (width
   LANES), and so are the bits. In float32 there is no lo. */
static NEVER_INLINE void fold_sums(double *restrict hi, double *restrict lo, size_t width, size_t used,
                                   struct row_sums *restrict totals) {
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        if (half >= used) continue;
        size_t both = used - half < half ? used - half : half;
        for (size_t i = 0; i < both * width; i++) {
            double a = hi[i], b = hi[i + half * width], sum = a + b;
            hi[i] = sum;
#if FSM_REAL_BITS == 64
            lo[i] = (lo[i] + lo[i + half * width]) + fsm_sum_error(a, b, sum);
#endif
        }
        used = half;
    }
    for (size_t i = 0; i < width; i++) {
#if FSM_REAL_BITS == 32
        (void)lo;
        set_row_sum(totals, i, sum_of(hi[i], 0));
#else
        set_row_sum(totals, i, sum_of(hi[i], if_finite(hi[i], lo[i], 0)));
#endif
    }
}
