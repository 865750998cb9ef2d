/* The words of the kernels in AVX-512 (F, BW, DQ, VL). */
#include <immintrin.h>

#include "real.h"

#define HAS_FUSED_MULTIPLY_ADD 1
/* Streamed stores are seen by others after this. */
static ALWAYS_INLINE void end_streaming(void) { _mm_sfence(); }
enum { NATIVE = LANES };

#if FSM_REAL_BITS == 32

typedef __m512 v;

static ALWAYS_INLINE v v_load(const real *p) { return _mm512_loadu_ps(p); }
static ALWAYS_INLINE void v_store(real *p, v a) { _mm512_storeu_ps(p, a); }
static ALWAYS_INLINE void v_stream(real *p, v a) { _mm512_stream_ps(p, a); }
static ALWAYS_INLINE v v_load_some(const real *p, size_t count, v fill) {
    return _mm512_mask_loadu_ps(fill, (__mmask16)((1u << count) - 1), p);
}
static ALWAYS_INLINE void v_store_some(real *p, size_t count, v a) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), a);
}
#define HAS_FLOAT16 1
static ALWAYS_INLINE v v_from_float16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static ALWAYS_INLINE void v_to_float16(uint16_t *p, v a) {
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static ALWAYS_INLINE v v_set1(real x) { return _mm512_set1_ps(x); }
static ALWAYS_INLINE v v_index(real_bits i) { return _mm512_castsi512_ps(_mm512_set1_epi32(i)); }
static ALWAYS_INLINE v v_add(v a, v b) { return _mm512_add_ps(a, b); }
static ALWAYS_INLINE v v_sub(v a, v b) { return _mm512_sub_ps(a, b); }
static ALWAYS_INLINE v v_mul(v a, v b) { return _mm512_mul_ps(a, b); }
static ALWAYS_INLINE v v_fma(v a, v b, v c) { return _mm512_fmadd_ps(a, b, c); }
static ALWAYS_INLINE v v_fnma(v a, v b, v c) { return _mm512_fnmadd_ps(a, b, c); }
static ALWAYS_INLINE v v_max(v a, v b) { return _mm512_max_ps(a, b); }
static ALWAYS_INLINE v v_min(v a, v b) { return _mm512_min_ps(a, b); }
/* Lanes `half` apart change places. */
static ALWAYS_INLINE v v_swap(v a, size_t half) {
    return half == 8   ? _mm512_shuffle_f32x4(a, a, _MM_SHUFFLE(1, 0, 3, 2))
           : half == 4 ? _mm512_shuffle_f32x4(a, a, _MM_SHUFFLE(2, 3, 0, 1))
           : half == 2 ? _mm512_permute_ps(a, _MM_SHUFFLE(1, 0, 3, 2))
                       : _mm512_permute_ps(a, _MM_SHUFFLE(2, 3, 0, 1));
}
static ALWAYS_INLINE real v_first(v a) { return _mm512_cvtss_f32(a); }
static ALWAYS_INLINE v v_scale(v steps) {
    __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(steps), MANTISSA_BITS - POWER_BITS);
    return _mm512_castsi512_ps(_mm512_and_si512(exponent, _mm512_set1_epi32(EXPONENT_MASK)));
}
static ALWAYS_INLINE v v_power(v steps) {
    return _mm512_permutexvar_ps(_mm512_castps_si512(steps), _mm512_loadu_ps(power_table));
}
static ALWAYS_INLINE v v_put_at(v a, v index, v at, v other) {
    __mmask16 put = _mm512_cmpeq_epi32_mask(_mm512_castps_si512(index), _mm512_castps_si512(at));
    return _mm512_mask_mov_ps(a, put, other);
}
static ALWAYS_INLINE int v_any_equal(v a, v b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ) != 0; }
static ALWAYS_INLINE v v_if_equal(v a, v b, v yes, v no) {
    return _mm512_mask_mov_ps(no, _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), yes);
}
static ALWAYS_INLINE v v_if_greater(v a, v b, v yes, v no) {
    return _mm512_mask_mov_ps(no, _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), yes);
}

enum { SQUARE = 4 };

