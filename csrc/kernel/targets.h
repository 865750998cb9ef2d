/* What a block's targets are: a class a row with its weight, or a row of weights y over all classes.

   y_k = w_k ((1 - eps) t_k + eps / K) with class weights w and label smoothing eps; t is one-hot for labels. A row
   of probabilities with a single entry is treated as the label that it is, which gives it the label's bits. */

enum row_target { TARGET_IGNORED, TARGET_LABEL, TARGET_DENSE };

struct targets {
    real_bits kind[LANES]; /* enum row_target, as wide as a lane */
    size_t label[LANES];
    double label_weight[LANES];  /* w_t t_t of a label */
    double sample_weight[LANES]; /* 0 where ignored */
    int any_dense, any_ignored;
    /* Labels with smoothing alone: y is `other` but for the label's `own`, and need not be written out. */
    int uniform;
    real other, own;
};

/* Read once, so that what is checked is what is used, whatever the caller's other threads write meanwhile. */
static inline int64_t label_at(const struct fsm_job *job, size_t sample) {
    const char *p = sample_address(job, &job->labels, sample);
    return job->labels_are_64_bit ? *(const volatile int64_t *)p : *(const volatile int32_t *)p;
}

static inline double sample_weight_at(const struct fsm_job *job, size_t sample) {
    if (job->sample_weight.data == NULL) return 1;
    return *(const double *)sample_address(job, &job->sample_weight, sample);
}

static inline double class_weight_at(const struct fsm_job *job, size_t k) {
    return job->class_weight == NULL ? 1 : job->class_weight[k];
}

/* y_k for a class with target 1 or 0; the same roundings as effective_step's. */
static inline real effective_target(const struct fsm_job *job, const struct scratch *s, size_t k, int is_target) {
    real smooth = (real)(job->label_smoothing / (double)job->classes);
    real y = is_target ? (real)(1 - job->label_smoothing) + smooth : smooth;
    return job->class_weight == NULL ? y : y * s->class_weight[k];
}

/* What of the targets is the same for all samples. */
static inline void prepare_targets(const struct fsm_job *job, const struct scratch *s) {
    if (job->class_weight != NULL)
        for (size_t k = 0; k < job->classes; k++) s->class_weight[k] = (real)job->class_weight[k];
    if (job->labels.data != NULL && job->label_smoothing != 0)
        for (size_t k = 0; k < job->classes; k++) s->target_row[k] = effective_target(job, s, k, 0);
}

struct effective {
    const struct block *b;
    const real *t, *class_weight;
    wide keep, smooth;
};

static ALWAYS_INLINE wide effective_step(const void *context, size_t offset, size_t lanes) {
    const struct effective *c = context;
    wide y = w_fma(load_lanes(c->t + offset, lanes, 0), c->keep, c->smooth);
    if (c->class_weight == NULL) return y;
    if (c->b->across) return w_mul(y, w_set1(c->class_weight[offset / LANES]));
    return w_mul(y, load_lanes(c->class_weight + offset, lanes, 0));
}

/* In each lane how many targets are not 0, and the last vector with one, as a lane holds its number. */
struct nonzero {
    wide count, last;
};

static ALWAYS_INLINE void count_nonzero(struct nonzero *n, wide t, size_t vector) {
    const wide zero = w_set1(0);
    n->count = w_add(n->count, w_if_equal(t, zero, zero, w_set1(1)));
    n->last = w_if_equal(t, zero, n->last, w_number(vector));
}

static ALWAYS_INLINE struct nonzero find_nonzero(const struct block *b) {
    const size_t full = b->count / LANES, tail = b->count % LANES;
    const wide one = w_set1(1);
    struct nonzero n = {w_set1(0), w_index(0)};
    for (size_t i = 0; i < full; i++) {
        count_nonzero(&n, w_load(b->y + i * LANES), i);
        /* Most rows are known after a few vectors. */
        if (i % 4 == 3 && !w_any_equal(w_max(n.count, one), one)) return n;
    }
    if (tail) count_nonzero(&n, w_load_tail(b->y + full * LANES, tail, 0), full);
    return n;
}

/* A target other than 0 in a lane, of whose vector's number the lane holds what fits. `classes` if it is not there
   any more: the caller's other threads may write to the targets. */
static inline size_t find_target(const struct block *b, size_t vector, size_t lane) {
    const size_t vectors = (b->classes + LANES - 1) / LANES;
    for (; vector < vectors; vector += (size_t)LARGEST_NUMBER + 1) {
        const size_t k = vector * LANES + lane;
        if (k < b->classes && b->y[k] != 0) return k;
    }
    return b->classes;
}

/* The only class with a target other than 0 in each row of probabilities, or `classes` where there is not just one.
 */
