/* Cross-entropy: loss, gradient, mean gradient, and gradient with Hessian, over targets of either kind.

   L = sum_k y_k (lse - f_k), and dL/df_k = Y p_k - y_k with Y = sum y. Written so that nothing cancels in a
   confident row: lse - f_k = (M - f_k) + log(1 + rest / top), two terms that are not negative, and at one class of
   each row, the target of a label or else the argmax, p - 1 is taken as minus the others' share. */

/* What a block's rows come to. */
struct row_results {
    double loss[LANES];
    struct factors probability; /* e times it: p, scaled as the gradient is */
    real target[LANES];         /* y times it is subtracted */
    size_t at[LANES];           /* the class treated apart ... */
    real apart[LANES];          /* ... and its gradient */
};

struct dense_sums {
    struct fsm_sum total[LANES]; /* Y */
    struct fsm_sum below[LANES]; /* sum y (M - f), times DISTANCE_UNIT */
};

struct below_maximum {
    const struct block *b;
    wide maximum; /* times DISTANCE_UNIT */
};

static ALWAYS_INLINE void total_step(const void *context, size_t offset, size_t lanes, size_t vector, int special,
                                     wide_acc *sum) {
    const struct below_maximum *c = context;
    (void)vector, (void)special;
    w_acc_add(sum, load_lanes(c->b->y + offset, lanes, 0), w_set1(0));
}
static ALWAYS_INLINE void below_step(const void *context, size_t offset, size_t lanes, size_t vector, int special,
                                     wide_acc *sum) {
    const struct below_maximum *c = context;
    (void)vector, (void)special;
    const wide zero = w_set1(0);
    wide y = load_lanes(c->b->y + offset, lanes, 0);
    /* In a small unit, since M - f may overflow where a small y would bring it back. */
    wide below = w_fnma(load_lanes(c->b->x + offset, lanes, 0), w_set1(DISTANCE_UNIT), c->maximum);
    w_acc_add_product(sum, y, w_if_equal(y, zero, zero, below)); /* nothing of a class at -inf counts as 0 */
}

static inline void sum_dense(const struct fsm_job *job, const struct block *b, const struct peaks *p,
                             struct dense_sums *d) {
    const struct below_maximum c = {b, w_mul(row_values(b, p->maximum), w_set1(DISTANCE_UNIT))};
    accumulate(b, total_step, &c, NO_VECTOR, d->total);
    if (job->want_loss) accumulate(b, below_step, &c, NO_VECTOR, d->below);
}

/* Probability 1 less a label's own, as a sum: without e_t where it is the largest; elsewhere the difference from
   `rest` is harmless, since `top` is added, and e_t is no larger. */
static inline struct fsm_sum sum_of_others(const struct peaks *p, size_t row, size_t label, struct fsm_sum e_label) {
    if (label == p->at[row]) return p->rest[row];
    return sum_plus(sum_plus(p->rest[row], sum_negative(e_label)), p->top[row]);
}

static inline void finish_label(const struct fsm_job *job, const struct peaks *p, size_t i, const struct targets *t,
                                real f_label, struct fsm_sum e_label, struct row_results *r) {
    double weight = t->sample_weight[i] * t->label_weight[i], scaled = weight / job->divisor;
    double log_rest = job->want_loss ? log_of_rest(p, i) : 0;
    double below = (double)p->maximum[i] - f_label;
    double below_error = isfinite(below) ? fsm_sum_error(p->maximum[i], -(double)f_label, below) : 0;
    /* A weight of 0 leaves out even an infinite loss, but not a NaN. */
    r->loss[i] = weight * (weight == 0 ? log_rest * 0 : below + (log_rest + below_error));
    struct fsm_sum all = sum_of_all(p, i);
    struct fsm_sum others = sum_quotient(sum_of_others(p, i, t->label[i], e_label), all);
    set_factor(&r->probability, i, sum_quotient((struct fsm_sum){scaled, 0}, all));
    r->target[i] = 0;
    r->at[i] = t->label[i];
    r->apart[i] = (real)(0 - sum_value(sum_times(others, scaled)));
}

