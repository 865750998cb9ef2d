/* What every operation asks of a block's rows: maxima, shifted exponentials and their sums. */

/* A thread's scratch memory, cut up. */
struct scratch {
    real *x, *e, *y;
    real *target_row;   /* one row of effective targets, for labels with smoothing */
    real *class_weight; /* the class weights as `real` */
    double *mean_hi, *mean_lo;
};

static inline size_t in_lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* The sizes of the pieces; 0 where a job has no use for one, so that very long rows that are worked on where they lie
   take no memory. */
struct scratch_layout {
    size_t x, e, y, target_row, class_weight, sums;
};

/* Rows along the lanes that wait to be added to the mean gradient have their exponentials side by side. */
enum { WAITING = 4 };
static inline size_t row_pitch(size_t classes) { return (classes + LANES - 1) / LANES * LANES; }

/* Across the lanes the exponentials take their logits' place, which nobody asks for any more but for a Hessian's. */
static inline int shares_scratch(const struct fsm_job *job) { return goes_across(job) && job->hess.data == NULL; }

/* Whether a block's values of a view are copied. */
static inline int is_copied(const struct fsm_job *job, const struct fsm_view *view) {
    return view->data != NULL && (goes_across(job) || !lies_along(job, view));
}

/* The logits of an ignored row are blanked in a copy, and a Hessian may take their place. */
static inline int needs_x(const struct fsm_job *job) {
    return is_copied(job, &job->input) || job->where.data != NULL || job->labels.data != NULL ||
           job->hess.data != NULL;
}

static inline int needs_y(const struct fsm_job *job) {
    const int smooths = job->label_smoothing != 0, weighs = job->other.data != NULL && job->class_weight != NULL;
    return is_copied(job, &job->other) || smooths || weighs;
}

/* Elements for exponentials, or for what takes their place on the way to the output. */
static inline size_t exponentials(const struct fsm_job *job, size_t values) {
    if (shares_scratch(job)) return 0;
    if (job->out.data != NULL && !is_copied(job, &job->out) && !job->streams) return 0;
    if (job->want_mean_grad && !goes_across(job)) return WAITING * row_pitch(job->classes);
    return job->out.data != NULL ? values : 0;
}

static inline struct scratch_layout scratch_layout(const struct fsm_job *job) {
    const int across = goes_across(job);
    const size_t count = job->classes * (across ? LANES : 1), values = most_slots(job) * count;
    const size_t block = in_lines(values * sizeof(real)), row = in_lines(job->classes * sizeof(real));
    return (struct scratch_layout){
        .x = needs_x(job) ? block : 0,
        .e = in_lines(exponentials(job, values) * sizeof(real)),
        .y = needs_y(job) ? block : 0,
        .target_row = job->labels.data != NULL && job->label_smoothing != 0 ? row : 0,
        .class_weight = job->class_weight != NULL ? row : 0,
        .sums = job->want_mean_grad && across ? in_lines(count * sizeof(double)) : 0,
    };
}

static inline struct scratch cut_scratch(const struct fsm_job *job, void *memory) {
    const struct scratch_layout n = scratch_layout(job);
    char *x = memory, *e = x + n.x, *y = e + n.e, *rows = y + n.y, *sums = rows + n.target_row + n.class_weight;
    return (struct scratch){
        .x = (real *)x,
        .e = (real *)(shares_scratch(job) ? x : e),
        .y = (real *)y,
        .target_row = (real *)rows,
        .class_weight = (real *)(rows + n.target_row),
        .mean_hi = (double *)sums,
        .mean_lo = (double *)(sums + n.sums),
    };
}

/* A block's part of it, by its slot. */
static ALWAYS_INLINE struct scratch slot_scratch(const struct scratch *all, const struct block *b) {
    struct scratch s = *all;
    s.x += b->slot * b->count;
    s.e += b->slot * b->count;
    s.y += b->slot * b->count;
    return s;
}

static NEVER_INLINE void set_row_sums(size_t rows, const real *restrict hi, const real *restrict lo,
                                      struct row_sums *restrict results) {
    for (size_t i = 0; i < rows; i++) set_row_sum(results, i, sum_of(hi[i], lo[i]));
}