static NEVER_INLINE void only_targets(const struct block *b, size_t *only) {
    only[0] = b->classes;
    if (!b->across && b->classes > 1 && b->y[0] != 0 && b->y[1] != 0) return; /* as in most rows that are dense */
    const struct nonzero n = find_nonzero(b);
    real count[LANES], lanes[LANES];
    real_bits last[LANES];
    w_store(count, n.count);
    w_store(lanes, n.last);
    memcpy(last, lanes, sizeof last);
    if (b->across) {
        for (size_t i = 0; i < LANES; i++) only[i] = count[i] == 1 ? (size_t)last[i] : b->classes;
        return;
    }
    real total = 0;
    for (size_t i = 0; i < LANES; i++) {
        total += count[i];
        if (count[i] != 1) continue;
        only[0] = find_target(b, (size_t)last[i], i);
    }
    if (total != 1) only[0] = b->classes;
}

/* In range or ignored, as was checked; but the caller's other threads may have written to the labels since. */
static ALWAYS_INLINE void read_labels(const struct fsm_job *job, const struct block *b, struct targets *t) {
    const enum row_target kind = job->label_smoothing != 0 ? TARGET_DENSE : TARGET_LABEL;
    for (size_t i = 0; i < b->rows; i++) {
        const int64_t label = label_at(job, b->sample + i);
        const int ignored = (job->has_ignore_index && label == job->ignore_index) || (uint64_t)label >= job->classes;
        t->kind[i] = ignored ? TARGET_IGNORED : kind;
        t->label[i] = ignored ? 0 : (size_t)label;
        t->label_weight[i] = t->sample_weight[i] = ignored ? 0 : 1;
        t->any_ignored |= ignored;
        t->any_dense |= !ignored && kind == TARGET_DENSE;
    }
    if (job->class_weight == NULL && job->sample_weight.data == NULL) return;
    for (size_t i = 0; i < b->rows; i++) {
        if (t->kind[i] == TARGET_IGNORED) continue;
        t->label_weight[i] = class_weight_at(job, t->label[i]);
        t->sample_weight[i] = sample_weight_at(job, b->sample + i);
    }
}

static NEVER_INLINE void read_probabilities(const struct fsm_job *job, const struct block *b, struct targets *t) {
    size_t only[LANES];
    if (job->label_smoothing == 0) only_targets(b, only);
    for (size_t i = 0; i < b->rows; i++) {
        const int dense = job->label_smoothing != 0 || only[i] == b->classes;
        t->kind[i] = dense ? TARGET_DENSE : TARGET_LABEL;
        t->any_dense |= dense;
        t->label[i] = dense ? 0 : only[i];
        t->label_weight[i] = dense ? 0 : b->y[only[i] * b->lanes + i] * class_weight_at(job, only[i]);
        t->sample_weight[i] = sample_weight_at(job, b->sample + i);
    }
}

/* b->y for labels with smoothing: the row without a target, but for the target's own entry. */
static NEVER_INLINE void smooth_labels(const struct fsm_job *job, const struct block *b, const struct scratch *s,
                                       const struct targets *t) {
    if (b->across)
        for (size_t k = 0; k < b->classes; k++) w_store(s->y + k * LANES, w_set1(s->target_row[k]));
    else
        memcpy(s->y, s->target_row, b->classes * sizeof *s->y);
    for (size_t i = 0; i < b->rows; i++)
        if (t->kind[i] == TARGET_DENSE) s->y[t->label[i] * b->lanes + i] = effective_target(job, s, t->label[i], 1);
}

/* y of one class, in a dense row. */
static ALWAYS_INLINE real target_at(const struct block *b, const struct targets *t, size_t row, size_t k) {
    if (!t->uniform) return b->y[k * b->lanes + row];
    return k == t->label[row] ? t->own : t->other;
}

/* Reads the block's targets; b->y becomes the rows y where any is dense, unless they are uniform and only the mean
   gradient would read them. */
static ALWAYS_INLINE void read_targets(const struct fsm_job *job, struct block *b, const struct scratch *s,
                                       struct targets *t) {
    for (size_t i = b->across ? b->rows : 0; i < b->lanes; i++) {
        t->kind[i] = TARGET_IGNORED;
        t->label[i] = 0;
        t->label_weight[i] = t->sample_weight[i] = 0;
    }
    t->any_dense = t->any_ignored = t->uniform = 0;
    if (job->labels.data != NULL) {
        read_labels(job, b, t);
        if (!t->any_dense) return;
        t->uniform = job->class_weight == NULL;
        t->other = effective_target(job, s, 0, 0);
        t->own = effective_target(job, s, 0, 1);
        if (t->uniform && !job->want_mean_grad) return;
        smooth_labels(job, b, s, t);
        b->y = s->y;
        return;
    }
    b->y = open_view(job, &job->other, b, s->y, 0, 0);
    const struct block copy = copy_of(b);
    read_probabilities(job, &copy, t);
    if (!t->any_dense || (job->class_weight == NULL && job->label_smoothing == 0)) return;
    const struct effective c = {b, b->y, job->class_weight == NULL ? NULL : s->class_weight,
                                w_set1((real)(1 - job->label_smoothing)),
                                w_set1((real)(job->label_smoothing / (double)job->classes))};
    transform(b, effective_step, &c, s->y);
    b->y = s->y;
}
