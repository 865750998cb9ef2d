/* The mean gradient of a chunk: the sum over its rows of share e - target y, in float64 for float32 and in pairs of
   float64 for float64, straight from the exponentials. A row's class that is treated apart is added apart.

   Rows along the lanes wait until there are WAITING of them, so that the sums are not read and written for each;
   they have their exponentials in scratch rows of their own. Rows across the lanes have a sum in each lane. */

struct waiting_row {
    const real *e;
    double hi[LANES], lo[LANES]; /* the row's share, in every lane */
    size_t at;
    double apart;
};

struct mean_sums {
    double *hi, *lo;
    size_t waiting;
    struct waiting_row row[WAITING];
};

static inline void open_mean(const struct fsm_job *job, const struct fsm_range *range, const struct scratch *s,
                             int across, struct mean_sums *m) {
    const size_t count = across ? job->classes * LANES : fsm_mean_pitch(job->classes);
    m->hi = across ? s->mean_hi : range->mean_hi;
    m->lo = across ? s->mean_lo : range->mean_lo;
    memset(m->hi, 0, count * sizeof(double));
    memset(m->lo, 0, count * sizeof(double));
}

/* Where a row's exponentials may wait. */
static ALWAYS_INLINE real *mean_row(const struct mean_sums *m, const struct scratch *s, const struct block *b) {
    return s->e + (b->across ? 0 : m->waiting * row_pitch(b->classes));
}

static ALWAYS_INLINE void add_to_sum(double *hi, double *lo, double value) {
    struct fsm_sum sum = sum_plus((struct fsm_sum){*hi, *lo}, (struct fsm_sum){value, 0});
    *hi = sum.hi;
    if (FSM_REAL_BITS == 64) *lo = sum.lo;
}

static ALWAYS_INLINE void add_waiting_vector(const struct mean_sums *m, size_t waiting, size_t offset, size_t lanes) {
    wide_acc sum = w_acc_load(m->hi + offset, m->lo + offset);
    for (size_t i = 0; i < waiting; i++) {
        const wide_factor share = w_factor_load(m->row[i].hi, m->row[i].lo);
        w_acc_add_scaled(&sum, load_lanes(m->row[i].e + offset, lanes, 0), &share);
    }
    w_acc_store(&sum, m->hi + offset, m->lo + offset);
}

/* Of the rows that wait, the classes from `begin`, the first of a vector, up to `end`. */
static NEVER_INLINE void add_waiting_classes(const struct mean_sums *m, size_t begin, size_t end) {
    const size_t tail = end % LANES, whole = end - tail;
    if (m->waiting == WAITING)
        for (size_t k = begin; k < whole; k += LANES) add_waiting_vector(m, WAITING, k, LANES);
    else
        for (size_t k = begin; k < whole; k += LANES) add_waiting_vector(m, m->waiting, k, LANES);
    if (tail) add_waiting_vector(m, m->waiting, whole, tail);
    for (size_t i = 0; i < m->waiting; i++) {
        const size_t at = m->row[i].at;
        if (begin <= at && at < end) add_to_sum(m->hi + at, m->lo + at, m->row[i].apart);
    }
}

static ALWAYS_INLINE void add_waiting_rows(struct mean_sums *m, size_t classes) {
    add_waiting_classes(m, 0, classes);
    m->waiting = 0;
}

/* In float64, what has been split of it has been taken out of the exponentials. */
static ALWAYS_INLINE struct fsm_sum mean_share(const struct row_results *r, size_t row) {
#if FSM_REAL_BITS == 32
    return (struct fsm_sum){r->share.hi[row] * ROOM, 0};
#else
    return (struct fsm_sum){r->probability.hi[row], r->probability.lo[row]};
#endif
}

static ALWAYS_INLINE void wait_for_more(const struct block *b, const struct row_results *r, struct mean_sums *m) {
    struct waiting_row *row = &m->row[m->waiting++];
    row->e = b->e;
    row->at = r->at[0];
    row->apart = r->apart[0];
    const struct fsm_sum share = mean_share(r, 0);
    for (size_t i = 0; i < LANES; i++) row->hi[i] = share.hi;
    for (size_t i = 0; i < LANES; i++) row->lo[i] = share.lo;
    b->e[r->at[0]] = 0;
}

static ALWAYS_INLINE void add_block_classes(const struct block *b, const wide_factor *share, const wide_factor *less,
                                            int any_dense, struct mean_sums *m) {
    for (size_t k = 0; k < b->count; k += LANES) {
        const size_t lanes = b->count - k < LANES ? b->count - k : LANES;
        wide_acc sum = w_acc_load(m->hi + k, m->lo + k);
        w_acc_add_scaled(&sum, load_lanes(b->e + k, lanes, 0), share);
        if (any_dense) w_acc_add_scaled(&sum, load_lanes(b->y + k, lanes, 0), less);
        w_acc_store(&sum, m->hi + k, m->lo + k);
    }
}

/* A block at once: any but rows along the lanes whose targets are labels. What the class treated apart would add is
   undone. */
static NEVER_INLINE void add_block_to_mean(const struct block *b, int any_dense, const struct row_results *r,
                                           struct mean_sums *m) {
    double share_hi[LANES], share_lo[LANES], target[LANES], zero[LANES], kept_hi[LANES], kept_lo[LANES];
    for (size_t i = 0; i < LANES; i++) {
        const size_t row = b->lanes == 1 ? 0 : i, at = r->at[row] * b->lanes + row;
        const struct fsm_sum one = mean_share(r, row);
        share_hi[i] = one.hi;
        share_lo[i] = one.lo;
        target[i] = -r->target[row];
        zero[i] = 0;
        kept_hi[i] = m->hi[at];
        kept_lo[i] = m->lo[at];
    }
    const wide_factor share = w_factor_load(share_hi, share_lo), less = w_factor_load(target, zero);
    if (any_dense)
        add_block_classes(b, &share, &less, 1, m);
    else
        add_block_classes(b, &share, &less, 0, m);
    for (size_t i = 0; i < b->lanes; i++) {
        const size_t at = r->at[i] * b->lanes + i;
        m->hi[at] = kept_hi[i];
        m->lo[at] = kept_lo[i];
        add_to_sum(m->hi + at, m->lo + at, r->apart[i]);
    }
}

static ALWAYS_INLINE void add_to_mean(const struct block *b, const struct targets *t, struct row_results *r,
                                      int want_grad, struct mean_sums *m) {
#if FSM_REAL_BITS == 64
    take_powers(b, &r->probability);
    r->probability.split = 0;
#endif
    if (!b->across && !t->any_dense && !want_grad) {
        wait_for_more(b, r, m);
        if (m->waiting == WAITING) add_waiting_rows(m, b->classes);
        return;
    }
    if (m->waiting > 0) add_waiting_rows(m, b->classes);
    const struct block copy = copy_of(b);
    add_block_to_mean(&copy, t->any_dense, r, m);
}

static inline void close_mean(const struct fsm_job *job, const struct fsm_range *range, int across,
                              struct mean_sums *m) {
    if (m->waiting > 0) add_waiting_rows(m, job->classes);
    for (size_t k = 0; across && k < job->classes; k++) {
        struct row_sums total;
        fold_sums(m->hi + k * LANES, m->lo + k * LANES, 1, LANES, &total);
        range->mean_hi[k] = total.hi[0];
        range->mean_lo[k] = total.lo[0];
    }
}
