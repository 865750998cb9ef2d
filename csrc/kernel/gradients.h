/* The loss and the gradient of a block, over targets of either kind.

   L = sum_k y_k (lse - f_k), and dL/df_k = Y p_k - y_k with Y = sum y. Written so that nothing cancels in a
   confident row: lse - f_k = (M - f_k) + log(1 + rest / top), two terms that are not negative, and at one class of
   each row, the target of a label or else the argmax, p - 1 is taken as minus the others' share. */

/* What a block's rows come to. */
struct row_results {
    double loss[LANES];
    struct row_sums share;      /* e times it, and ROOM: p, scaled as the gradient is */
    struct factors probability; /* the same as numbers of `real` */
    real target[LANES];         /* y times it is subtracted */
    size_t at[LANES];           /* the class treated apart ... */
    real apart[LANES];          /* ... and its gradient */
};

struct dense_sums {
    struct row_sums total; /* Y */
    struct row_sums below; /* sum y (M - f) */
};

struct below_maximum {
    const struct block *b;
    wide maximum; /* times DISTANCE_UNIT */
};

static ALWAYS_INLINE wide below_of(const struct below_maximum *c, wide f) {
    /* In a small unit, since M - f may overflow where a small y would bring it back. */
    return w_fnma(f, w_set1(DISTANCE_UNIT), c->maximum);
}

static ALWAYS_INLINE void add_two(wide_acc *sum, wide a, wide b) {
    w_acc_add(sum, a);
    w_acc_add(sum, b);
}
/* y times below, twice. Nothing of that is negative: where a product's rounding is one like that of M - f, in
   float64, one for two of them is enough. */
static ALWAYS_INLINE void add_two_products(wide_acc *sum, wide y, wide below, wide y2, wide below2) {
#if FSM_REAL_BITS == 32
    w_acc_add_product(sum, y, below);
    w_acc_add_product(sum, y2, below2);
#else
    w_acc_add(sum, w_fma(y2, below2, w_mul(y, below)));
#endif
}

static ALWAYS_INLINE void total_step(const void *context, struct two at, wide_acc *sums) {
    const struct below_maximum *c = context;
    add_two(&sums[0], load_first(c->b->y, at), load_second(c->b->y, at));
}
static ALWAYS_INLINE void dense_step(const void *context, struct two at, wide_acc *sums) {
    const struct below_maximum *c = context;
    const wide y = load_first(c->b->y, at), below = below_of(c, load_first(c->b->x, at));
    const wide y2 = load_second(c->b->y, at), below2 = below_of(c, load_second(c->b->x, at));
    add_two(&sums[0], y, y2);
    add_two_products(&sums[1], y, below, y2, below2);
}
/* Where nothing is wanted of a class at -inf, which counts as 0. */
static ALWAYS_INLINE void below_step(const void *context, struct two at, wide_acc *sums) {
    const struct below_maximum *c = context;
    const wide y = load_first(c->b->y, at), below = below_of(c, load_first(c->b->x, at));
    const wide y2 = load_second(c->b->y, at), below2 = below_of(c, load_second(c->b->x, at)), zero = w_set1(0);
    add_two_products(&sums[0], y, w_if_equal(y, zero, zero, below), y2, w_if_equal(y2, zero, zero, below2));
}

/* With a large unit, in which M - f may overflow, but not in a row of which this sum is taken. */
static ALWAYS_INLINE wide much_below(const struct below_maximum *c, wide f, wide y) {
    const wide below = w_mul(w_sub(c->maximum, f), w_set1(LARGE_DISTANCE_UNIT)), zero = w_set1(0);
    return w_if_equal(y, zero, zero, below);
}
static ALWAYS_INLINE void small_step(const void *context, struct two at, wide_acc *sums) {
    const struct below_maximum *c = context;
    const wide y = load_first(c->b->y, at), y2 = load_second(c->b->y, at);
    const wide below = much_below(c, load_first(c->b->x, at), y),
               below2 = much_below(c, load_second(c->b->x, at), y2);
    add_two_products(&sums[0], y, below, y2, below2);
}

