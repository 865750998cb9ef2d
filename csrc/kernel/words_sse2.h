/* The words of the kernels in SSE2, the baseline of x86-64. */
#include <emmintrin.h>

#define LARGE_WORD NEVER_INLINE
#if defined(__clang__)
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif
#include "real.h"

#define HAS_FUSED_MULTIPLY_ADD 0
/* Streamed stores are seen by others after this. */
static ALWAYS_INLINE void end_streaming(void) { _mm_sfence(); }
enum { NATIVE = LANES / 4 };

#if FSM_REAL_BITS == 32

typedef __m128 v;

static ALWAYS_INLINE v v_load(const real *p) { return _mm_loadu_ps(p); }
static ALWAYS_INLINE void v_store(real *p, v a) { _mm_storeu_ps(p, a); }
static ALWAYS_INLINE void v_stream(real *p, v a) { _mm_stream_ps(p, a); }
static ALWAYS_INLINE v v_set1(real x) { return _mm_set1_ps(x); }
static ALWAYS_INLINE v v_index(real_bits i) { return _mm_castsi128_ps(_mm_set1_epi32(i)); }
static ALWAYS_INLINE v v_add(v a, v b) { return _mm_add_ps(a, b); }
static ALWAYS_INLINE v v_sub(v a, v b) { return _mm_sub_ps(a, b); }
static ALWAYS_INLINE v v_mul(v a, v b) { return _mm_mul_ps(a, b); }
static ALWAYS_INLINE v v_max(v a, v b) { return _mm_max_ps(a, b); }
static ALWAYS_INLINE v v_min(v a, v b) { return _mm_min_ps(a, b); }
/* Lanes `half` apart change places. */
static ALWAYS_INLINE v v_swap(v a, size_t half) {
    return half == 2 ? _mm_shuffle_ps(a, a, _MM_SHUFFLE(1, 0, 3, 2)) : _mm_shuffle_ps(a, a, _MM_SHUFFLE(2, 3, 0, 1));
}
static ALWAYS_INLINE real v_first(v a) { return _mm_cvtss_f32(a); }
static ALWAYS_INLINE v v_scale(v steps) {
    __m128i exponent = _mm_slli_epi32(_mm_castps_si128(steps), MANTISSA_BITS - POWER_BITS);
    return _mm_castsi128_ps(_mm_and_si128(exponent, _mm_set1_epi32(EXPONENT_MASK)));
}
static ALWAYS_INLINE v v_power(v steps) {
    __m128i j = _mm_and_si128(_mm_castps_si128(steps), _mm_set1_epi32(POWER_STEPS - 1));
    return _mm_setr_ps(power_table[_mm_cvtsi128_si32(j)], power_table[_mm_extract_epi16(j, 2)],
                       power_table[_mm_extract_epi16(j, 4)], power_table[_mm_extract_epi16(j, 6)]);
}
static ALWAYS_INLINE v v_put_at(v a, v index, v at, v other) {
    __m128 put = _mm_castsi128_ps(_mm_cmpeq_epi32(_mm_castps_si128(index), _mm_castps_si128(at)));
    return _mm_or_ps(_mm_and_ps(put, other), _mm_andnot_ps(put, a));
}
static ALWAYS_INLINE int v_any_equal(v a, v b) { return _mm_movemask_ps(_mm_cmpeq_ps(a, b)) != 0; }
static ALWAYS_INLINE v v_choose(v mask, v yes, v no) {
    return _mm_or_ps(_mm_and_ps(mask, yes), _mm_andnot_ps(mask, no));
}
static ALWAYS_INLINE v v_if_equal(v a, v b, v yes, v no) { return v_choose(_mm_cmpeq_ps(a, b), yes, no); }
static ALWAYS_INLINE v v_if_greater(v a, v b, v yes, v no) { return v_choose(_mm_cmpgt_ps(a, b), yes, no); }

enum { SQUARE = 4 };

