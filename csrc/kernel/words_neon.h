/* The words of the kernels in AArch64's Advanced SIMD. */
#include <arm_neon.h>

#include "real.h"

#define HAS_FUSED_MULTIPLY_ADD 1
static ALWAYS_INLINE void end_streaming(void) {}
enum { NATIVE = LANES / 4 };

#if FSM_REAL_BITS == 32

typedef float32x4_t v;

static ALWAYS_INLINE v v_load(const real *p) { return vld1q_f32(p); }
static ALWAYS_INLINE void v_store(real *p, v a) { vst1q_f32(p, a); }
static ALWAYS_INLINE void v_stream(real *p, v a) { vst1q_f32(p, a); }
static ALWAYS_INLINE v v_set1(real x) { return vdupq_n_f32(x); }
static ALWAYS_INLINE v v_index(real_bits i) { return vreinterpretq_f32_s32(vdupq_n_s32(i)); }
static ALWAYS_INLINE v v_add(v a, v b) { return vaddq_f32(a, b); }
static ALWAYS_INLINE v v_sub(v a, v b) { return vsubq_f32(a, b); }
static ALWAYS_INLINE v v_mul(v a, v b) { return vmulq_f32(a, b); }
static ALWAYS_INLINE v v_fma(v a, v b, v c) { return vfmaq_f32(c, a, b); }
static ALWAYS_INLINE v v_fnma(v a, v b, v c) { return vfmsq_f32(c, a, b); }
static ALWAYS_INLINE v v_max(v a, v b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static ALWAYS_INLINE v v_min(v a, v b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
/* Lanes `half` apart change places. */
static ALWAYS_INLINE v v_swap(v a, size_t half) { return half == 2 ? vextq_f32(a, a, 2) : vrev64q_f32(a); }
static ALWAYS_INLINE real v_first(v a) { return vgetq_lane_f32(a, 0); }
static ALWAYS_INLINE v v_scale(v steps) {
    uint32x4_t exponent = vshlq_n_u32(vreinterpretq_u32_f32(steps), MANTISSA_BITS - POWER_BITS);
    return vreinterpretq_f32_u32(vandq_u32(exponent, vdupq_n_u32(EXPONENT_MASK)));
}
/* The table is looked up byte by byte: those of entry j are numbers 4 j ... 4 j + 3. */
static ALWAYS_INLINE v v_power(v steps) {
    const uint8_t *table = (const uint8_t *)power_table;
    const uint8x16x2_t bytes = {{vld1q_u8(table), vld1q_u8(table + 16)}};
    uint32x4_t j = vandq_u32(vreinterpretq_u32_f32(steps), vdupq_n_u32(POWER_STEPS - 1));
    uint32x4_t at = vmlaq_n_u32(vdupq_n_u32(0x03020100), j, 0x04040404);
    return vreinterpretq_f32_u8(vqtbl2q_u8(bytes, vreinterpretq_u8_u32(at)));
}
static ALWAYS_INLINE v v_put_at(v a, v index, v at, v other) {
    return vbslq_f32(vceqq_s32(vreinterpretq_s32_f32(index), vreinterpretq_s32_f32(at)), other, a);
}
static ALWAYS_INLINE int v_any_equal(v a, v b) { return vmaxvq_u32(vceqq_f32(a, b)) != 0; }
static ALWAYS_INLINE v v_if_equal(v a, v b, v yes, v no) { return vbslq_f32(vceqq_f32(a, b), yes, no); }
static ALWAYS_INLINE v v_if_greater(v a, v b, v yes, v no) { return vbslq_f32(vcgtq_f32(a, b), yes, no); }

enum { SQUARE = NATIVE };

static ALWAYS_INLINE v v_load_rows(const char *p, ptrdiff_t stride) {
    (void)stride;
    return vld1q_f32((const real *)p);
}
static ALWAYS_INLINE void v_store_rows(char *p, ptrdiff_t stride, v a) {
    (void)stride;
    vst1q_f32((real *)p, a);
}
/* The square in 4 vectors, turned. */
static ALWAYS_INLINE void v_turn(v *r) {
    float64x2_t a = vreinterpretq_f64_f32(vzip1q_f32(r[0], r[1])), b = vreinterpretq_f64_f32(vzip2q_f32(r[0], r[1]));
    float64x2_t c = vreinterpretq_f64_f32(vzip1q_f32(r[2], r[3])), d = vreinterpretq_f64_f32(vzip2q_f32(r[2], r[3]));
    r[0] = vreinterpretq_f32_f64(vzip1q_f64(a, c));
    r[1] = vreinterpretq_f32_f64(vzip2q_f64(a, c));
    r[2] = vreinterpretq_f32_f64(vzip1q_f64(b, d));
    r[3] = vreinterpretq_f32_f64(vzip2q_f64(b, d));
}

typedef struct {
    float64x2_t low, high;
} acc;

static ALWAYS_INLINE float64x2_t low_half(v a) { return vcvt_f64_f32(vget_low_f32(a)); }
static ALWAYS_INLINE float64x2_t high_half(v a) { return vcvt_high_f64_f32(a); }

static ALWAYS_INLINE acc acc_zero(void) { return (acc){vdupq_n_f64(0), vdupq_n_f64(0)}; }
static ALWAYS_INLINE void acc_add(acc *s, v a) {
    s->low = vaddq_f64(s->low, low_half(a));
    s->high = vaddq_f64(s->high, high_half(a));
}
static ALWAYS_INLINE void acc_add_product(acc *s, v a, v b) {
    s->low = vfmaq_f64(s->low, low_half(a), low_half(b));
    s->high = vfmaq_f64(s->high, high_half(a), high_half(b));
}
static ALWAYS_INLINE void acc_store(const acc *s, double *hi, double *lo) {
    (void)lo;
    vst1q_f64(hi, s->low);
    vst1q_f64(hi + 2, s->high);
}
static ALWAYS_INLINE acc acc_load(const double *hi, const double *lo) {
    (void)lo;
    return (acc){vld1q_f64(hi), vld1q_f64(hi + 2)};
}

typedef acc factor;
static ALWAYS_INLINE factor factor_load(const double *hi, const double *lo) { return acc_load(hi, lo); }
static ALWAYS_INLINE void acc_add_scaled(acc *s, v a, factor f) {
    s->low = vfmaq_f64(s->low, low_half(a), f.low);
    s->high = vfmaq_f64(s->high, high_half(a), f.high);
}

#else

typedef float64x2_t v;

static ALWAYS_INLINE v v_load(const real *p) { return vld1q_f64(p); }
static ALWAYS_INLINE void v_store(real *p, v a) { vst1q_f64(p, a); }
static ALWAYS_INLINE void v_stream(real *p, v a) { vst1q_f64(p, a); }
static ALWAYS_INLINE v v_set1(real x) { return vdupq_n_f64(x); }
static ALWAYS_INLINE v v_index(real_bits i) { return vreinterpretq_f64_s64(vdupq_n_s64(i)); }
static ALWAYS_INLINE v v_add(v a, v b) { return vaddq_f64(a, b); }
static ALWAYS_INLINE v v_sub(v a, v b) { return vsubq_f64(a, b); }
static ALWAYS_INLINE v v_mul(v a, v b) { return vmulq_f64(a, b); }
static ALWAYS_INLINE v v_fma(v a, v b, v c) { return vfmaq_f64(c, a, b); }
static ALWAYS_INLINE v v_fnma(v a, v b, v c) { return vfmsq_f64(c, a, b); }
static ALWAYS_INLINE v v_max(v a, v b) { return vbslq_f64(vcgtq_f64(a, b), a, b); }
static ALWAYS_INLINE v v_min(v a, v b) { return vbslq_f64(vcltq_f64(a, b), a, b); }
static ALWAYS_INLINE v v_swap(v a, size_t half) {
    (void)half;
    return vextq_f64(a, a, 1);
}
static ALWAYS_INLINE real v_first(v a) { return vgetq_lane_f64(a, 0); }
static ALWAYS_INLINE v v_scale(v steps) {
    uint64x2_t exponent = vshlq_n_u64(vreinterpretq_u64_f64(steps), MANTISSA_BITS - POWER_BITS);
    return vreinterpretq_f64_u64(vandq_u64(exponent, vdupq_n_u64(EXPONENT_MASK)));
}
/* The table is looked up byte by byte: those of entry j are numbers 8 j ... 8 j + 7. */
static ALWAYS_INLINE v v_power(v steps) {
    const uint8_t *table = (const uint8_t *)power_table;
    const uint8x16x2_t bytes = {{vld1q_u8(table), vld1q_u8(table + 16)}};
    uint32x4_t low = vreinterpretq_u32_f64(steps);
    uint32x4_t j = vandq_u32(vtrn1q_u32(low, low), vdupq_n_u32(POWER_STEPS - 1));
    uint32x4_t first = vreinterpretq_u32_u64(vdupq_n_u64(0x0706050403020100));
    uint32x4_t at = vmlaq_n_u32(first, j, 0x08080808);
    return vreinterpretq_f64_u8(vqtbl2q_u8(bytes, vreinterpretq_u8_u32(at)));
}
static ALWAYS_INLINE v v_put_at(v a, v index, v at, v other) {
    return vbslq_f64(vceqq_s64(vreinterpretq_s64_f64(index), vreinterpretq_s64_f64(at)), other, a);
}
static ALWAYS_INLINE int v_any_equal(v a, v b) { return vmaxvq_u32(vreinterpretq_u32_u64(vceqq_f64(a, b))) != 0; }
static ALWAYS_INLINE v v_if_equal(v a, v b, v yes, v no) { return vbslq_f64(vceqq_f64(a, b), yes, no); }
static ALWAYS_INLINE v v_if_greater(v a, v b, v yes, v no) { return vbslq_f64(vcgtq_f64(a, b), yes, no); }

enum { SQUARE = NATIVE };

static ALWAYS_INLINE v v_load_rows(const char *p, ptrdiff_t stride) {
    (void)stride;
    return vld1q_f64((const real *)p);
}
static ALWAYS_INLINE void v_store_rows(char *p, ptrdiff_t stride, v a) {
    (void)stride;
    vst1q_f64((real *)p, a);
}
/* The square in 2 vectors, turned. */
static ALWAYS_INLINE void v_turn(v *r) {
    v a = vzip1q_f64(r[0], r[1]);
    r[1] = vzip2q_f64(r[0], r[1]);
    r[0] = a;
}

#endif

#include "partial.h"
#include "fused.h"