static ALWAYS_INLINE int all_finite(size_t rows, const double *values) {
    real_bits others = 0;
    for (size_t i = 0; i < rows; i++) others |= !(fabs(values[i]) <= DBL_MAX);
    return !others;
}
static ALWAYS_INLINE int any_small(size_t rows, const double *values) {
    real_bits some = 0;
    for (size_t i = 0; i < rows; i++) some |= values[i] < SMALL_DISTANCES;
    return some != 0;
}

static ALWAYS_INLINE void scale_sums(size_t rows, struct row_sums *restrict sums, double unit) {
    for (size_t i = 0; i < rows; i++) set_row_sum(sums, i, (struct fsm_sum){sums->hi[i] * unit, sums->lo[i] * unit});
}

/* Of those rows whose targets are so small, all of them, that their products with distances are too. */
static NEVER_INLINE void sum_small(const struct block *restrict b, const struct peaks *restrict p,
                                   struct row_sums *restrict below) {
    const struct below_maximum c = {b, row_values(b, p->maximum)};
    struct row_sums large, *const sums[] = {&large};
    accumulate(b, small_step, &c, 1, sums);
    scale_sums(b->lanes, &large, 1 / (double)LARGE_DISTANCE_UNIT);
    for (size_t i = 0; i < b->lanes; i++)
        if (below->hi[i] < SMALL_DISTANCES) set_row_sum(below, i, row_sum(&large, i));
}

static NEVER_INLINE void sum_dense(const struct fsm_job *restrict job, const struct block *restrict b,
                                   const struct peaks *restrict p, struct dense_sums *restrict d) {
    const struct below_maximum c = {b, w_mul(row_values(b, p->maximum), w_set1(DISTANCE_UNIT))};
    struct row_sums *const sums[] = {&d->total, &d->below};
    if (!job->want_loss) {
        accumulate(b, total_step, &c, 1, sums);
        return;
    }
    accumulate(b, dense_step, &c, 2, sums);
    if (!all_finite(b->lanes, d->below.hi)) accumulate(b, below_step, &c, 1, sums + 1);
    scale_sums(b->lanes, &d->below, 1 / (double)DISTANCE_UNIT); /* a power of two: exact */
    if (FSM_REAL_BITS == 64 && any_small(b->lanes, d->below.hi)) sum_small(b, p, &d->below);
}

struct distances {
    const real *x;
    wide maximum; /* times DISTANCE_UNIT */
    wide none;    /* values at the maximum, */
    real fill;    /* and one, along the lanes */
};

static ALWAYS_INLINE void distance_step(const void *context, struct two at, wide_acc *sums) {
    const struct distances *c = context;
    const wide f = load_lanes(c->x + at.first, at.first_lanes, c->fill), unit = w_set1(DISTANCE_UNIT);
    const wide f2 = at.second_lanes ? load_lanes(c->x + at.second, at.second_lanes, c->fill) : c->none;
    w_acc_add(&sums[0], w_add(w_fnma(f, unit, c->maximum), w_fnma(f2, unit, c->maximum)));
}

/* Uniform targets s but for a label's own y: Y = (K - 1) s + y and sum y (M - f) = s sum (M - f) + (y - s) (M - f_t),
   all of them terms that are not negative. Again, what is infinite counts only where it is wanted. */
static NEVER_INLINE void uniform_sums(size_t rows, size_t classes, const struct peaks *restrict p,
                                      const struct targets *restrict t, const real *restrict f_label,
                                      struct dense_sums *restrict d) {
    const struct fsm_sum s = {t->other, 0}, own = {t->own, 0};
    const struct fsm_sum total = sum_plus(sum_times(s, (double)(classes - 1)), own);
    const struct fsm_sum more = sum_plus(own, sum_negative(s));
    const double unit = DISTANCE_UNIT;
    for (size_t i = 0; i < rows; i++) {
        const struct fsm_sum of_label = sum_product(more, sum_of(p->maximum[i] * unit, -(f_label[i] * unit)));
        const struct fsm_sum of_all = sum_times(row_sum(&d->below, i), s.hi), none = {0, 0};
        set_row_sum(&d->total, i, total);
        set_row_sum(&d->below, i,
                    sum_plus(sum_either(s.hi == 0, none, of_all), sum_either(more.hi == 0, none, of_label)));
    }
    scale_sums(rows, &d->below, 1 / unit);
}

