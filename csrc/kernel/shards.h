/* Rows of which these are a shard of the classes, the others being elsewhere.

   What a shard comes to is a state of a few float64 a row; states are merged, and from the whole row's a shard makes
   its own part of the probabilities or of the gradient. As all in it is relative to the row's maximum itself, it does
   not depend on how exponentials are kept here. */

/* The numbers of a state; the sums are two each, hi and lo. */
enum {
    STATE_MAXIMUM = 0,  /* M; NaN where there is a NaN in the row */
    STATE_REST = 1,     /* the sum of e^(x - M) without the largest class, times REST_SCALE */
    STATE_DISTANCE = 3, /* the sum of y (M - x) */
    STATE_MASS = 5,     /* the sum of y without the largest class, ... */
    STATE_TOP = 7       /* ... and its own y */
};

/* With it no rest that matters is subnormal: a weight may make it large again. */
#define REST_SCALE 0x1p256

/* What makes a row's output from its exponentials: factor e^(x - M) - target y, but `apart` where x is M, if `apart`
   is not NaN. */
enum { ROW_MAXIMUM = 0, ROW_FACTOR = 1, ROW_TARGET = 3, ROW_APART = 4 };

static inline double *row_number(const struct fsm_job *job, size_t sample, size_t number) {
    return (double *)(sample_address(job, &job->numbers, sample) + (ptrdiff_t)number * job->numbers.classes);
}

static inline void put_sum(const struct fsm_job *job, size_t sample, size_t number, struct fsm_sum sum) {
    *row_number(job, sample, number) = sum.hi;
    *row_number(job, sample, number + 1) = sum.lo;
}

/* Without its targets. A row without a finite maximum has no sums. */
static ALWAYS_INLINE void put_row(const struct fsm_job *job, const struct block *b, const struct peaks *p, size_t i) {
    const struct fsm_sum rest = row_sum(&p->rest, i), scaled = {rest.hi * REST_SCALE, rest.lo * REST_SCALE};
    const struct fsm_sum ratio = sum_quotient(scaled, row_sum(&p->top, i)), none = {0, 0};
    double maximum = isnan(rest.hi) ? (double)NAN : p->maximum[i];
    /* Infinities alone may make a NaN of the rest. */
    if (!isfinite(p->maximum[i])) maximum = infinite_logsumexp(b, i, p->maximum[i]);
    *row_number(job, b->sample + i, STATE_MAXIMUM) = maximum;
    put_sum(job, b->sample + i, STATE_REST, sum_either(isfinite(maximum), ratio, none));
}

static ALWAYS_INLINE void put_targets(const struct fsm_job *job, const struct block *b, const struct peaks *p,
                                      const struct dense_sums *d, size_t i) {
    const double top = b->y[p->at[i] * b->lanes + i];
    const struct fsm_sum total = row_sum(&d->total, i), less_top = {-top, 0};
    struct fsm_sum below = row_sum(&d->below, i);
    /* Of a row at -inf each class that is wanted is infinitely far from the maximum elsewhere. */
    if (!isfinite(p->maximum[i])) below = (struct fsm_sum){total.hi == 0 ? 0 : (double)INFINITY, 0};
    put_sum(job, b->sample + i, STATE_DISTANCE, below);
    put_sum(job, b->sample + i, STATE_MASS, sum_plus(total, less_top));
    *row_number(job, b->sample + i, STATE_TOP) = top;
}

static ALWAYS_INLINE void partial_state_blocks(const struct fsm_job *job, struct fsm_range range, void *memory,
                                               int across) {
    const struct scratch all = cut_scratch(job, memory);
    const size_t most = most_slots(job);
    const int has_targets = job->other.data != NULL;
    for (size_t sample = range.begin; sample < range.end;) {
        struct block b = next_block(job, &range, sample, most, across);
        const struct scratch s = slot_scratch(&all, &b);
        struct peaks peaks;
        struct dense_sums d;
        b.x = open_view(job, &job->input, &b, s.x, 0, 0);
        find_peaks(&b, &peaks);
        sum_rest(&b, &peaks, 0);
        if (has_targets) {
            b.y = open_view(job, &job->other, &b, s.y, 0, 0);
            const struct block copy = copy_of(&b);
            sum_dense(job, &copy, &peaks, &d);
        }
        for (size_t i = 0; i < b.rows; i++) {
            put_row(job, &b, &peaks, i);
            if (has_targets) put_targets(job, &b, &peaks, &d, i);
        }
        sample += b.rows;
    }
}
KERNEL(partial_state)

