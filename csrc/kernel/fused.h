/* Words that follow from a fused multiply-add. */

/* x - n ln 2 / POWER_STEPS for integral n. Cody and Waite's two steps: the first is exact, since n times the rounded
   constant is a multiple of its last bit and what is left needs no more bits than a `real` has. */
static ALWAYS_INLINE v v_reduce(v x, v n) {
#if FSM_REAL_BITS == 32
    const v ln2_hi = v_set1(0x1.62e43p-1f / POWER_STEPS), ln2_lo = v_set1(-0x1.05c61p-29f / POWER_STEPS);
#else
    const v ln2_hi = v_set1(0x1.62e42fefa39efp-1 / POWER_STEPS), ln2_lo = v_set1(0x1.abc9e3b39803fp-56 / POWER_STEPS);
#endif
    return v_fnma(n, ln2_lo, v_fnma(n, ln2_hi, x));
}

/* a (hi + lo), rounded once but for the last term's own rounding, times a power of two. */
static ALWAYS_INLINE v v_mul_pair(v a, v hi, v lo, v down) { return v_mul(v_fma(a, hi, v_mul(a, lo)), down); }

#if FSM_REAL_BITS == 64
/* What a * b, rounded to `product`, left out. */
static ALWAYS_INLINE v v_product_error(v a, v b, v product) { return v_fma(a, b, v_sub(v_set1(0), product)); }
#include "float64_sums.h"
#endif
