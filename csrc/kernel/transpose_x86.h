/* Blocks of 4 by 4 between rows in memory and rows across the lanes. */

#if FSM_REAL_BITS == 32

static ALWAYS_INLINE void transpose_from(const real *a, const real *b, const real *c, const real *d, real *lanes) {
    __m128 r0 = _mm_loadu_ps(a), r1 = _mm_loadu_ps(b), r2 = _mm_loadu_ps(c), r3 = _mm_loadu_ps(d);
    _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
    _mm_storeu_ps(lanes, r0);
    _mm_storeu_ps(lanes + LANES, r1);
    _mm_storeu_ps(lanes + 2 * LANES, r2);
    _mm_storeu_ps(lanes + 3 * LANES, r3);
}
static ALWAYS_INLINE void transpose_to(real *a, real *b, real *c, real *d, const real *lanes) {
    __m128 r0 = _mm_loadu_ps(lanes), r1 = _mm_loadu_ps(lanes + LANES);
    __m128 r2 = _mm_loadu_ps(lanes + 2 * LANES), r3 = _mm_loadu_ps(lanes + 3 * LANES);
    _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
    _mm_storeu_ps(a, r0);
    _mm_storeu_ps(b, r1);
    _mm_storeu_ps(c, r2);
    _mm_storeu_ps(d, r3);
}

#else

/* Two rows' two values at a time. */
static ALWAYS_INLINE void transpose_pairs_from(const real *a, const real *b, real *lanes) {
    __m128d r0 = _mm_loadu_pd(a), r1 = _mm_loadu_pd(b);
    _mm_storeu_pd(lanes, _mm_unpacklo_pd(r0, r1));
    _mm_storeu_pd(lanes + LANES, _mm_unpackhi_pd(r0, r1));
}
static ALWAYS_INLINE void transpose_pairs_to(real *a, real *b, const real *lanes) {
    __m128d r0 = _mm_loadu_pd(lanes), r1 = _mm_loadu_pd(lanes + LANES);
    _mm_storeu_pd(a, _mm_unpacklo_pd(r0, r1));
    _mm_storeu_pd(b, _mm_unpackhi_pd(r0, r1));
}

static ALWAYS_INLINE void transpose_from(const real *a, const real *b, const real *c, const real *d, real *lanes) {
    transpose_pairs_from(a, b, lanes);
    transpose_pairs_from(c, d, lanes + 2);
    transpose_pairs_from(a + 2, b + 2, lanes + 2 * LANES);
    transpose_pairs_from(c + 2, d + 2, lanes + 2 * LANES + 2);
}
static ALWAYS_INLINE void transpose_to(real *a, real *b, real *c, real *d, const real *lanes) {
    transpose_pairs_to(a, b, lanes);
    transpose_pairs_to(c, d, lanes + 2);
    transpose_pairs_to(a + 2, b + 2, lanes + 2 * LANES);
    transpose_pairs_to(c + 2, d + 2, lanes + 2 * LANES + 2);
}

#endif
