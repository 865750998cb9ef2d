/* softmax, log_softmax and logsumexp. */

/* The maximum of a row along the lanes, looked for while the end of the row before it, a chain of operations that
   wait for each other, is under way. */
struct row_ahead {
    wide maximum;
    size_t sample; /* or NO_ROW */
};

#define NO_ROW SIZE_MAX
enum { LONGEST_AHEAD = 16384 / sizeof(real) }; /* so that the row at hand stays near */

static ALWAYS_INLINE void look_ahead(const struct fsm_job *job, const struct fsm_range *range, const struct block *b,
                                     struct row_ahead *ahead) {
    struct block next = *b;
    if (b->across || b->classes > LONGEST_AHEAD || job->where.data != NULL || !lies_along(job, &job->input)) return;
    if (++next.sample == range->end) return;
    next.x = (const real *)sample_address(job, &job->input, next.sample);
    *ahead = (struct row_ahead){row_maxima(&next, 0).first, next.sample};
}

/* What the exponentials are multiplied by, from their sums, which become shares; NaN where the maximum is not finite.
 */
static ALWAYS_INLINE void softmax_factors(size_t rows, const real *maxima, struct row_sums *sums,
                                          struct factors *factors) {
    shares_of_one(rows, maxima, sums);
    set_factors(factors, rows, sums);
}

static ALWAYS_INLINE void softmax_blocks(const struct fsm_job *job, struct fsm_range range, void *memory,
                                         int across) {
    const struct scratch all = cut_scratch(job, memory);
    const size_t most = most_slots(job);
    struct row_ahead ahead = {w_set1(0), NO_ROW};
    for (size_t sample = range.begin; sample < range.end;) {
        struct block b = next_block(job, &range, sample, most, across);
        const struct scratch s = slot_scratch(&all, &b);
        real maxima[LANES];
        struct row_sums sums;
        struct factors factors;
        b.x = open_view(job, &job->input, &b, s.x, 1, -(real)INFINITY);
        b.e = open_output(job, &job->out, &b, s.e);
        const wide maximum = !across && ahead.sample == sample ? ahead.maximum : row_maxima(&b, 0).first;
        const struct shifts shift = find_shifts(maximum, maximum);
        w_store(maxima, maximum);
        sum_exponentials(&b, &shift, NULL, 1, &sums);
        softmax_factors(b.lanes, maxima, &sums, &factors);
        look_ahead(job, &range, &b, &ahead);
        scale_rows(job, &b, &factors);
        close_output(job, &job->out, &b, b.e, 0);
        sample += b.rows;
    }
}
KERNEL(softmax)

struct log_scaling {
    const real *x;
    wide maximum, log_rest;
};

static ALWAYS_INLINE wide log_step(const void *context, size_t offset, size_t lanes) {
    const struct log_scaling *c = context;
    return w_sub(w_sub(load_lanes(c->x + offset, lanes, 0), c->maximum), c->log_rest);
}

/* (x - M) - log(1 + rest / top): two terms of one sign. */
static ALWAYS_INLINE void write_logs(const struct fsm_job *job, const struct block *b, const real *maxima,
                                     const real *log_rest) {
    const struct log_scaling c = {b->x, row_values(b, maxima), row_values(b, log_rest)};
    finish(job, &job->out, b, log_step, &c, b->e);
}

static ALWAYS_INLINE void log_softmax_blocks(const struct fsm_job *job, struct fsm_range range, void *memory,
                                             int across) {
    const struct scratch all = cut_scratch(job, memory);
    const size_t most = most_slots(job);
    for (size_t sample = range.begin; sample < range.end;) {
        struct block b = next_block(job, &range, sample, most, across);
        const struct scratch s = slot_scratch(&all, &b);
        struct peaks peaks;
        double logs[LANES];
        real log_rest[LANES];
        b.x = open_view(job, &job->input, &b, s.x, 1, -(real)INFINITY);
        b.e = open_output(job, &job->out, &b, s.e);
        if (!across && b.e != s.e) b.later = b.e;
        find_peaks(&b, &peaks);
        sum_rest(&b, &peaks, 0);
        logs_of_rest(b.lanes, &peaks, logs);
        for (size_t i = 0; i < b.lanes; i++) log_rest[i] = (real)logs[i];
        write_logs(job, &b, peaks.maximum, log_rest);
        close_output(job, &job->out, &b, b.e, -(real)INFINITY);
        sample += b.rows;
    }
}
KERNEL(log_softmax)

/* logsumexp of a row whose maximum is infinite, or that is all NaN: the infinity, unless there is a NaN. */
static inline double infinite_logsumexp(const struct block *b, size_t row, real maximum) {
    for (size_t k = 0; k < b->classes; k++)
        if (isnan(b->x[k * b->lanes + row])) return (double)NAN;
    return maximum;
}

static ALWAYS_INLINE void store_logsumexp(const struct fsm_job *job, const struct block *b, const struct peaks *p) {
    double values[LANES];
    logs_of_rest(b->lanes, p, values);
    for (size_t i = 0; i < b->lanes; i++) values[i] += p->maximum[i];
    for (size_t i = 0; i < b->rows; i++)
        if (!isfinite(p->maximum[i])) values[i] = infinite_logsumexp(b, i, p->maximum[i]);
    store_results(job, b, values);
}

static ALWAYS_INLINE void logsumexp_blocks(const struct fsm_job *job, struct fsm_range range, void *memory,
                                           int across) {
    const struct scratch all = cut_scratch(job, memory);
    const size_t most = most_slots(job);
    for (size_t sample = range.begin; sample < range.end;) {
        struct block b = next_block(job, &range, sample, most, across);
        const struct scratch s = slot_scratch(&all, &b);
        struct peaks peaks;
        b.x = open_view(job, &job->input, &b, s.x, 1, -(real)INFINITY);
        find_peaks(&b, &peaks);
        sum_rest(&b, &peaks, 0);
        store_logsumexp(job, &b, &peaks);
        sample += b.rows;
    }
}
KERNEL(logsumexp)