/* SQUARE values from every SQUARE-th row, one row a 128-bit lane. */
static ALWAYS_INLINE v v_load_rows(const char *p, ptrdiff_t stride) {
    (void)stride;
    return _mm_loadu_ps((const real *)p);
}
static ALWAYS_INLINE void v_store_rows(char *p, ptrdiff_t stride, v a) {
    (void)stride;
    _mm_storeu_ps((real *)p, a);
}
/* The 4 by 4 squares in the 128-bit lanes of 4 vectors, turned. */
static ALWAYS_INLINE void v_turn(v *r) {
    v a = _mm_unpacklo_ps(r[0], r[1]), b = _mm_unpackhi_ps(r[0], r[1]);
    v c = _mm_unpacklo_ps(r[2], r[3]), d = _mm_unpackhi_ps(r[2], r[3]);
    r[0] = _mm_shuffle_ps(a, c, _MM_SHUFFLE(1, 0, 1, 0));
    r[1] = _mm_shuffle_ps(a, c, _MM_SHUFFLE(3, 2, 3, 2));
    r[2] = _mm_shuffle_ps(b, d, _MM_SHUFFLE(1, 0, 1, 0));
    r[3] = _mm_shuffle_ps(b, d, _MM_SHUFFLE(3, 2, 3, 2));
}

typedef struct {
    __m128d low, high;
} acc;

static ALWAYS_INLINE __m128d low_half(v a) { return _mm_cvtps_pd(a); }
static ALWAYS_INLINE __m128d high_half(v a) { return _mm_cvtps_pd(_mm_movehl_ps(a, a)); }
static ALWAYS_INLINE v halves(__m128d low, __m128d high) {
    return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
}

static ALWAYS_INLINE acc acc_zero(void) { return (acc){_mm_setzero_pd(), _mm_setzero_pd()}; }
static ALWAYS_INLINE void acc_add(acc *s, v a) {
    s->low = _mm_add_pd(s->low, low_half(a));
    s->high = _mm_add_pd(s->high, high_half(a));
}
static ALWAYS_INLINE void acc_add_product(acc *s, v a, v b) {
    s->low = _mm_add_pd(s->low, _mm_mul_pd(low_half(a), low_half(b)));
    s->high = _mm_add_pd(s->high, _mm_mul_pd(high_half(a), high_half(b)));
}
static ALWAYS_INLINE void acc_store(const acc *s, double *hi, double *lo) {
    (void)lo;
    _mm_storeu_pd(hi, s->low);
    _mm_storeu_pd(hi + 2, s->high);
}
static ALWAYS_INLINE acc acc_load(const double *hi, const double *lo) {
    (void)lo;
    return (acc){_mm_loadu_pd(hi), _mm_loadu_pd(hi + 2)};
}

typedef acc factor;
static ALWAYS_INLINE factor factor_load(const double *hi, const double *lo) { return acc_load(hi, lo); }
static ALWAYS_INLINE void acc_add_scaled(acc *s, v a, factor f) {
    s->low = _mm_add_pd(s->low, _mm_mul_pd(low_half(a), f.low));
    s->high = _mm_add_pd(s->high, _mm_mul_pd(high_half(a), f.high));
}

/* Products of two float32 are exact in float64, which stands in for the fused operation. */
static ALWAYS_INLINE __m128d reduce_half(__m128d x, __m128d n) {
    return _mm_sub_pd(x, _mm_mul_pd(n, _mm_set1_pd(0x1.62e42fefa39efp-1 / POWER_STEPS)));
}
static ALWAYS_INLINE v v_reduce(v x, v n) {
    return halves(reduce_half(low_half(x), low_half(n)), reduce_half(high_half(x), high_half(n)));
}
static ALWAYS_INLINE __m128d mul_pair_half(__m128d a, __m128d hi, __m128d lo, __m128d down) {
    return _mm_mul_pd(_mm_mul_pd(a, _mm_add_pd(hi, lo)), down);
}
static ALWAYS_INLINE v v_mul_pair(v a, v hi, v lo, v down) {
    return halves(mul_pair_half(low_half(a), low_half(hi), low_half(lo), low_half(down)),
                  mul_pair_half(high_half(a), high_half(hi), high_half(lo), high_half(down)));
}

#else

typedef __m128d v;

