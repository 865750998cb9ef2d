/* The machine with LANES lanes: REGISTERS of an instruction set's own vectors side by side. */

#include <string.h>

enum { REGISTERS = LANES / NATIVE };

#define EACH_REGISTER(i) UNROLLED for (size_t i = 0; i < REGISTERS; i++)

typedef struct {
    v r[REGISTERS];
} wide;

typedef struct {
    acc r[REGISTERS];
} wide_acc;

static ALWAYS_INLINE wide w_load(const real *p) {
    wide a;
    EACH_REGISTER (i) a.r[i] = v_load(p + i * NATIVE);
    return a;
}
static ALWAYS_INLINE void w_store(real *p, wide a) {
    EACH_REGISTER (i) v_store(p + i * NATIVE, a.r[i]);
}
/* Past the caches; p is a multiple of 64 bytes. */
static ALWAYS_INLINE void w_stream(real *p, wide a) {
    EACH_REGISTER (i) v_stream(p + i * NATIVE, a.r[i]);
}

/* The first `count` lanes from memory, `fill` in the others; nothing is touched beyond them. */
static ALWAYS_INLINE wide w_load_tail(const real *p, size_t count, real fill) {
    wide a;
    EACH_REGISTER (i) {
        size_t before = i * NATIVE, some = count < before ? 0 : count - before;
        a.r[i] = v_load_some(p + before, some < NATIVE ? some : NATIVE, v_set1(fill));
    }
    return a;
}
static ALWAYS_INLINE void w_store_tail(real *p, size_t count, wide a) {
    EACH_REGISTER (i) {
        size_t before = i * NATIVE, some = count < before ? 0 : count - before;
        v_store_some(p + before, some < NATIVE ? some : NATIVE, a.r[i]);
    }
}

static ALWAYS_INLINE wide w_set1(real x) {
    wide a;
    EACH_REGISTER (i) a.r[i] = v_set1(x);
    return a;
}
static ALWAYS_INLINE wide w_index(real_bits index) {
    wide a;
    EACH_REGISTER (i) a.r[i] = v_index(index);
    return a;
}
/* A number of any size as a lane holds it: its low bits, which never are -1. Where that is not enough, whoever asks
   looks further. */
static ALWAYS_INLINE real_bits lane_number(size_t number) { return (real_bits)(number & (size_t)LARGEST_NUMBER); }
static ALWAYS_INLINE wide w_number(size_t number) { return w_index(lane_number(number)); }
static ALWAYS_INLINE wide w_load_index(const real_bits *p) {
    real lanes[LANES];
    memcpy(lanes, p, sizeof lanes);
    return w_load(lanes);
}

static ALWAYS_INLINE wide w_add(wide a, wide b) {
    EACH_REGISTER (i) a.r[i] = v_add(a.r[i], b.r[i]);
    return a;
}
static ALWAYS_INLINE wide w_sub(wide a, wide b) {
    EACH_REGISTER (i) a.r[i] = v_sub(a.r[i], b.r[i]);
    return a;
}
static ALWAYS_INLINE wide w_mul(wide a, wide b) {
    EACH_REGISTER (i) a.r[i] = v_mul(a.r[i], b.r[i]);
    return a;
}
static ALWAYS_INLINE wide w_fma(wide a, wide b, wide c) {
    EACH_REGISTER (i) a.r[i] = v_fma(a.r[i], b.r[i], c.r[i]);
    return a;
}
static ALWAYS_INLINE wide w_fnma(wide a, wide b, wide c) {
    EACH_REGISTER (i) a.r[i] = v_fnma(a.r[i], b.r[i], c.r[i]);
    return a;
}
/* a > b ? a : b, which is b where either is NaN. */
static ALWAYS_INLINE wide w_max(wide a, wide b) {
    EACH_REGISTER (i) a.r[i] = v_max(a.r[i], b.r[i]);
    return a;
}
/* a < b ? a : b */
static ALWAYS_INLINE wide w_min(wide a, wide b) {
    EACH_REGISTER (i) a.r[i] = v_min(a.r[i], b.r[i]);
    return a;
}
static ALWAYS_INLINE wide w_reduce(wide x, wide n) {
    EACH_REGISTER (i) x.r[i] = v_reduce(x.r[i], n.r[i]);
    return x;
}
/* Of a number of steps of 1 / POWER_STEPS, in the low bits of its sum with ROUND_TO_INTEGER: 2^whole steps, where the
   exponent's bias is part of the steps, and the power that is left. */
