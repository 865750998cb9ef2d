/* The words of the kernels in portable C, one lane at a time. */
#include <math.h>
#include <string.h>

#include "real.h"

static ALWAYS_INLINE void end_streaming(void) {}
enum { NATIVE = 1 };

typedef real v;

static ALWAYS_INLINE v v_from_bits(real_bits bits) {
    v a;
    memcpy(&a, &bits, sizeof a);
    return a;
}
static ALWAYS_INLINE real_bits v_to_bits(v a) {
    real_bits bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}

static ALWAYS_INLINE v v_load(const real *p) { return *p; }
static ALWAYS_INLINE void v_store(real *p, v a) { *p = a; }
static ALWAYS_INLINE void v_stream(real *p, v a) { *p = a; }
static ALWAYS_INLINE v v_set1(real x) { return x; }
static ALWAYS_INLINE v v_index(real_bits i) { return v_from_bits(i); }
static ALWAYS_INLINE v v_add(v a, v b) { return a + b; }
static ALWAYS_INLINE v v_sub(v a, v b) { return a - b; }
static ALWAYS_INLINE v v_mul(v a, v b) { return a * b; }
static ALWAYS_INLINE v v_max(v a, v b) { return a > b ? a : b; }
static ALWAYS_INLINE v v_min(v a, v b) { return a < b ? a : b; }
static ALWAYS_INLINE v v_swap(v a, size_t half) {
    (void)half; /* there is one lane */
    return a;
}
static ALWAYS_INLINE real v_first(v a) { return a; }
static ALWAYS_INLINE v v_power(v steps) { return power_table[v_to_bits(steps) & (POWER_STEPS - 1)]; }
static ALWAYS_INLINE v v_put_at(v a, v index, v at, v other) { return v_to_bits(index) == v_to_bits(at) ? other : a; }
static ALWAYS_INLINE int v_any_equal(v a, v b) { return a == b; }
static ALWAYS_INLINE v v_if_equal(v a, v b, v yes, v no) { return a == b ? yes : no; }
static ALWAYS_INLINE v v_if_greater(v a, v b, v yes, v no) { return a > b ? yes : no; }

/* A square of one value needs no turning. */
enum { SQUARE = 1 };
static ALWAYS_INLINE v v_load_rows(const char *p, ptrdiff_t stride) {
    (void)stride;
    return *(const real *)p;
}
static ALWAYS_INLINE void v_store_rows(char *p, ptrdiff_t stride, v a) {
    (void)stride;
    *(real *)p = a;
}
static ALWAYS_INLINE void v_turn(v *r) { (void)r; }

#if FSM_REAL_BITS == 32

static ALWAYS_INLINE v v_scale(v steps) {
    uint32_t exponent = (uint32_t)v_to_bits(steps) << (MANTISSA_BITS - POWER_BITS);
    return v_from_bits((int32_t)(exponent & EXPONENT_MASK));
}

typedef struct {
    double sum;
} acc;

static ALWAYS_INLINE acc acc_zero(void) { return (acc){0}; }
static ALWAYS_INLINE void acc_add(acc *s, v a) { s->sum += a; }
static ALWAYS_INLINE void acc_add_product(acc *s, v a, v b) { s->sum += (double)a * b; }
static ALWAYS_INLINE void acc_store(const acc *s, double *hi, double *lo) {
    (void)lo;
    *hi = s->sum;
}
static ALWAYS_INLINE acc acc_load(const double *hi, const double *lo) {
    (void)lo;
    return (acc){*hi};
}

typedef acc factor;
static ALWAYS_INLINE factor factor_load(const double *hi, const double *lo) { return acc_load(hi, lo); }
static ALWAYS_INLINE void acc_add_scaled(acc *s, v a, factor f) { s->sum += a * f.sum; }
static ALWAYS_INLINE void add_to(double *hi, v a) { *hi += a; }

#else

static ALWAYS_INLINE v v_scale(v steps) {
    uint64_t exponent = (uint64_t)v_to_bits(steps) << (MANTISSA_BITS - POWER_BITS);
    return v_from_bits((int64_t)(exponent & EXPONENT_MASK));
}
static ALWAYS_INLINE v v_upper_half(v a) { return v_from_bits(v_to_bits(a) & UPPER_HALF); }

#endif

#include "partial.h"

#if (FSM_REAL_BITS == 32 && defined(FP_FAST_FMAF)) || (FSM_REAL_BITS == 64 && defined(FP_FAST_FMA))

#define HAS_FUSED_MULTIPLY_ADD 1
#if FSM_REAL_BITS == 32
static ALWAYS_INLINE v v_fma(v a, v b, v c) { return fmaf(a, b, c); }
static ALWAYS_INLINE v v_fnma(v a, v b, v c) { return fmaf(-a, b, c); }
#else
static ALWAYS_INLINE v v_fma(v a, v b, v c) { return fma(a, b, c); }
static ALWAYS_INLINE v v_fnma(v a, v b, v c) { return fma(-a, b, c); }
#endif
#include "fused.h"

#else

#define HAS_FUSED_MULTIPLY_ADD 0
#if FSM_REAL_BITS == 32
/* Products of two float32 are exact in float64, which stands in for the fused operation. */
static ALWAYS_INLINE v v_reduce(v x, v n) {
    return (v)((double)x - (double)n * (0x1.62e42fefa39efp-1 / POWER_STEPS));
}
static ALWAYS_INLINE v v_mul_pair(v a, v hi, v lo, v down) { return (v)(a * ((double)hi + lo) * down); }
#endif
#include "unfused.h"

#endif