static NEVER_INLINE void sum_uniform(const struct fsm_job *restrict job, const struct block *restrict b,
                                     const struct peaks *restrict p, const struct targets *restrict t,
                                     const real *restrict f_label, struct dense_sums *restrict d) {
    const wide maximum = row_values(b, p->maximum);
    const struct distances c = {b->x, w_mul(maximum, w_set1(DISTANCE_UNIT)), maximum, p->maximum[0]};
    struct row_sums *const sums[] = {&d->below};
    if (job->want_loss)
        accumulate(b, distance_step, &c, 1, sums);
    else
        d->below = (struct row_sums){0};
    uniform_sums(b->lanes, b->classes, p, t, f_label, d);
}

/* Probability 1 less a label's own, as a sum: without e_t where it is the largest; elsewhere the difference from
   `rest` is harmless, since `top` is added, and e_t is no larger. */
static ALWAYS_INLINE struct fsm_sum sum_of_others(const struct peaks *p, size_t row, size_t label,
                                                  struct fsm_sum e_label) {
    struct fsm_sum rest = row_sum(&p->rest, row);
    struct fsm_sum others = sum_plus(sum_plus(rest, sum_negative(e_label)), row_sum(&p->top, row));
    return sum_either(label == p->at[row], rest, others);
}

/* Losses and gradients of a label; an ignored row has weight 0. */
static ALWAYS_INLINE double label_loss(const struct peaks *p, const struct targets *t, size_t i, double f,
                                       double log_rest) {
    double weight = t->sample_weight[i] * t->label_weight[i], maximum = p->maximum[i], below = maximum - f;
    double loss = below + (log_rest + if_finite(below, fsm_sum_error(maximum, -f, below), 0));
    /* A weight of 0 leaves out even an infinite loss, but not a NaN. */
    return weight == 0 ? log_rest * 0 : weight * loss;
}

static ALWAYS_INLINE double label_apart(const struct peaks *p, const struct targets *t, size_t i,
                                        struct fsm_sum e_label, double scaled, struct fsm_sum share) {
    const struct fsm_sum others = sum_of_others(p, i, t->label[i], e_label);
    /* The room is taken from whichever factor does not underflow by it. */
    const int is_small = fabs(scaled) < 1;
    const double room = is_small ? ROOM : 1, other_room = is_small ? 1 : ROOM;
    const struct fsm_sum inside = {others.hi * room, others.lo * room};
    const struct fsm_sum outside = {share.hi * other_room, share.lo * other_room};
    return 0 - sum_value(sum_product(inside, outside));
}

static ALWAYS_INLINE double dense_loss(const struct dense_sums *d, const struct targets *t, size_t i,
                                       double log_rest) {
    const double loss = sum_value(sum_plus(row_sum(&d->below, i), sum_times(row_sum(&d->total, i), log_rest)));
    return t->sample_weight[i] == 0 ? log_rest * 0 : t->sample_weight[i] * loss;
}

/* Y p - y at the argmax: from the others' share where p is more than half, so that 1 - p is not made by subtraction,
   and as it stands where p is less, so that nothing is larger than p and y. */
static ALWAYS_INLINE struct fsm_sum dense_at_peak(const struct peaks *p, size_t i, struct whole all,
                                                  struct fsm_sum total, double y) {
    const struct fsm_sum less_y = {-y, 0}, rest = row_sum(&p->rest, i), top = row_sum(&p->top, i);
    const int from_rest = rest.hi < top.hi;
    const struct fsm_sum part = sum_product(total, part_of(sum_either(from_rest, rest, top), all));
    return sum_either(from_rest, sum_plus(sum_plus(total, less_y), sum_negative(part)), sum_plus(part, less_y));
}

