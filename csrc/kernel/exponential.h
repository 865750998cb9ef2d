/* The exponential, shifted in its exponent.

   With n = round(x POWER_STEPS log2 e) and r = x - n ln 2 / POWER_STEPS, e^x = 2^(n / POWER_STEPS) e^r. Softmax does
   not change when a row's exponentials share a factor, so instead of the maximum M an integer, N = round(M log2 e), is
   subtracted, from n / POWER_STEPS: between integers that rounds nothing, where x - M in floating point is wrong by up
   to |x - M| units of roundoff. The power of two comes from a table for its fraction and as an exponent for the rest;
   e^r - 1 from a polynomial r + r^2 q(r), minimax for the relative error of e^r: 2^-32.4 for |r| <= ln 2 / 16 in
   float32, 2^-57.6 for |r| <= ln 2 / 8 in float64. */

/* What each row's maximum says of its exponentials: e^x is taken as 2^(HEADROOM - N) e^(x - shift), times
   POWER_FACTOR. */
struct row_shifts {
    real shift[LANES];      /* M where |M| is too large for n to be exact, else 0 */
    real floor[LANES];      /* below it (relative to shift) the exponential is 0 */
    real round[LANES];      /* ROUND_TO_INTEGER, and in its low bits HEADROOM - N and the exponent's bias in steps */
    real grid[LANES];       /* what sums of exponentials start from; see exponential_sums.h */
    double exponent[LANES]; /* N */
};

struct wide_shift {
    wide shift, floor, round, grid;
};

/* Adding and subtracting it rounds a float64 to an integer. */
#define ROUND_DOUBLE 0x1.8p52

/* A row's grid: 3/2 of a power of two, so large that a segment's exponentials, none of which is larger than that of
   `largest`, do not take a sum that starts from it to another exponent. */
static inline double grid_for(double largest, double n) {
    double exponent = (largest * 0x1.71547652b82fep+0 + ROUND_DOUBLE) - ROUND_DOUBLE - n + HEADROOM;
    exponent = exponent > SMALLEST_GRID ? exponent : SMALLEST_GRID; /* of NaN too */
    exponent = exponent < HEADROOM ? exponent : HEADROOM;
    return double_from_bits((uint64_t)(int64_t)(exponent + LOG2_SEGMENT + 2 + 1023) << 52) * 1.5;
}

/* x - M is exact wherever it matters once |M| > LARGEST_UNSHIFTED: x is then within a factor of two of M, or a
   multiple of a unit that leaves the difference few enough bits. A maximum that is not finite, whose
   row becomes NaN anyway, is treated as 0. `largest` is the largest value that is to be summed. */
static inline void find_shifts(const real *maxima, const real *largest, size_t rows, struct row_shifts *s) {
    for (size_t i = 0; i < rows; i++) {
        double m = if_finite(maxima[i], maxima[i], 0);
        int shifted = fabs(m) > (double)LARGEST_UNSHIFTED;
        double shift = shifted ? m : 0;
        double n = shifted ? 0 : (m * 0x1.71547652b82fep+0 + ROUND_DOUBLE) - ROUND_DOUBLE;
        s->exponent[i] = n;
        s->shift[i] = (real)shift;
        s->round[i] = (real)(ROUND_TO_INTEGER + (HEADROOM + EXPONENT_BIAS - n) * POWER_STEPS);
        s->floor[i] = (real)((n - (HEADROOM + EXPONENT_BIAS)) * 0x1.62e42fefa39efp-1);
        s->grid[i] = (real)grid_for(largest[i] - shift, n);
    }
}

static ALWAYS_INLINE wide polynomial(wide r, wide r2) {
#if FSM_REAL_BITS == 32
    wide q = w_fma(w_set1(0x1.555672p-5f), r, w_set1(0x1.555c72p-3f));
    q = w_fma(q, r, w_set1(0x1p-1f));
    return w_fma(q, r2, r);
#else
    wide q01 = w_fma(w_set1(0x1.5555555557e81p-3), r, w_set1(0x1.0000000000006p-1));
    wide q23 = w_fma(w_set1(0x1.111110a162f62p-7), r, w_set1(0x1.555555554190bp-5));
    wide q45 = w_fma(w_set1(0x1.a030caccf9090p-13), r, w_set1(0x1.6c16c3859ea0dp-10));
    wide q46 = w_fma(w_set1(0x1.a000852144be5p-16), r2, q45);
    wide q26 = w_fma(q46, r2, q23);
    return w_fma(w_fma(q26, r2, q01), r2, r);
#endif
}

/* An exponential: e, rounded, is power + rest, which is not. */
struct exponential {
    wide e, power, rest;
};

/* The shifted exponential of each lane. NaN stays NaN.

   |r| is at most ln 2 / 16 or / 8, and so are the roundings of r, of the polynomial and of the rest, relative to e:
   three times that in units of roundoff is what power + rest may be wrong by, 0.13 or 0.26, and one unit more e. */
static ALWAYS_INLINE struct exponential shifted_exp(wide x, const struct wide_shift *s) {
    x = w_max(s->floor, w_sub(x, s->shift));
    wide steps = w_fma(x, w_set1(POWER_STEPS * LOG2E), s->round);
    wide r = w_reduce(x, w_sub(steps, s->round));
    wide power = w_mul(w_power(steps), w_scale(steps));
    wide rest = w_mul(power, polynomial(r, w_mul(r, r)));
    return (struct exponential){w_add(power, rest), power, rest};
}