/* Y p - y at the argmax: from the others' share where p is more than half, so that 1 - p is not made by subtraction,
   and as it stands where p is less, so that nothing is larger than p and y. */
static inline struct fsm_sum dense_at_peak(const struct peaks *p, size_t i, struct fsm_sum all, struct fsm_sum total,
                                           double y) {
    const struct fsm_sum less_y = {-y, 0};
    if (p->rest[i].hi < p->top[i].hi) {
        struct fsm_sum others = sum_product(total, sum_quotient(p->rest[i], all));
        return sum_plus(sum_plus(total, less_y), sum_negative(others));
    }
    return sum_plus(sum_product(total, sum_quotient(p->top[i], all)), less_y);
}

static inline void finish_dense(const struct fsm_job *job, const struct block *b, const struct peaks *p, size_t i,
                                const struct targets *t, const struct dense_sums *d, struct row_results *r) {
    double scaled = t->sample_weight[i] / job->divisor;
    if (job->want_loss) {
        const double unit = 1 / (double)DISTANCE_UNIT; /* a power of two: exact */
        struct fsm_sum below = {d->below[i].hi * unit, d->below[i].lo * unit};
        double loss = sum_value(sum_plus(below, sum_times(d->total[i], log_of_rest(p, i))));
        r->loss[i] = t->sample_weight[i] * (t->sample_weight[i] == 0 ? log_of_rest(p, i) * 0 : loss);
    }
    struct fsm_sum all = sum_of_all(p, i);
    set_factor(&r->probability, i, sum_quotient(sum_times(d->total[i], scaled), all));
    r->target[i] = (real)scaled;
    r->at[i] = p->at[i];
    double y = b->y[p->at[i] * b->lanes + i];
    r->apart[i] = (real)sum_value(sum_times(dense_at_peak(p, i, all, d->total[i], y), scaled));
}

static inline void ignore_row(size_t i, struct row_results *r) {
    set_factor(&r->probability, i, (struct fsm_sum){0, 0});
    r->loss[i] = 0;
    r->target[i] = 0;
    r->at[i] = 0;
    r->apart[i] = 0;
}

/* Whatever the logits of an ignored row are, nothing of them is to be seen. */
static inline void blank_ignored(struct block *b, const struct targets *t, const struct scratch *s) {
    for (size_t i = 0; i < b->rows; i++) {
        if (t->kind[i] != TARGET_IGNORED) continue;
        for (size_t k = 0; k < b->classes; k++) s->x[k * b->lanes + i] = 0;
        b->x = s->x; /* across the lanes it is there already; along them the block is this row */
    }
}

/* Everything about a block up to the gradient itself; the exponentials are in b->e if `store`. */
static inline void work_rows(const struct fsm_job *job, struct block *b, const struct scratch *s, int store,
                             struct targets *t, struct peaks *p, struct dense_sums *d, struct row_results *r) {
    real f_label[LANES] = {0};
    struct fsm_sum e_label[LANES];
    read_targets(job, b, s, t);
    blank_ignored(b, t, s);
    find_peaks(b, p);
    for (size_t i = 0; i < b->rows; i++)
        if (t->kind[i] == TARGET_LABEL) f_label[i] = b->x[t->label[i] * b->lanes + i];
    exponentials_of(b, p->shift, f_label, e_label);
    if (t->any_dense) sum_dense(job, b, p, d);
    sum_exponentials(b, p->shift, p->at, store, p->rest);
    r->probability.split = 0;
    for (size_t i = 0; i < b->lanes; i++) {
        if (t->kind[i] == TARGET_LABEL)
            finish_label(job, p, i, t, f_label[i], e_label[i], r);
        else if (t->kind[i] == TARGET_DENSE)
            finish_dense(job, b, p, i, t, d, r);
        else
            ignore_row(i, r);
    }
}

struct gradient {
    const real *e, *y;
    wide hi, lo, target;
};

static ALWAYS_INLINE wide gradient_step(const void *context, size_t offset, size_t lanes) {
    const struct gradient *c = context;
    wide share = w_mul_pair(load_lanes(c->e + offset, lanes, 0), c->hi, c->lo);
    return w_fnma(load_lanes(c->y + offset, lanes, 0), c->target, share);
}

