/* Sums of float64 vectors, kept to twice the precision as the unevaluated sum of two. */

typedef struct {
    v sum, residual;
} acc;

static ALWAYS_INLINE acc acc_zero(void) { return (acc){v_set1(0), v_set1(0)}; }

/* What a + b, rounded to `sum`, left out (Knuth's two-sum). */
static ALWAYS_INLINE v v_sum_error(v a, v b, v sum) {
    v b_part = v_sub(sum, a);
    return v_add(v_sub(a, v_sub(sum, b_part)), v_sub(b, b_part));
}

static ALWAYS_INLINE void acc_add(acc *s, v a) {
    v sum = v_add(s->sum, a);
    s->residual = v_add(s->residual, v_sum_error(s->sum, a, sum));
    s->sum = sum;
}
static ALWAYS_INLINE void acc_add_product(acc *s, v a, v b) {
    v product = v_mul(a, b);
    acc_add(s, product);
    s->residual = v_add(s->residual, v_product_error(a, b, product));
}
static ALWAYS_INLINE void acc_store(const acc *s, double *hi, double *lo) {
    v_store(hi, s->sum);
    v_store(lo, s->residual);
}
static ALWAYS_INLINE acc acc_load(const double *hi, const double *lo) { return (acc){v_load(hi), v_load(lo)}; }

/* What a sum's terms are multiplied by. */
typedef struct {
    v hi, lo;
} factor;
static ALWAYS_INLINE factor factor_load(const double *hi, const double *lo) {
    return (factor){v_load(hi), v_load(lo)};
}
static ALWAYS_INLINE void acc_add_scaled(acc *s, v a, factor f) { acc_add(s, v_fma(a, f.hi, v_mul(a, f.lo))); }
