/* The words of the kernels in AVX2 with FMA. */
#include <immintrin.h>

#include "real.h"

#define HAS_FUSED_MULTIPLY_ADD 1
/* Streamed stores are seen by others after this. */
static ALWAYS_INLINE void end_streaming(void) { _mm_sfence(); }
enum { NATIVE = LANES / 2 };

#if FSM_REAL_BITS == 32

typedef __m256 v;

static ALWAYS_INLINE v v_load(const real *p) { return _mm256_loadu_ps(p); }
static ALWAYS_INLINE void v_store(real *p, v a) { _mm256_storeu_ps(p, a); }
static ALWAYS_INLINE void v_stream(real *p, v a) { _mm256_stream_ps(p, a); }
static ALWAYS_INLINE __m256i first_lanes(size_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static ALWAYS_INLINE v v_load_some(const real *p, size_t count, v fill) {
    __m256i mask = first_lanes(count);
    return _mm256_blendv_ps(fill, _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask));
}
static ALWAYS_INLINE void v_store_some(real *p, size_t count, v a) { _mm256_maskstore_ps(p, first_lanes(count), a); }
#define HAS_FLOAT16 1
static ALWAYS_INLINE v v_from_float16(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static ALWAYS_INLINE void v_to_float16(uint16_t *p, v a) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static ALWAYS_INLINE v v_set1(real x) { return _mm256_set1_ps(x); }
static ALWAYS_INLINE v v_index(real_bits i) { return _mm256_castsi256_ps(_mm256_set1_epi32(i)); }
static ALWAYS_INLINE v v_add(v a, v b) { return _mm256_add_ps(a, b); }
static ALWAYS_INLINE v v_sub(v a, v b) { return _mm256_sub_ps(a, b); }
static ALWAYS_INLINE v v_mul(v a, v b) { return _mm256_mul_ps(a, b); }
static ALWAYS_INLINE v v_fma(v a, v b, v c) { return _mm256_fmadd_ps(a, b, c); }
static ALWAYS_INLINE v v_fnma(v a, v b, v c) { return _mm256_fnmadd_ps(a, b, c); }
static ALWAYS_INLINE v v_max(v a, v b) { return _mm256_max_ps(a, b); }
static ALWAYS_INLINE v v_min(v a, v b) { return _mm256_min_ps(a, b); }
/* Lanes `half` apart change places. */
static ALWAYS_INLINE v v_swap(v a, size_t half) {
    return half == 4   ? _mm256_permute2f128_ps(a, a, 1)
           : half == 2 ? _mm256_permute_ps(a, _MM_SHUFFLE(1, 0, 3, 2))
                       : _mm256_permute_ps(a, _MM_SHUFFLE(2, 3, 0, 1));
}
static ALWAYS_INLINE real v_first(v a) { return _mm256_cvtss_f32(a); }
static ALWAYS_INLINE v v_scale(v steps) {
    __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(steps), MANTISSA_BITS - POWER_BITS);
    return _mm256_castsi256_ps(_mm256_and_si256(exponent, _mm256_set1_epi32(EXPONENT_MASK)));
}
static ALWAYS_INLINE v v_power(v steps) {
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(power_table), _mm256_castps_si256(steps));
}
static ALWAYS_INLINE v v_put_at(v a, v index, v at, v other) {
    __m256i put = _mm256_cmpeq_epi32(_mm256_castps_si256(index), _mm256_castps_si256(at));
    return _mm256_blendv_ps(a, other, _mm256_castsi256_ps(put));
}
static ALWAYS_INLINE int v_any_equal(v a, v b) { return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)) != 0; }
static ALWAYS_INLINE v v_if_equal(v a, v b, v yes, v no) {
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_EQ_OQ));
}
static ALWAYS_INLINE v v_if_greater(v a, v b, v yes, v no) {
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}

enum { SQUARE = 4 };