/* Rows all at once, of labels alone and of both kinds. */
static NEVER_INLINE void label_losses(size_t rows, const struct peaks *restrict p, const struct targets *restrict t,
                                      const real *restrict f_label, double *restrict losses) {
    for (size_t i = 0; i < rows; i++) losses[i] = label_loss(p, t, i, f_label[i], log_of_rest(p, i));
}

static NEVER_INLINE void mixed_losses(size_t rows, const struct peaks *restrict p, const struct targets *restrict t,
                                      const struct dense_sums *restrict d, const real *restrict f_label,
                                      double *restrict losses) {
    for (size_t i = 0; i < rows; i++) {
        const double log_rest = log_of_rest(p, i), dense = dense_loss(d, t, i, log_rest);
        const double of_label = label_loss(p, t, i, f_label[i], log_rest);
        losses[i] = t->kind[i] == TARGET_DENSE ? dense : of_label;
    }
}

static NEVER_INLINE void label_gradients(double divisor, size_t rows, const struct peaks *restrict p,
                                         const struct targets *restrict t, const struct row_sums *restrict e_label,
                                         struct row_results *restrict r) {
    for (size_t i = 0; i < rows; i++) {
        const double scaled = t->sample_weight[i] * t->label_weight[i] / divisor;
        const struct fsm_sum share = share_of((struct fsm_sum){scaled, 0}, sum_of_all(p, i));
        set_row_sum(&r->share, i, share);
        r->target[i] = 0;
        r->at[i] = t->label[i];
        r->apart[i] = (real)label_apart(p, t, i, row_sum(e_label, i), scaled, share);
    }
}

/* `y_peak` is the target at the argmax. */
static NEVER_INLINE void mixed_gradients(double divisor, size_t rows, const struct peaks *restrict p,
                                         const struct targets *restrict t, const struct row_sums *restrict e_label,
                                         const struct dense_sums *restrict d, const real *restrict y_peak,
                                         struct row_results *restrict r) {
    for (size_t i = 0; i < rows; i++) {
        const int dense = t->kind[i] == TARGET_DENSE;
        const double weight = t->sample_weight[i], scaled = (dense ? weight : weight * t->label_weight[i]) / divisor;
        const struct fsm_sum total = row_sum(&d->total, i);
        const struct whole all = sum_of_all(p, i);
        const struct fsm_sum factor = sum_either(dense, sum_times(total, scaled), (struct fsm_sum){scaled, 0});
        const struct fsm_sum share = share_of(factor, all);
        const double of_label = label_apart(p, t, i, row_sum(e_label, i), scaled, share);
        const double of_dense = sum_value(sum_times(dense_at_peak(p, i, all, total, y_peak[i]), scaled));
        set_row_sum(&r->share, i, share);
        r->target[i] = dense ? (real)scaled : 0;
        r->at[i] = dense ? p->at[i] : t->label[i];
        r->apart[i] = (real)(dense ? of_dense : of_label);
    }
}

/* Whatever the logits of an ignored row are, nothing of them is to be seen. */
static ALWAYS_INLINE void blank_ignored(struct block *b, const struct targets *t, const struct scratch *s) {
    for (size_t i = 0; i < b->rows; i++) {
        if (t->kind[i] != TARGET_IGNORED) continue;
        for (size_t k = 0; k < b->classes; k++) s->x[k * b->lanes + i] = 0;
        b->x = s->x; /* across the lanes it is there already; along them the block is this row */
    }
}

/* What a block's rows come to by their sums: losses, and what their gradients are made with. */
static ALWAYS_INLINE void end_rows(const struct fsm_job *job, const struct block *b, int want_gradient,
                                   const real *f_label, const struct targets *t, const struct peaks *p,
                                   const struct dense_sums *d, struct row_results *r) {
    real y_peak[LANES];
    struct row_sums e_label;
    r->probability.split = 0;
    if (job->want_loss && !t->any_dense) label_losses(b->lanes, p, t, f_label, r->loss);
    if (job->want_loss && t->any_dense) mixed_losses(b->lanes, p, t, d, f_label, r->loss);
    if (!want_gradient) return;
    exponentials_of(b, &p->shift, f_label, &e_label);
    if (t->any_dense) {
        for (size_t i = 0; i < b->lanes; i++) y_peak[i] = target_at(b, t, i, p->at[i]);
        mixed_gradients(job->divisor, b->lanes, p, t, &e_label, d, y_peak, r);
    } else {
        label_gradients(job->divisor, b->lanes, p, t, &e_label, r);
    }
    set_factors(&r->probability, b->lanes, &r->share);
}

