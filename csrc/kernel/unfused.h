/* Words for instruction sets without a fused multiply-add. */

static ALWAYS_INLINE v v_fma(v a, v b, v c) { return v_add(v_mul(a, b), c); }
static ALWAYS_INLINE v v_fnma(v a, v b, v c) { return v_sub(c, v_mul(a, b)); }

#if FSM_REAL_BITS == 64

/* x - n ln 2 / POWER_STEPS for integral n below 2^15: the first part of the constant has 38 bits, so that its product
   is exact. */
static ALWAYS_INLINE v v_reduce(v x, v n) {
    const v ln2_hi = v_set1(0x1.62e42fefap-1 / POWER_STEPS), ln2_lo = v_set1(0x1.cf79abc9e3b3ap-40 / POWER_STEPS);
    return v_fnma(n, ln2_lo, v_fnma(n, ln2_hi, x));
}

/* What a * b, rounded to `product`, left out (Dekker's product, but that the splitting cuts bits off,
   which cannot overflow). */
static ALWAYS_INLINE v v_product_error(v a, v b, v product) {
    v a_hi = v_upper_half(a), b_hi = v_upper_half(b);
    v a_lo = v_sub(a, a_hi), b_lo = v_sub(b, b_hi);
    v rest = v_sub(v_mul(a_hi, b_hi), product);
    return v_add(v_add(v_add(rest, v_mul(a_hi, b_lo)), v_mul(a_lo, b_hi)), v_mul(a_lo, b_lo));
}

/* a (hi + lo), rounded once but for the last terms' own rounding, times a power of two. */
static ALWAYS_INLINE v v_mul_pair(v a, v hi, v lo, v down) {
    v product = v_mul(a, hi);
    v error = v_add(v_product_error(a, hi, product), v_mul(a, lo));
    return v_mul(v_add(product, error), down);
}

#include "float64_sums.h"
#endif
