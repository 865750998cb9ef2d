/* The exponential, shifted in its exponent.

   With n = round(x POWER_STEPS log2 e) and r = x - n ln 2 / POWER_STEPS, e^x = 2^(n / POWER_STEPS) e^r. Softmax does
   not change when a row's exponentials share a factor, so instead of the maximum M an integer, N = round(M log2 e),
   is subtracted, from n / POWER_STEPS: between integers that rounds nothing, where x - M in floating point is wrong
   by up to |x - M| units of roundoff. The power of two comes from a table for its fraction and as an exponent for the
   rest; e^r - 1 from a polynomial r + r^2 q(r), minimax for the relative error of e^r: 2^-32.4 for |r| <= ln 2 / 16
   in float32, 2^-57.6 for |r| <= ln 2 / 8 in float64. */

/* What a row's maximum M says of its exponentials: e^x is taken as 2^(HEADROOM - N) e^(x - shift), times
   POWER_FACTOR. */
struct shifts {
    wide n;     /* N */
    wide shift; /* M where |M| is too large for n to be exact, else 0 */
    wide floor; /* below it (relative to shift) the exponential is 0 */
    wide round; /* ROUND_TO_INTEGER, and in its low bits HEADROOM - N and the exponent's bias, in steps */
    wide grid;  /* what sums of exponentials start from; see exponential_sums.h */
};

/* 3/2 of a power of two, so large that no sum of SEGMENT exponentials up to that of `largest` changes the exponent of
   what starts from it: those are below 2^(k + 1.1) with the whole steps k. */
static ALWAYS_INLINE wide grid_for(wide largest, const struct shifts *s) {
    wide least = w_add(s->floor, w_set1((SMALLEST_GRID + EXPONENT_BIAS) / LOG2E));
    wide steps = w_fma(w_max(w_sub(largest, s->shift), least), w_set1(POWER_STEPS * LOG2E), s->round);
    return w_mul(w_scale(steps), w_set1(1.5f * 8 * SEGMENT));
}

/* x - M is exact wherever it matters once |M| > LARGEST_UNSHIFTED: x is then within a factor of two of M, or a
   multiple of a unit that leaves the difference few enough bits. A maximum that is not finite, whose
   row becomes NaN anyway, is treated as 0. `largest` is the largest value that is to be summed. */
static LARGE_WORD struct shifts find_shifts(wide maxima, wide largest) {
    const wide zero = w_set1(0), round = w_set1(ROUND_TO_INTEGER);
    const wide size = w_max(maxima, w_sub(zero, maxima));
    struct shifts s;
    s.shift = w_if_greater(size, w_set1(LARGEST_UNSHIFTED), maxima, zero);
    s.shift = w_if_greater(size, w_set1(LARGEST_REAL), zero, s.shift);
    const wide unshifted = w_if_greater(size, w_set1(LARGEST_UNSHIFTED), zero, maxima);
    s.n = w_sub(w_fma(unshifted, w_set1(LOG2E), round), round);
    const wide exponent = w_sub(w_set1(HEADROOM + EXPONENT_BIAS), s.n);
    s.floor = w_fma(exponent, w_set1(-1 / LOG2E), zero);
    s.round = w_fma(exponent, w_set1(POWER_STEPS), round);
    s.grid = grid_for(largest, &s);
    return s;
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
static LARGE_WORD struct exponential shifted_exp(wide x, const struct shifts *s) {
    x = w_max(s->floor, w_sub(x, s->shift));
    wide steps = w_fma(x, w_set1(POWER_STEPS * LOG2E), s->round);
    wide r = w_reduce(x, w_sub(steps, s->round));
    wide power = w_mul(w_power(steps), w_scale(steps));
    wide rest = w_mul(power, polynomial(r, w_mul(r, r)));
    return (struct exponential){w_add(power, rest), power, rest};
}