/* The shifted exponential of one value a row, to twice the precision. */
static ALWAYS_INLINE void exponentials_of(const struct block *b, const struct shifts *shift, const real *values,
                                          struct row_sums *results) {
    real power[LANES], rest[LANES];
    const struct exponential e = shifted_exp(row_values(b, values), shift);
    w_store(power, e.power);
    w_store(rest, e.rest);
    set_row_sums(b->lanes, power, rest, results);
}

/* The largest class of each row and the sums apart from it: rest, without it, is never made by subtraction, so that
   what a confident row says of the other classes is not lost. */
struct peaks {
    real maximum[LANES];
    size_t at[LANES];
    struct shifts shift;
    struct row_sums top, rest;
};

/* What follows from the maximum and, as what is to be summed, the largest value beside it. */
static ALWAYS_INLINE void set_peaks(const struct block *b, struct top_two tops, struct peaks *p) {
    w_store(p->maximum, tops.first);
    p->shift = find_shifts(tops.first, tops.second);
    exponentials_of(b, &p->shift, p->maximum, &p->top);
}

static ALWAYS_INLINE void find_peaks(const struct block *b, struct peaks *p) {
    set_peaks(b, row_maxima(b, 1), p);
    row_argmaxima(b, p->maximum, p->at);
}

/* The sums apart from the largest class; the exponentials go to b->e where `store` says so. */
static ALWAYS_INLINE void sum_rest(const struct block *b, struct peaks *p, int store) {
    sum_exponentials(b, &p->shift, p->at, store, &p->rest);
    for (size_t i = 0; store && i < b->lanes; i++)
        b->e[p->at[i] * b->lanes + i] = (real)sum_value(row_sum(&p->top, i));
}

/* The sum of a row's shifted exponentials; NaN where the row has a NaN or no finite maximum. Several things are
   divided by it, but divisions are dear. */
struct whole {
    struct fsm_sum sum;
    double inverse;
};

static ALWAYS_INLINE struct whole whole_of(real maximum, struct fsm_sum all) {
    const double hi = if_finite(maximum, all.hi, (double)NAN);
    return (struct whole){{hi, all.lo}, 1 / hi};
}
static ALWAYS_INLINE struct whole sum_of_all(const struct peaks *p, size_t row) {
    return whole_of(p->maximum[row], sum_plus(row_sum(&p->rest, row), row_sum(&p->top, row)));
}

static ALWAYS_INLINE struct fsm_sum part_of(struct fsm_sum a, struct whole all) {
    return sum_ratio(a, all.sum, all.inverse);
}
/* What exponentials are multiplied by: a / all, times 2^HEADROOM so that it is in range wherever a is. */
static ALWAYS_INLINE struct fsm_sum share_of(struct fsm_sum a, struct whole all) {
    return sum_ratio(a, (struct fsm_sum){all.sum.hi * ROOM, all.sum.lo * ROOM}, all.inverse * (1 / ROOM));
}

/* log(sum of e^x) - maximum = log(1 + rest / top), which is small where the row is confident; NaN likewise. */
static ALWAYS_INLINE double log_of_rest(const struct peaks *p, size_t row) {
    double log_rest = sum_log1p(sum_quotient(row_sum(&p->rest, row), row_sum(&p->top, row)));
    return if_finite(p->maximum[row], log_rest, (double)NAN);
}

static NEVER_INLINE void logs_of_rest(size_t rows, const struct peaks *restrict p, double *restrict logs) {
    for (size_t i = 0; i < rows; i++) logs[i] = log_of_rest(p, i);
}

/* From each row's sum of exponentials to the share of 1 in it. */
static NEVER_INLINE void shares_of_one(size_t rows, const real *restrict maxima, struct row_sums *restrict sums) {
    for (size_t i = 0; i < rows; i++) {
        const struct whole all = whole_of(maxima[i], row_sum(sums, i));
        set_row_sum(sums, i, share_of((struct fsm_sum){1, 0}, all));
    }
}

/* Factors hi + lo a row; where they would leave the range of `real`, a power of two is taken out of them first. Their
   products are made `up` times larger on the way, and taken `down` again. */
struct factors {
    real hi[LANES], lo[LANES], power[LANES], up[LANES], down[LANES];
    int split;
};

