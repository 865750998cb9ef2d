/* The exponential, shifted in its exponent.

   With n = round(x log2 e) and r = x - n ln 2, e^x = 2^n e^r. Softmax does not change when a row's exponentials
   share a factor, so instead of the maximum M its integer N = round(M log2 e) is subtracted, from n: between
   integers that rounds nothing, where x - M in floating point is wrong by up to |x - M| units of roundoff.
   e^r comes from a polynomial 1 + r + r^2 q(r), minimax for the relative error on |r| <= ln 2 / 2:
   2^-28.2 in float32, 2^-57.9 in float64. */

/* What each row's maximum says of its exponentials: e^x is taken as 2^(HEADROOM - N) e^(x - shift). */
struct row_shifts {
    real shift[LANES];      /* M where |M| is too large for n to be exact, else 0 */
    real floor[LANES];      /* below it (relative to shift) the exponential is 0 */
    real_bits bits[LANES];  /* HEADROOM - N plus the exponent's bias */
    double exponent[LANES]; /* N */
};

struct wide_shift {
    wide shift, floor, bits;
};

/* x - M is exact wherever it matters once |M| > LARGEST_UNSHIFTED: x is then within a factor of two of M, or a
   multiple of a unit that leaves the difference few enough bits. A maximum that is not finite, whose
   row becomes NaN anyway, is treated as 0. */
static inline void find_shifts(const real *maxima, size_t rows, struct row_shifts *s) {
    const double round_to_integer = 0x1.8p52;
    for (size_t i = 0; i < rows; i++) {
        double m = if_finite(maxima[i], maxima[i], 0);
        int shifted = fabs(m) > (double)LARGEST_UNSHIFTED;
        double n = shifted ? 0 : (m * 0x1.71547652b82fep+0 + round_to_integer) - round_to_integer;
        s->exponent[i] = n;
        s->shift[i] = (real)(shifted ? m : 0);
        s->bits[i] = (real_bits)(int32_t)(HEADROOM + EXPONENT_BIAS - n);
        s->floor[i] = (real)((n - (HEADROOM + EXPONENT_BIAS)) * 0x1.62e42fefa39efp-1);
    }
}

static ALWAYS_INLINE wide polynomial(wide r, wide r2) {
#if FSM_REAL_BITS == 32
    (void)r2;
    wide q = w_set1(0x1.6ac74cp-10f);
    q = w_fma(q, r, w_set1(0x1.123dep-7f));
    q = w_fma(q, r, w_set1(0x1.555858p-5f));
    q = w_fma(q, r, w_set1(0x1.55548cp-3f));
    return w_fma(q, r, w_set1(0x1.fffffcp-2f));
#else
    wide r4 = w_mul(r2, r2);
    wide q01 = w_fma(w_set1(0x1.55555555554ffp-3), r, w_set1(0x1.000000000000ap-1));
    wide q23 = w_fma(w_set1(0x1.1111111126714p-7), r, w_set1(0x1.55555555506bp-5));
    wide q45 = w_fma(w_set1(0x1.a01a013159295p-13), r, w_set1(0x1.6c16c1847a77p-10));
    wide q67 = w_fma(w_set1(0x1.71df15c1f8947p-19), r, w_set1(0x1.a0199954f7c0bp-16));
    wide q89 = w_fma(w_set1(0x1.ad97f1b362d8p-26), r, w_set1(0x1.28ae0631254e8p-22));
    wide q03 = w_fma(q23, r2, q01), q47 = w_fma(q67, r2, q45);
    return w_fma(w_fma(q89, r4, q47), r4, q03);
#endif
}

/* The shifted exponential of each lane; *residual is what its last rounding took from it. NaN stays NaN.

   1 + r is kept with its rounding error until the polynomial's share is added, so that the result is wrong by that
   last rounding and r's own, at most a quarter of a unit of roundoff: 1.25 units in all, 0.25 with the residual. */
static ALWAYS_INLINE wide shifted_exp(wide x, const struct wide_shift *s, wide *residual) {
    x = w_max(s->floor, w_sub(x, s->shift));
    wide rounded = w_fma(x, w_set1(LOG2E), w_set1(ROUND_TO_INTEGER));
    wide n = w_sub(rounded, w_set1(ROUND_TO_INTEGER));
    wide r = w_reduce(x, n);
    wide r2 = w_mul(r, r);
    wide curve = w_mul(r2, polynomial(r, r2));
    wide scale = w_pow2(rounded, s->bits);
    wide line = w_fma(r, scale, scale);
    wide small = w_fma(curve, scale, w_fma(r, scale, w_sub(scale, line)));
    wide e = w_add(line, small);
    *residual = w_sub(small, w_sub(e, line));
    return e;
}