/* SQUARE values from every SQUARE-th row, one row a 128-bit lane. */
static ALWAYS_INLINE v v_load_rows(const char *p, ptrdiff_t stride) {
    v a = _mm256_castps128_ps256(_mm_loadu_ps((const real *)p));
    a = _mm256_insertf128_ps(a, _mm_loadu_ps((const real *)(p + 4 * stride)), 1);
    return a;
}
static ALWAYS_INLINE void v_store_rows(char *p, ptrdiff_t stride, v a) {
    _mm_storeu_ps((real *)p, _mm256_castps256_ps128(a));
    _mm_storeu_ps((real *)(p + 4 * stride), _mm256_extractf128_ps(a, 1));
}
/* The 4 by 4 squares in the 128-bit lanes of 4 vectors, turned. */
static ALWAYS_INLINE void v_turn(v *r) {
    v a = _mm256_unpacklo_ps(r[0], r[1]), b = _mm256_unpackhi_ps(r[0], r[1]);
    v c = _mm256_unpacklo_ps(r[2], r[3]), d = _mm256_unpackhi_ps(r[2], r[3]);
    r[0] = _mm256_shuffle_ps(a, c, _MM_SHUFFLE(1, 0, 1, 0));
    r[1] = _mm256_shuffle_ps(a, c, _MM_SHUFFLE(3, 2, 3, 2));
    r[2] = _mm256_shuffle_ps(b, d, _MM_SHUFFLE(1, 0, 1, 0));
    r[3] = _mm256_shuffle_ps(b, d, _MM_SHUFFLE(3, 2, 3, 2));
}

typedef struct {
    __m256d low, high;
} acc;

