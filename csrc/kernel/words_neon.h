/* The words of the kernels in AArch64's Advanced SIMD. */
#include <arm_neon.h>

#include "real.h"

#define HAS_FUSED_MULTIPLY_ADD 1
enum { NATIVE = LANES / 4 };

#if FSM_REAL_BITS == 32

typedef float32x4_t v;

static ALWAYS_INLINE v v_load(const real *p) { return vld1q_f32(p); }
static ALWAYS_INLINE void v_store(real *p, v a) { vst1q_f32(p, a); }
static ALWAYS_INLINE v v_set1(real x) { return vdupq_n_f32(x); }
static ALWAYS_INLINE v v_index(real_bits i) { return vreinterpretq_f32_s32(vdupq_n_s32(i)); }
static ALWAYS_INLINE v v_add(v a, v b) { return vaddq_f32(a, b); }
static ALWAYS_INLINE v v_sub(v a, v b) { return vsubq_f32(a, b); }
static ALWAYS_INLINE v v_mul(v a, v b) { return vmulq_f32(a, b); }
static ALWAYS_INLINE v v_fma(v a, v b, v c) { return vfmaq_f32(c, a, b); }
static ALWAYS_INLINE v v_fnma(v a, v b, v c) { return vfmsq_f32(c, a, b); }
static ALWAYS_INLINE v v_max(v a, v b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static ALWAYS_INLINE v v_pow2(v rounded, v bits) {
    int32x4_t sum = vaddq_s32(vreinterpretq_s32_f32(rounded), vreinterpretq_s32_f32(bits));
    return vreinterpretq_f32_s32(vshlq_n_s32(sum, MANTISSA_BITS));
}
static ALWAYS_INLINE v v_zero_at(v a, v index, v at) {
    uint32x4_t drop = vceqq_s32(vreinterpretq_s32_f32(index), vreinterpretq_s32_f32(at));
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a), drop));
}
static ALWAYS_INLINE int v_any_equal(v a, v b) { return vmaxvq_u32(vceqq_f32(a, b)) != 0; }
static ALWAYS_INLINE v v_if_equal(v a, v b, v yes, v no) { return vbslq_f32(vceqq_f32(a, b), yes, no); }

typedef struct {
    float64x2_t low, high;
    v residual;
} acc;

static ALWAYS_INLINE float64x2_t low_half(v a) { return vcvt_f64_f32(vget_low_f32(a)); }
static ALWAYS_INLINE float64x2_t high_half(v a) { return vcvt_high_f64_f32(a); }

static ALWAYS_INLINE acc acc_zero(void) { return (acc){vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f32(0)}; }
static ALWAYS_INLINE void acc_add(acc *s, v a, v residual) {
    s->low = vaddq_f64(s->low, low_half(a));
    s->high = vaddq_f64(s->high, high_half(a));
    s->residual = vaddq_f32(s->residual, residual);
}
static ALWAYS_INLINE void acc_add_product(acc *s, v a, v b) {
    s->low = vfmaq_f64(s->low, low_half(a), low_half(b));
    s->high = vfmaq_f64(s->high, high_half(a), high_half(b));
}
static ALWAYS_INLINE void acc_store(const acc *s, double *hi, double *lo) {
    vst1q_f64(hi, s->low);
    vst1q_f64(hi + 2, s->high);
    vst1q_f64(lo, low_half(s->residual));
    vst1q_f64(lo + 2, high_half(s->residual));
}
static ALWAYS_INLINE void sum_into(double *hi, double *lo, v a) {
    (void)lo;
    vst1q_f64(hi, vaddq_f64(vld1q_f64(hi), low_half(a)));
    vst1q_f64(hi + 2, vaddq_f64(vld1q_f64(hi + 2), high_half(a)));
}

#else

typedef float64x2_t v;

static ALWAYS_INLINE v v_load(const real *p) { return vld1q_f64(p); }
static ALWAYS_INLINE void v_store(real *p, v a) { vst1q_f64(p, a); }
static ALWAYS_INLINE v v_set1(real x) { return vdupq_n_f64(x); }
static ALWAYS_INLINE v v_index(real_bits i) { return vreinterpretq_f64_s64(vdupq_n_s64(i)); }
static ALWAYS_INLINE v v_add(v a, v b) { return vaddq_f64(a, b); }
static ALWAYS_INLINE v v_sub(v a, v b) { return vsubq_f64(a, b); }
static ALWAYS_INLINE v v_mul(v a, v b) { return vmulq_f64(a, b); }
static ALWAYS_INLINE v v_fma(v a, v b, v c) { return vfmaq_f64(c, a, b); }
static ALWAYS_INLINE v v_fnma(v a, v b, v c) { return vfmsq_f64(c, a, b); }
static ALWAYS_INLINE v v_max(v a, v b) { return vbslq_f64(vcgtq_f64(a, b), a, b); }
static ALWAYS_INLINE v v_pow2(v rounded, v bits) {
    int64x2_t sum = vaddq_s64(vreinterpretq_s64_f64(rounded), vreinterpretq_s64_f64(bits));
    return vreinterpretq_f64_s64(vshlq_n_s64(sum, MANTISSA_BITS));
}
static ALWAYS_INLINE v v_zero_at(v a, v index, v at) {
    uint64x2_t drop = vceqq_s64(vreinterpretq_s64_f64(index), vreinterpretq_s64_f64(at));
    return vreinterpretq_f64_u64(vbicq_u64(vreinterpretq_u64_f64(a), drop));
}
static ALWAYS_INLINE int v_any_equal(v a, v b) { return vmaxvq_u32(vreinterpretq_u32_u64(vceqq_f64(a, b))) != 0; }
static ALWAYS_INLINE v v_if_equal(v a, v b, v yes, v no) { return vbslq_f64(vceqq_f64(a, b), yes, no); }

#endif

#include "partial.h"
#include "transpose.h"
#include "fused.h"