/* SQUARE values from every SQUARE-th row, one row a 128-bit lane. */
static ALWAYS_INLINE v v_load_rows(const char *p, ptrdiff_t stride) {
    v a = _mm512_castps128_ps512(_mm_loadu_ps((const real *)p));
    a = _mm512_insertf32x4(a, _mm_loadu_ps((const real *)(p + 4 * stride)), 1);
    a = _mm512_insertf32x4(a, _mm_loadu_ps((const real *)(p + 8 * stride)), 2);
    a = _mm512_insertf32x4(a, _mm_loadu_ps((const real *)(p + 12 * stride)), 3);
    return a;
}
static ALWAYS_INLINE void v_store_rows(char *p, ptrdiff_t stride, v a) {
    _mm_storeu_ps((real *)p, _mm512_castps512_ps128(a));
    _mm_storeu_ps((real *)(p + 4 * stride), _mm512_extractf32x4_ps(a, 1));
    _mm_storeu_ps((real *)(p + 8 * stride), _mm512_extractf32x4_ps(a, 2));
    _mm_storeu_ps((real *)(p + 12 * stride), _mm512_extractf32x4_ps(a, 3));
}
/* The 4 by 4 squares in the 128-bit lanes of 4 vectors, turned. */
static ALWAYS_INLINE void v_turn(v *r) {
    v a = _mm512_unpacklo_ps(r[0], r[1]), b = _mm512_unpackhi_ps(r[0], r[1]);
    v c = _mm512_unpacklo_ps(r[2], r[3]), d = _mm512_unpackhi_ps(r[2], r[3]);
    r[0] = _mm512_shuffle_ps(a, c, _MM_SHUFFLE(1, 0, 1, 0));
    r[1] = _mm512_shuffle_ps(a, c, _MM_SHUFFLE(3, 2, 3, 2));
    r[2] = _mm512_shuffle_ps(b, d, _MM_SHUFFLE(1, 0, 1, 0));
    r[3] = _mm512_shuffle_ps(b, d, _MM_SHUFFLE(3, 2, 3, 2));
}

typedef struct {
    __m512d low, high;
} acc;

static ALWAYS_INLINE __m512d low_half(v a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
static ALWAYS_INLINE __m512d high_half(v a) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)); }

static ALWAYS_INLINE acc acc_zero(void) { return (acc){_mm512_setzero_pd(), _mm512_setzero_pd()}; }
static ALWAYS_INLINE void acc_add(acc *s, v a) {
    s->low = _mm512_add_pd(s->low, low_half(a));
    s->high = _mm512_add_pd(s->high, high_half(a));
}
static ALWAYS_INLINE void acc_add_product(acc *s, v a, v b) {
    s->low = _mm512_fmadd_pd(low_half(a), low_half(b), s->low);
    s->high = _mm512_fmadd_pd(high_half(a), high_half(b), s->high);
}
static ALWAYS_INLINE void acc_store(const acc *s, double *hi, double *lo) {
    (void)lo;
    _mm512_storeu_pd(hi, s->low);
    _mm512_storeu_pd(hi + 8, s->high);
}
static ALWAYS_INLINE acc acc_load(const double *hi, const double *lo) {
    (void)lo;
    return (acc){_mm512_loadu_pd(hi), _mm512_loadu_pd(hi + 8)};
}

typedef acc factor;
static ALWAYS_INLINE factor factor_load(const double *hi, const double *lo) { return acc_load(hi, lo); }
static ALWAYS_INLINE void acc_add_scaled(acc *s, v a, factor f) {
    s->low = _mm512_fmadd_pd(low_half(a), f.low, s->low);
    s->high = _mm512_fmadd_pd(high_half(a), f.high, s->high);
}

#else

typedef __m512d v;