static ALWAYS_INLINE __m256d low_half(v a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
static ALWAYS_INLINE __m256d high_half(v a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }

static ALWAYS_INLINE acc acc_zero(void) { return (acc){_mm256_setzero_pd(), _mm256_setzero_pd()}; }
static ALWAYS_INLINE void acc_add(acc *s, v a) {
    s->low = _mm256_add_pd(s->low, low_half(a));
    s->high = _mm256_add_pd(s->high, high_half(a));
}
static ALWAYS_INLINE void acc_add_product(acc *s, v a, v b) {
    s->low = _mm256_fmadd_pd(low_half(a), low_half(b), s->low);
    s->high = _mm256_fmadd_pd(high_half(a), high_half(b), s->high);
}
static ALWAYS_INLINE void acc_store(const acc *s, double *hi, double *lo) {
    (void)lo;
    _mm256_storeu_pd(hi, s->low);
    _mm256_storeu_pd(hi + 4, s->high);
}
static ALWAYS_INLINE acc acc_load(const double *hi, const double *lo) {
    (void)lo;
    return (acc){_mm256_loadu_pd(hi), _mm256_loadu_pd(hi + 4)};
}

typedef acc factor;
static ALWAYS_INLINE factor factor_load(const double *hi, const double *lo) { return acc_load(hi, lo); }
static ALWAYS_INLINE void acc_add_scaled(acc *s, v a, factor f) {
    s->low = _mm256_fmadd_pd(low_half(a), f.low, s->low);
    s->high = _mm256_fmadd_pd(high_half(a), f.high, s->high);
}

#else

typedef __m256d v;

static ALWAYS_INLINE v v_load(const real *p) { return _mm256_loadu_pd(p); }
static ALWAYS_INLINE void v_store(real *p, v a) { _mm256_storeu_pd(p, a); }
static ALWAYS_INLINE void v_stream(real *p, v a) { _mm256_stream_pd(p, a); }
static ALWAYS_INLINE __m256i first_lanes(size_t count) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)count), _mm256_setr_epi64x(0, 1, 2, 3));
}
static ALWAYS_INLINE v v_load_some(const real *p, size_t count, v fill) {
    __m256i mask = first_lanes(count);
    return _mm256_blendv_pd(fill, _mm256_maskload_pd(p, mask), _mm256_castsi256_pd(mask));
}
static ALWAYS_INLINE void v_store_some(real *p, size_t count, v a) { _mm256_maskstore_pd(p, first_lanes(count), a); }
static ALWAYS_INLINE v v_set1(real x) { return _mm256_set1_pd(x); }
static ALWAYS_INLINE v v_index(real_bits i) { return _mm256_castsi256_pd(_mm256_set1_epi64x(i)); }
static ALWAYS_INLINE v v_add(v a, v b) { return _mm256_add_pd(a, b); }
static ALWAYS_INLINE v v_sub(v a, v b) { return _mm256_sub_pd(a, b); }
static ALWAYS_INLINE v v_mul(v a, v b) { return _mm256_mul_pd(a, b); }
static ALWAYS_INLINE v v_fma(v a, v b, v c) { return _mm256_fmadd_pd(a, b, c); }
static ALWAYS_INLINE v v_fnma(v a, v b, v c) { return _mm256_fnmadd_pd(a, b, c); }
static ALWAYS_INLINE v v_max(v a, v b) { return _mm256_max_pd(a, b); }
static ALWAYS_INLINE v v_min(v a, v b) { return _mm256_min_pd(a, b); }
static ALWAYS_INLINE v v_swap(v a, size_t half) {
    return half == 2 ? _mm256_permute2f128_pd(a, a, 1) : _mm256_permute_pd(a, 5);
}
static ALWAYS_INLINE real v_first(v a) { return _mm256_cvtsd_f64(a); }
static ALWAYS_INLINE v v_scale(v steps) {
    __m256i exponent = _mm256_slli_epi64(_mm256_castpd_si256(steps), MANTISSA_BITS - POWER_BITS);
    return _mm256_castsi256_pd(_mm256_and_si256(exponent, _mm256_set1_epi64x(EXPONENT_MASK)));
}
/* AVX2 looks up 32 bits at a time: the halves of entry j are numbers 2 j and 2 j + 1. */
static ALWAYS_INLINE v v_power(v steps) {
    __m256i lower = _mm256_slli_epi64(_mm256_castpd_si256(steps), 1);
    __m256i both = _mm256_shuffle_epi32(lower, _MM_SHUFFLE(2, 2, 0, 0));
    __m256i halves = _mm256_or_si256(both, _mm256_set1_epi64x(0x100000000));
    return _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(_mm256_loadu_pd(power_table)), halves));
}
static ALWAYS_INLINE v v_put_at(v a, v index, v at, v other) {
    __m256i put = _mm256_cmpeq_epi64(_mm256_castpd_si256(index), _mm256_castpd_si256(at));
    return _mm256_blendv_pd(a, other, _mm256_castsi256_pd(put));
}
static ALWAYS_INLINE int v_any_equal(v a, v b) { return _mm256_movemask_pd(_mm256_cmp_pd(a, b, _CMP_EQ_OQ)) != 0; }
static ALWAYS_INLINE v v_if_equal(v a, v b, v yes, v no) {
    return _mm256_blendv_pd(no, yes, _mm256_cmp_pd(a, b, _CMP_EQ_OQ));
}
static ALWAYS_INLINE v v_if_greater(v a, v b, v yes, v no) {
    return _mm256_blendv_pd(no, yes, _mm256_cmp_pd(a, b, _CMP_GT_OQ));
}

enum { SQUARE = 2 };

/* SQUARE values from every SQUARE-th row, one row a 128-bit lane. */
static ALWAYS_INLINE v v_load_rows(const char *p, ptrdiff_t stride) {
    v a = _mm256_castpd128_pd256(_mm_loadu_pd((const real *)p));
    a = _mm256_insertf128_pd(a, _mm_loadu_pd((const real *)(p + 2 * stride)), 1);
    return a;
}
static ALWAYS_INLINE void v_store_rows(char *p, ptrdiff_t stride, v a) {
    _mm_storeu_pd((real *)p, _mm256_castpd256_pd128(a));
    _mm_storeu_pd((real *)(p + 2 * stride), _mm256_extractf128_pd(a, 1));
}
/* The 2 by 2 squares in the 128-bit lanes of 2 vectors, turned. */
static ALWAYS_INLINE void v_turn(v *r) {
    v a = _mm256_unpacklo_pd(r[0], r[1]);
    r[1] = _mm256_unpackhi_pd(r[0], r[1]);
    r[0] = a;
}

#endif

#include "fused.h"