static ALWAYS_INLINE void set_factor(struct factors *f, size_t row, double hi, double lo) {
    const int scaled = fabs(hi) < UNSCALED_FACTOR;
    f->hi[row] = (real)hi;
    f->lo[row] = (real)(hi - f->hi[row] + lo);
    f->up[row] = scaled ? PRODUCT_SCALE : 1;
    f->down[row] = scaled ? 1 / PRODUCT_SCALE : 1;
}

static ALWAYS_INLINE void split_factor(struct factors *f, size_t row, struct fsm_sum share) {
    int exponent;
    if (share.hi == 0 || !isfinite(share.hi)) return;
    (void)frexp(share.hi, &exponent);
    exponent -= HEADROOM;
    if (exponent <= LARGEST_EXPONENT && exponent >= SMALLEST_EXPONENT) return;
    int taken = exponent > 0 ? exponent - LARGEST_EXPONENT : exponent - SMALLEST_EXPONENT;
    taken = taken < EXPONENT_BIAS ? taken : EXPONENT_BIAS;
    f->power[row] = (real)ldexp(1, taken);
    f->split = 1;
    const double hi = ldexp(share.hi, -HEADROOM - taken), lo = ldexp(share.lo, -HEADROOM - taken);
    /* Beyond even that: 0 times it must still be 0. */
    if (fabs(hi) > (double)LARGEST_REAL)
        set_factor(f, row, copysign((double)LARGEST_REAL, hi), 0);
    else
        set_factor(f, row, hi, lo);
}

/* From shares, as share_of gives them. */
static NEVER_INLINE void set_factors(struct factors *restrict f, size_t rows,
                                     const struct row_sums *restrict shares) {
    real_bits outside = 0;
    f->split = 0;
    for (size_t i = 0; i < rows; i++) {
        const double magnitude = fabs(shares->hi[i] * ROOM);
        f->power[i] = 1;
        set_factor(f, i, shares->hi[i] * ROOM, shares->lo[i] * ROOM);
        outside |= magnitude > LARGEST_FACTOR || magnitude < SMALLEST_FACTOR;
    }
    for (size_t i = 0; outside && i < rows; i++) split_factor(f, i, row_sum(shares, i));
}

/* The same in lanes, `up` included. */
struct wide_factors {
    wide hi, lo, down;
};

static ALWAYS_INLINE struct wide_factors wide_factors(const struct block *b, const struct factors *f) {
    const wide up = row_values(b, f->up);
    return (struct wide_factors){w_mul(row_values(b, f->hi), up), w_mul(row_values(b, f->lo), up),
                                 row_values(b, f->down)};
}

static ALWAYS_INLINE wide times_factor(wide a, const struct wide_factors *f) {
    return w_mul_pair(a, f->hi, f->lo, f->down);
}

struct scaling {
    const real *e;
    struct wide_factors factor;
};

static ALWAYS_INLINE wide scaling_step(const void *context, size_t offset, size_t lanes) {
    const struct scaling *c = context;
    return times_factor(load_lanes(c->e + offset, lanes, 0), &c->factor);
}

struct powers {
    const real *e;
    wide power;
};

static ALWAYS_INLINE wide power_step(const void *context, size_t offset, size_t lanes) {
    const struct powers *c = context;
    return w_mul(load_lanes(c->e + offset, lanes, 0), c->power);
}

static ALWAYS_INLINE void take_powers(const struct block *b, const struct factors *f) {
    if (!f->split) return;
    const struct powers powers = {b->e, row_values(b, f->power)};
    transform(b, power_step, &powers, b->e);
}

/* The last transform of a block, to what open_output gave for the view, or past it to the view where it is streamed.
 */
static ALWAYS_INLINE void finish(const struct fsm_job *job, const struct fsm_view *view, const struct block *b,
                                 transform_step *step, const void *context, real *values) {
    if (!b->across && streams_along(job, view))
        transform_streaming(b->count, step, context, (real *)sample_address(job, view, b->sample));
    else
        transform(b, step, context, values);
}

/* b->e times its row's factor. */
static ALWAYS_INLINE void scale_rows(const struct fsm_job *job, const struct block *b, const struct factors *f) {
    take_powers(b, f);
    const struct scaling c = {b->e, wide_factors(b, f)};
    finish(job, &job->out, b, scaling_step, &c, b->e);
}