/* Everything about a block up to the gradient itself; the exponentials are in b->e if `want_gradient`. */
static ALWAYS_INLINE void work_rows(const struct fsm_job *job, struct block *b, const struct scratch *s,
                                    int want_gradient, struct targets *t, struct peaks *p, struct dense_sums *d,
                                    struct row_results *r) {
    real f_label[LANES];
    read_targets(job, b, s, t);
    if (t->any_ignored) blank_ignored(b, t, s);
    find_peaks(b, p);
    for (size_t i = 0; i < b->lanes; i++) f_label[i] = b->x[t->label[i] * b->lanes + i];
    if (t->any_dense && t->uniform) sum_uniform(job, b, p, t, f_label, d);
    if (t->any_dense && !t->uniform) sum_dense(job, b, p, d);
    sum_rest(b, p, want_gradient);
    end_rows(job, b, want_gradient, f_label, t, p, d, r);
}

struct gradient {
    const real *e, *y;
    struct wide_factors share;
    wide target;
};

static ALWAYS_INLINE wide gradient_step(const void *context, size_t offset, size_t lanes) {
    const struct gradient *c = context;
    wide share = times_factor(load_lanes(c->e + offset, lanes, 0), &c->share);
    return w_fnma(load_lanes(c->y + offset, lanes, 0), c->target, share);
}

struct uniform_gradient {
    const real *e;
    struct wide_factors share;
    wide target, y;
};

static ALWAYS_INLINE wide uniform_step(const void *context, size_t offset, size_t lanes) {
    const struct uniform_gradient *c = context;
    return w_fnma(c->y, c->target, times_factor(load_lanes(c->e + offset, lanes, 0), &c->share));
}

/* In each row, the value of the class that is treated apart, after `finish`. */
static ALWAYS_INLINE void put_apart(const struct fsm_job *job, const struct fsm_view *view, const struct block *b,
                                    const size_t *at, const real *apart, real *values) {
    if (!b->across && streams_along(job, view)) values = (real *)sample_address(job, view, b->sample);
    for (size_t i = 0; i < b->lanes; i++) values[at[i] * b->lanes + i] = apart[i];
}

/* From exponentials to the gradient, of uniform targets: first as if no class were a label. */
static ALWAYS_INLINE void write_uniform(const struct fsm_job *job, const struct block *b, const struct targets *t,
                                        const struct row_results *r) {
    real own[LANES];
    const struct wide_factors share = wide_factors(b, &r->probability);
    const struct uniform_gradient c = {b->e, share, row_values(b, r->target), w_set1(t->other)};
    for (size_t i = 0; i < b->lanes; i++) own[i] = b->e[t->label[i] * b->lanes + i];
    w_store(own, w_fnma(w_set1(t->own), c.target, times_factor(row_values(b, own), &share)));
    finish(job, &job->out, b, uniform_step, &c, b->e);
    put_apart(job, &job->out, b, t->label, own, b->e);
}

/* From exponentials to the gradient. */
static ALWAYS_INLINE void write_gradient(const struct fsm_job *job, const struct block *b, const struct targets *t,
                                         const struct row_results *r) {
    if (t->any_dense && b->y == NULL) {
        take_powers(b, &r->probability);
        write_uniform(job, b, t, r);
    } else if (t->any_dense) {
        take_powers(b, &r->probability);
        const struct gradient c = {b->e, b->y, wide_factors(b, &r->probability), row_values(b, r->target)};
        finish(job, &job->out, b, gradient_step, &c, b->e);
    } else {
        scale_rows(job, b, &r->probability);
    }
    put_apart(job, &job->out, b, r->at, r->apart, b->e);
}