static ALWAYS_INLINE v v_load(const real *p) { return _mm_loadu_pd(p); }
static ALWAYS_INLINE void v_store(real *p, v a) { _mm_storeu_pd(p, a); }
static ALWAYS_INLINE void v_stream(real *p, v a) { _mm_stream_pd(p, a); }
static ALWAYS_INLINE v v_set1(real x) { return _mm_set1_pd(x); }
static ALWAYS_INLINE v v_index(real_bits i) { return _mm_castsi128_pd(_mm_set1_epi64x(i)); }
static ALWAYS_INLINE v v_add(v a, v b) { return _mm_add_pd(a, b); }
static ALWAYS_INLINE v v_sub(v a, v b) { return _mm_sub_pd(a, b); }
static ALWAYS_INLINE v v_mul(v a, v b) { return _mm_mul_pd(a, b); }
static ALWAYS_INLINE v v_max(v a, v b) { return _mm_max_pd(a, b); }
static ALWAYS_INLINE v v_min(v a, v b) { return _mm_min_pd(a, b); }
static ALWAYS_INLINE v v_swap(v a, size_t half) {
    (void)half;
    return _mm_shuffle_pd(a, a, 1);
}
static ALWAYS_INLINE real v_first(v a) { return _mm_cvtsd_f64(a); }
static ALWAYS_INLINE v v_scale(v steps) {
    __m128i exponent = _mm_slli_epi64(_mm_castpd_si128(steps), MANTISSA_BITS - POWER_BITS);
    return _mm_castsi128_pd(_mm_and_si128(exponent, _mm_set1_epi64x(EXPONENT_MASK)));
}
static ALWAYS_INLINE v v_power(v steps) {
    __m128i j = _mm_and_si128(_mm_castpd_si128(steps), _mm_set1_epi64x(POWER_STEPS - 1));
    return _mm_setr_pd(power_table[_mm_cvtsi128_si32(j)], power_table[_mm_extract_epi16(j, 4)]);
}
static ALWAYS_INLINE v v_put_at(v a, v index, v at, v other) {
    /* SSE2 compares 32 bits at a time: both halves must be equal. */
    __m128i equal = _mm_cmpeq_epi32(_mm_castpd_si128(index), _mm_castpd_si128(at));
    __m128d put = _mm_castsi128_pd(_mm_and_si128(equal, _mm_shuffle_epi32(equal, _MM_SHUFFLE(2, 3, 0, 1))));
    return _mm_or_pd(_mm_and_pd(put, other), _mm_andnot_pd(put, a));
}
static ALWAYS_INLINE int v_any_equal(v a, v b) { return _mm_movemask_pd(_mm_cmpeq_pd(a, b)) != 0; }
static ALWAYS_INLINE v v_upper_half(v a) { return _mm_and_pd(a, _mm_castsi128_pd(_mm_set1_epi64x(UPPER_HALF))); }
static ALWAYS_INLINE v v_choose(v mask, v yes, v no) {
    return _mm_or_pd(_mm_and_pd(mask, yes), _mm_andnot_pd(mask, no));
}
static ALWAYS_INLINE v v_if_equal(v a, v b, v yes, v no) { return v_choose(_mm_cmpeq_pd(a, b), yes, no); }
static ALWAYS_INLINE v v_if_greater(v a, v b, v yes, v no) { return v_choose(_mm_cmpgt_pd(a, b), yes, no); }

enum { SQUARE = 2 };

/* SQUARE values from every SQUARE-th row, one row a 128-bit lane. */
static ALWAYS_INLINE v v_load_rows(const char *p, ptrdiff_t stride) {
    (void)stride;
    return _mm_loadu_pd((const real *)p);
}
static ALWAYS_INLINE void v_store_rows(char *p, ptrdiff_t stride, v a) {
    (void)stride;
    _mm_storeu_pd((real *)p, a);
}
/* The 2 by 2 squares in the 128-bit lanes of 2 vectors, turned. */
static ALWAYS_INLINE void v_turn(v *r) {
    v a = _mm_unpacklo_pd(r[0], r[1]);
    r[1] = _mm_unpackhi_pd(r[0], r[1]);
    r[0] = a;
}

#endif

#include "partial.h"
#include "unfused.h"