/* What is given of a block's rows. */
struct shard_rows {
    real maximum[LANES], target[LANES], at[LANES], apart[LANES];
    struct row_sums share;
    struct factors factors;
    struct shifts shift;
};

static ALWAYS_INLINE void read_row(const struct fsm_job *job, size_t sample, size_t i, struct shard_rows *r) {
    const struct fsm_sum factor = {*row_number(job, sample, ROW_FACTOR), *row_number(job, sample, ROW_FACTOR + 1)};
    const double apart = *row_number(job, sample, ROW_APART);
    r->maximum[i] = (real)*row_number(job, sample, ROW_MAXIMUM);
    r->target[i] = (real)*row_number(job, sample, ROW_TARGET);
    r->apart[i] = (real)apart;
    r->at[i] = isnan(apart) ? (real)NAN : r->maximum[i];
    set_row_sum(&r->share, i, factor);
}

static ALWAYS_INLINE void read_rows(const struct fsm_job *job, const struct block *b, struct shard_rows *r) {
    struct row_sums top;
    for (size_t i = 0; i < b->lanes; i++) read_row(job, b->sample + (i < b->rows ? i : 0), i, r);
    const wide maximum = row_values(b, r->maximum);
    r->shift = find_shifts(maximum, maximum);
    exponentials_of(b, &r->shift, r->maximum, &top);
    for (size_t i = 0; i < b->lanes; i++)
        set_row_sum(&r->share, i, share_of(row_sum(&r->share, i), whole_of(r->maximum[i], row_sum(&top, i))));
    set_factors(&r->factors, b->lanes, &r->share);
}

struct shard_exponentials {
    const real *x, *y;
    struct shifts shift;
    wide power;
    struct wide_factors factor;
    wide target, at, apart;
};

static ALWAYS_INLINE wide shard_share(const struct shard_exponentials *c, wide x) {
    return times_factor(w_mul(shifted_exp(x, &c->shift).e, c->power), &c->factor);
}

static ALWAYS_INLINE wide shard_step(const void *context, size_t offset, size_t lanes) {
    const struct shard_exponentials *c = context;
    return shard_share(c, load_lanes(c->x + offset, lanes, 0));
}

static ALWAYS_INLINE wide shard_less_step(const void *context, size_t offset, size_t lanes) {
    const struct shard_exponentials *c = context;
    const wide x = load_lanes(c->x + offset, lanes, 0);
    const wide less = w_fnma(load_lanes(c->y + offset, lanes, 0), c->target, shard_share(c, x));
    return w_if_equal(x, c->at, c->apart, less);
}

static ALWAYS_INLINE void shard_exponentials_blocks(const struct fsm_job *job, struct fsm_range range, void *memory,
                                                    int across) {
    const struct scratch all = cut_scratch(job, memory);
    const size_t most = most_slots(job);
    for (size_t sample = range.begin; sample < range.end;) {
        struct block b = next_block(job, &range, sample, most, across);
        const struct scratch s = slot_scratch(&all, &b);
        struct shard_rows r;
        b.x = open_view(job, &job->input, &b, s.x, 0, 0);
        if (job->other.data != NULL) b.y = open_view(job, &job->other, &b, s.y, 0, 0);
        b.e = open_output(job, &job->out, &b, s.e);
        read_rows(job, &b, &r);
        const struct shard_exponentials c = {b.x,
                                             b.y,
                                             r.shift,
                                             row_values(&b, r.factors.power),
                                             wide_factors(&b, &r.factors),
                                             row_values(&b, r.target),
                                             row_values(&b, r.at),
                                             row_values(&b, r.apart)};
        if (b.y != NULL)
            finish(job, &job->out, &b, shard_less_step, &c, b.e);
        else
            finish(job, &job->out, &b, shard_step, &c, b.e);
        close_output(job, &job->out, &b, b.e, 0);
        sample += b.rows;
    }
}
KERNEL(shard_exponentials)