static ALWAYS_INLINE wide w_scale(wide steps) {
    EACH_REGISTER (i) steps.r[i] = v_scale(steps.r[i]);
    return steps;
}
static ALWAYS_INLINE wide w_power(wide steps) {
    EACH_REGISTER (i) steps.r[i] = v_power(steps.r[i]);
    return steps;
}
/* a (hi + lo) down */
static LARGE_WORD wide w_mul_pair(wide a, wide hi, wide lo, wide down) {
    EACH_REGISTER (i) a.r[i] = v_mul_pair(a.r[i], hi.r[i], lo.r[i], down.r[i]);
    return a;
}
/* a, with `other` in the lanes whose index is `at`. */
static ALWAYS_INLINE wide w_put_at(wide a, wide index, wide at, wide other) {
    EACH_REGISTER (i) a.r[i] = v_put_at(a.r[i], index.r[i], at.r[i], other.r[i]);
    return a;
}
static ALWAYS_INLINE int w_any_equal(wide a, wide b) {
    int any = 0;
    EACH_REGISTER (i) any |= v_any_equal(a.r[i], b.r[i]);
    return any;
}
static ALWAYS_INLINE wide w_if_equal(wide a, wide b, wide yes, wide no) {
    EACH_REGISTER (i) a.r[i] = v_if_equal(a.r[i], b.r[i], yes.r[i], no.r[i]);
    return a;
}

static ALWAYS_INLINE wide w_if_greater(wide a, wide b, wide yes, wide no) {
    EACH_REGISTER (i) a.r[i] = v_if_greater(a.r[i], b.r[i], yes.r[i], no.r[i]);
    return a;
}

/* Lanes `half` apart, a power of two, change places. */
static ALWAYS_INLINE wide w_swap(wide a, size_t half) {
    wide b;
    EACH_REGISTER (i) b.r[i] = half >= NATIVE ? a.r[i ^ half / NATIVE] : v_swap(a.r[i], half);
    return b;
}
static ALWAYS_INLINE real w_first(wide a) { return v_first(a.r[0]); }

static ALWAYS_INLINE wide_acc w_acc_zero(void) {
    wide_acc s;
    EACH_REGISTER (i) s.r[i] = acc_zero();
    return s;
}
static ALWAYS_INLINE void w_acc_add(wide_acc *s, wide a) {
    EACH_REGISTER (i) acc_add(&s->r[i], a.r[i]);
}
static ALWAYS_INLINE void w_acc_add_product(wide_acc *s, wide a, wide b) {
    EACH_REGISTER (i) acc_add_product(&s->r[i], a.r[i], b.r[i]);
}
static ALWAYS_INLINE void w_acc_store(const wide_acc *s, double *hi, double *lo) {
    EACH_REGISTER (i) acc_store(&s->r[i], hi + i * NATIVE, lo + i * NATIVE);
}
static ALWAYS_INLINE wide_acc w_acc_load(const double *hi, const double *lo) {
    wide_acc s;
    EACH_REGISTER (i) s.r[i] = acc_load(hi + i * NATIVE, lo + i * NATIVE);
    return s;
}

typedef struct {
    factor r[REGISTERS];
} wide_factor;

static ALWAYS_INLINE wide_factor w_factor_load(const double *hi, const double *lo) {
    wide_factor f;
    EACH_REGISTER (i) f.r[i] = factor_load(hi + i * NATIVE, lo + i * NATIVE);
    return f;
}
static ALWAYS_INLINE void w_acc_add_scaled(wide_acc *s, wide a, const wide_factor *f) {
    EACH_REGISTER (i) acc_add_scaled(&s->r[i], a.r[i], f->r[i]);
}