static ALWAYS_INLINE v v_load(const real *p) { return _mm512_loadu_pd(p); }
static ALWAYS_INLINE void v_store(real *p, v a) { _mm512_storeu_pd(p, a); }
static ALWAYS_INLINE void v_stream(real *p, v a) { _mm512_stream_pd(p, a); }
static ALWAYS_INLINE v v_load_some(const real *p, size_t count, v fill) {
    return _mm512_mask_loadu_pd(fill, (__mmask8)((1u << count) - 1), p);
}
static ALWAYS_INLINE void v_store_some(real *p, size_t count, v a) {
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << count) - 1), a);
}
static ALWAYS_INLINE v v_set1(real x) { return _mm512_set1_pd(x); }
static ALWAYS_INLINE v v_index(real_bits i) { return _mm512_castsi512_pd(_mm512_set1_epi64(i)); }
static ALWAYS_INLINE v v_add(v a, v b) { return _mm512_add_pd(a, b); }
static ALWAYS_INLINE v v_sub(v a, v b) { return _mm512_sub_pd(a, b); }
static ALWAYS_INLINE v v_mul(v a, v b) { return _mm512_mul_pd(a, b); }
static ALWAYS_INLINE v v_fma(v a, v b, v c) { return _mm512_fmadd_pd(a, b, c); }
static ALWAYS_INLINE v v_fnma(v a, v b, v c) { return _mm512_fnmadd_pd(a, b, c); }
static ALWAYS_INLINE v v_max(v a, v b) { return _mm512_max_pd(a, b); }
static ALWAYS_INLINE v v_min(v a, v b) { return _mm512_min_pd(a, b); }
static ALWAYS_INLINE v v_swap(v a, size_t half) {
    return half == 4   ? _mm512_shuffle_f64x2(a, a, _MM_SHUFFLE(1, 0, 3, 2))
           : half == 2 ? _mm512_shuffle_f64x2(a, a, _MM_SHUFFLE(2, 3, 0, 1))
                       : _mm512_permute_pd(a, 0x55);
}
static ALWAYS_INLINE real v_first(v a) { return _mm512_cvtsd_f64(a); }
static ALWAYS_INLINE v v_scale(v steps) {
    __m512i exponent = _mm512_slli_epi64(_mm512_castpd_si512(steps), MANTISSA_BITS - POWER_BITS);
    return _mm512_castsi512_pd(_mm512_and_si512(exponent, _mm512_set1_epi64(EXPONENT_MASK)));
}
static ALWAYS_INLINE v v_power(v steps) {
    return _mm512_permutexvar_pd(_mm512_castpd_si512(steps), _mm512_loadu_pd(power_table));
}
static ALWAYS_INLINE v v_put_at(v a, v index, v at, v other) {
    __mmask8 put = _mm512_cmpeq_epi64_mask(_mm512_castpd_si512(index), _mm512_castpd_si512(at));
    return _mm512_mask_mov_pd(a, put, other);
}
static ALWAYS_INLINE int v_any_equal(v a, v b) { return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ) != 0; }
static ALWAYS_INLINE v v_if_equal(v a, v b, v yes, v no) {
    return _mm512_mask_mov_pd(no, _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ), yes);
}
static ALWAYS_INLINE v v_if_greater(v a, v b, v yes, v no) {
    return _mm512_mask_mov_pd(no, _mm512_cmp_pd_mask(a, b, _CMP_GT_OQ), yes);
}

enum { SQUARE = 2 };

/* SQUARE values from every SQUARE-th row, one row a 128-bit lane. */
static ALWAYS_INLINE v v_load_rows(const char *p, ptrdiff_t stride) {
    v a = _mm512_castpd128_pd512(_mm_loadu_pd((const real *)p));
    a = _mm512_insertf64x2(a, _mm_loadu_pd((const real *)(p + 2 * stride)), 1);
    a = _mm512_insertf64x2(a, _mm_loadu_pd((const real *)(p + 4 * stride)), 2);
    a = _mm512_insertf64x2(a, _mm_loadu_pd((const real *)(p + 6 * stride)), 3);
    return a;
}
static ALWAYS_INLINE void v_store_rows(char *p, ptrdiff_t stride, v a) {
    _mm_storeu_pd((real *)p, _mm512_castpd512_pd128(a));
    _mm_storeu_pd((real *)(p + 2 * stride), _mm512_extractf64x2_pd(a, 1));
    _mm_storeu_pd((real *)(p + 4 * stride), _mm512_extractf64x2_pd(a, 2));
    _mm_storeu_pd((real *)(p + 6 * stride), _mm512_extractf64x2_pd(a, 3));
}
/* The 2 by 2 squares in the 128-bit lanes of 2 vectors, turned. */
static ALWAYS_INLINE void v_turn(v *r) {
    v a = _mm512_unpacklo_pd(r[0], r[1]);
    r[1] = _mm512_unpackhi_pd(r[0], r[1]);
    r[0] = a;
}

#endif

#include "fused.h"
