/* Gradient and the diagonal of the Hessian, factor * Y p (1 - p), per sample. */

struct hessian {
    const real *e;
    struct wide_factors probability, factor;
    wide power, least;
};

static ALWAYS_INLINE wide hessian_step(const void *context, size_t offset, size_t lanes) {
    const struct hessian *c = context;
    wide e = load_lanes(c->e + offset, lanes, 0);
    wide others = w_sub(w_set1(1), times_factor(e, &c->probability));
    wide h = w_mul(times_factor(w_mul(e, c->power), &c->factor), others);
    return w_max(c->least, h); /* NaN stays NaN */
}

static inline double hessian_factor(const struct fsm_job *job) {
    if (job->hessian == FSM_HESSIAN_XGBOOST) return 2;
    if (job->hessian == FSM_HESSIAN_LIGHTGBM) return (double)job->classes / (double)(job->classes - 1);
    return 1;
}

/* The Hessian of a block into `out`, from the exponentials; the argmax, whose p may be close to 1, from the
   others' sum. */
static ALWAYS_INLINE void write_hessian(const struct fsm_job *job, const struct block *b, const struct targets *t,
                                        const struct peaks *p, const struct dense_sums *d, real *out) {
    const real least = job->hessian == FSM_HESSIAN_XGBOOST ? (real)1e-16 : 0;
    const double convention = hessian_factor(job);
    struct factors probability, scaled;
    struct row_sums inverse, share;
    real apart[LANES];
    for (size_t i = 0; i < b->lanes; i++) {
        const struct whole all = sum_of_all(p, i);
        double total = t->kind[i] == TARGET_DENSE ? d->total.hi[i] : t->label_weight[i];
        double factor = convention * total * t->sample_weight[i];
        double top = sum_value(part_of(row_sum(&p->top, i), all));
        double rest = sum_value(part_of(row_sum(&p->rest, i), all));
        double h = factor * top * rest;
        set_row_sum(&inverse, i, share_of((struct fsm_sum){1, 0}, all));
        set_row_sum(&share, i, share_of((struct fsm_sum){factor, 0}, all));
        apart[i] = h < least ? least : (real)h;
    }
    set_factors(&probability, b->lanes, &inverse);
    set_factors(&scaled, b->lanes, &share);
    const struct hessian c = {b->e, wide_factors(b, &probability), wide_factors(b, &scaled),
                              row_values(b, scaled.power), w_set1(least)};
    finish(job, &job->hess, b, hessian_step, &c, out);
    put_apart(job, &job->hess, b, p->at, apart, out);
}

static ALWAYS_INLINE void grad_hess_blocks(const struct fsm_job *job, struct fsm_range range, void *memory,
                                           int across) {
    const struct scratch all = cut_scratch(job, memory);
    const size_t most = most_slots(job);
    prepare_targets(job, &all);
    for (size_t sample = range.begin; sample < range.end;) {
        struct block b = next_block(job, &range, sample, most, across);
        const struct scratch s = slot_scratch(&all, &b);
        struct targets t;
        struct peaks p;
        struct dense_sums d;
        struct row_results r;
        b.x = open_view(job, &job->input, &b, s.x, 0, 0);
        b.e = open_output(job, &job->out, &b, s.e);
        work_rows(job, &b, &s, 1, &t, &p, &d, &r);
        real *hess = open_output(job, &job->hess, &b, s.x); /* the input is not read any more */
        write_hessian(job, &b, &t, &p, &d, hess);
        close_output(job, &job->hess, &b, hess, 0);
        write_gradient(job, &b, &t, &r);
        close_output(job, &job->out, &b, b.e, 0);
        sample += b.rows;
    }
}
KERNEL(grad_hess)