/* b->e from exponentials to the gradient. */
static inline void write_gradient(const struct block *b, const struct targets *t, const struct row_results *r) {
    if (t->any_dense) {
        take_powers(b, &r->probability);
        const struct gradient c = {b->e, b->y, row_values(b, r->probability.hi), row_values(b, r->probability.lo),
                                   row_values(b, r->target)};
        transform(b, gradient_step, &c, b->e);
    } else {
        scale_rows(b, &r->probability);
    }
    for (size_t i = 0; i < b->lanes; i++) b->e[r->at[i] * b->lanes + i] = r->apart[i];
}

static inline void add_to_mean(const struct block *b, double *hi, double *lo) {
    size_t full = b->count / LANES, tail = b->count % LANES;
    for (size_t i = 0; i < full; i++) w_sum_into(hi + i * LANES, lo + i * LANES, w_load(b->e + i * LANES));
    if (tail) w_sum_into(hi + full * LANES, lo + full * LANES, w_load_tail(b->e + full * LANES, tail, 0));
}

/* A chunk's own sums: where the chunk keeps them along the lanes, else one a lane in scratch memory. */
static inline void open_mean(const struct fsm_job *job, size_t chunk, const struct scratch *s, double **hi,
                             double **lo) {
    const int across = goes_across(job);
    const size_t pitch = fsm_mean_pitch(job->classes), count = across ? job->classes * LANES : pitch;
    *hi = across ? s->mean_hi : job->chunk_mean_hi + chunk * pitch;
    *lo = across ? s->mean_lo : job->chunk_mean_lo + chunk * pitch;
    memset(*hi, 0, count * sizeof(double));
    memset(*lo, 0, count * sizeof(double));
}

static inline void close_mean(const struct fsm_job *job, size_t chunk, double *hi, double *lo) {
    if (!goes_across(job)) return;
    const size_t pitch = fsm_mean_pitch(job->classes);
    for (size_t k = 0; k < job->classes; k++) {
        struct fsm_sum total;
        fold_sums(hi + k * LANES, lo + k * LANES, 1, LANES, &total);
        job->chunk_mean_hi[chunk * pitch + k] = total.hi;
        job->chunk_mean_lo[chunk * pitch + k] = total.lo;
    }
}

static inline void add_loss(struct fsm_loss *total, double loss) {
    if (loss > 0x1p960)
        total->huge = sum_plus(total->huge, (struct fsm_sum){loss * 0x1p-64, 0});
    else
        total->common = sum_plus(total->common, (struct fsm_sum){loss, 0});
}

static void FSM_NAME(cross_entropy)(const struct fsm_job *job, struct fsm_range range, void *memory) {
    const struct scratch s = cut_scratch(job, memory);
    struct fsm_loss loss = {{0, 0}, {0, 0}};
    double *mean_hi = NULL, *mean_lo = NULL;
    const int want_grad = job->out.data != NULL;
    prepare_targets(job, &s);
    if (job->want_mean_grad) open_mean(job, range.chunk, &s, &mean_hi, &mean_lo);
    for (size_t sample = range.begin; sample < range.end;) {
        struct block b = next_block(job, sample, range.end);
        struct targets t;
        struct peaks p;
        struct dense_sums d;
        struct row_results r;
        b.x = open_view(job, &job->input, &b, s.x, 0, 0);
        b.e = open_output(job, &job->out, &b, s.e);
        work_rows(job, &b, &s, want_grad || job->want_mean_grad, &t, &p, &d, &r);
        for (size_t i = 0; job->want_loss && i < b.rows; i++) {
            if (job->losses.data != NULL)
                store_real(sample_address(job, &job->losses, sample + i), job->storage, r.loss[i]);
            add_loss(&loss, r.loss[i]);
        }
        if (want_grad || job->want_mean_grad) write_gradient(&b, &t, &r);
        if (job->want_mean_grad) add_to_mean(&b, mean_hi, mean_lo);
        if (want_grad) close_output(job, &job->out, &b, b.e, 0);
        sample += b.rows;
    }
    if (job->want_mean_grad) close_mean(job, range.chunk, mean_hi, mean_lo);
    job->chunk_loss[range.chunk] = loss;
}
