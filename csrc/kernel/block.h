/* A block: what a kernel works on at a time, laid out in lanes, and the two ways to walk it.

   Along the lanes: one row, classes side by side. Across the lanes: LANES rows, class by class, so that
   short rows and strided classes fill the vectors too. The operations are written once over both:
   `accumulate` and `transform` walk the vectors, and what belongs to a row is an array entry, of which a
   block along the lanes has one and a block across them LANES. */

#define NO_VECTOR SIZE_MAX

struct block {
    const real *x; /* the input: `count` values */
    const real *y; /* the second input, where there is one */
    real *e;       /* what the block computes; may be where the output itself lies */
    size_t classes;
    size_t count;  /* classes along the lanes, classes * LANES across them */
    size_t rows;   /* rows that exist: 1, or up to LANES */
    size_t lanes;  /* entries in the arrays of row values: 1 or LANES */
    size_t sample; /* number of the first row's sample */
    size_t first;  /* number of the first class, where the block is but a part of a row along the lanes; else 0 */
    size_t slot;   /* number of the block in its group, of which the `slots` first share their walks through memory */
    size_t slots;
    int across;
    const real *later; /* memory that is written only at the end: fetched while there is much to compute; or NULL */
};

/* Member by member: a copy by vectors would wait for each of the members to reach the cache. */
static ALWAYS_INLINE struct block copy_of(const struct block *b) {
    return (struct block){b->x,      b->y,     b->e,    b->classes, b->count,  b->rows, b->lanes,
                          b->sample, b->first, b->slot, b->slots,   b->across, b->later};
}

/* One value a row: each lane's own, or the same in all. */
static ALWAYS_INLINE wide row_values(const struct block *b, const real *values) {
    return b->across ? w_load(values) : w_set1(values[0]);
}

static ALWAYS_INLINE wide load_lanes(const real *p, size_t lanes, real fill) {
    return lanes == LANES ? w_load(p) : w_load_tail(p, lanes, fill);
}

/* Two vectors, of so many lanes each; of the second there may be none. */
struct two {
    size_t first, first_lanes, second, second_lanes;
};

static ALWAYS_INLINE wide load_first(const real *p, struct two at) {
    return load_lanes(p + at.first, at.first_lanes, 0);
}
static ALWAYS_INLINE wide load_second(const real *p, struct two at) {
    return load_lanes(p + at.second, at.second_lanes, 0);
}

/* One step of `accumulate`: adds two vectors to each of the sums. What is not there is to count as 0. */
typedef void accumulate_step(const void *context, struct two at, wide_acc *sums);

enum { MOST_SUMS = 2 };

/* Rows of so few classes always go across the lanes. */
enum { SHORT_ROW = 2 * LANES };

static ALWAYS_INLINE void accumulate_along(const struct block *b, accumulate_step *step, const void *context,
                                           size_t count, struct row_sums *const *sums) {
    double hi[LANES], lo[LANES];
    wide_acc sum[MOST_SUMS];
    size_t full = b->count / LANES, tail = b->count % LANES;
    for (size_t j = 0; j < count; j++) sum[j] = w_acc_zero();
    for (size_t i = 0; i + 2 <= full; i += 2)
        step(context, (struct two){i * LANES, LANES, (i + 1) * LANES, LANES}, sum);
    if (full % 2 == 1)
        step(context, (struct two){(full - 1) * LANES, LANES, full * LANES, tail}, sum);
    else if (tail)
        step(context, (struct two){full * LANES, tail, 0, 0}, sum);
    for (size_t j = 0; j < count; j++) {
        w_acc_store(&sum[j], hi, lo);
        fold_sums(hi, lo, 1, LANES, sums[j]);
    }
}

/* Class k goes to partial sum k mod LANES, as it goes to that lane along the lanes, but for short rows, which are
   never there and have one sum. */
static ALWAYS_INLINE void accumulate_across(const struct block *b, accumulate_step *step, const void *context,
                                            size_t count, struct row_sums *const *sums) {
    double hi[MOST_SUMS][LANES * LANES], lo[MOST_SUMS][LANES * LANES];
    const size_t classes = b->classes, used = classes <= SHORT_ROW ? 1 : LANES;
    for (size_t i = 0; i < used; i++) {
        wide_acc sum[MOST_SUMS];
        for (size_t j = 0; j < count; j++) sum[j] = w_acc_zero();
        size_t k = i;
        for (; k + used < classes; k += 2 * used)
            step(context, (struct two){k * LANES, LANES, (k + used) * LANES, LANES}, sum);
        if (k < classes) step(context, (struct two){k * LANES, LANES, 0, 0}, sum);
        for (size_t j = 0; j < count; j++) w_acc_store(&sum[j], hi[j] + i * LANES, lo[j] + i * LANES);
    }
    for (size_t j = 0; j < count; j++) fold_sums(hi[j], lo[j], LANES, used, sums[j]);
}

/* Sums over the classes, `count` of them for each row. */
static ALWAYS_INLINE void accumulate(const struct block *b, accumulate_step *step, const void *context, size_t count,
                                     struct row_sums *const *sums) {
    if (b->across)
        accumulate_across(b, step, context, count, sums);
    else
        accumulate_along(b, step, context, count, sums);
}

/* One step of `transform`: the new values of a vector. */
typedef wide transform_step(const void *context, size_t offset, size_t lanes);

static ALWAYS_INLINE void transform(const struct block *b, transform_step *step, const void *context, real *out) {
    size_t full = b->count / LANES, tail = b->count % LANES;
    for (size_t i = 0; i < full; i++) w_store(out + i * LANES, step(context, i * LANES, LANES));
    if (tail) w_store_tail(out + full * LANES, tail, step(context, full * LANES, tail));
}

/* The same to memory that is not to be read again soon: a line at a time, past the caches. */
static ALWAYS_INLINE void transform_streaming(size_t count, transform_step *step, const void *context, real *out) {
    const size_t misaligned = (uintptr_t)out % 64 / sizeof(real);
    size_t i = 0;
    if (misaligned != 0) {
        i = count < LANES - misaligned ? count : LANES - misaligned;
        w_store_tail(out, i, step(context, 0, i));
    }
    for (; i + LANES <= count; i += LANES) w_stream(out + i, step(context, i, LANES));
    if (i < count) w_store_tail(out + i, count - i, step(context, i, count - i));
}

/* The largest and the second largest value of each lane so far. */
struct top_two {
    wide first, second;
};

static ALWAYS_INLINE void take_value(struct top_two *t, wide x, int want_second) {
    if (want_second) t->second = w_max(w_min(x, t->first), t->second);
    t->first = w_max(x, t->first);
}

static ALWAYS_INLINE struct top_two merge_tops(struct top_two a, struct top_two b) {
    return (struct top_two){w_max(a.first, b.first), w_max(w_min(a.first, b.first), w_max(a.second, b.second))};
}

/* The two largest of all lanes, in every lane. */
static ALWAYS_INLINE struct top_two fold_tops(struct top_two t, int want_second) {
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        const wide first = w_swap(t.first, half);
        if (want_second)
            t = merge_tops(t, (struct top_two){first, w_swap(t.second, half)});
        else
            t.first = w_max(t.first, first);
    }
    return (struct top_two){w_set1(w_first(t.first)), w_set1(w_first(t.second))};
}

/* The maximum of each row and, where it is wanted, the largest value beside it; NaN is passed over. */
static ALWAYS_INLINE struct top_two row_maxima(const struct block *b, int want_second) {
    const wide lowest = w_set1(-(real)INFINITY);
    struct top_two t[4];
    size_t full = b->count / LANES, tail = b->count % LANES, i = 0;
    for (int j = 0; j < 4; j++) t[j] = (struct top_two){lowest, lowest};
    for (; i + 4 <= full; i += 4)
        for (int j = 0; j < 4; j++) take_value(&t[j], w_load(b->x + (i + (size_t)j) * LANES), want_second);
    for (; i < full; i++) take_value(&t[0], w_load(b->x + i * LANES), want_second);
    if (tail) take_value(&t[0], w_load_tail(b->x + full * LANES, tail, -(real)INFINITY), want_second);
    t[0] = merge_tops(merge_tops(t[0], t[1]), merge_tops(t[2], t[3]));
    return b->across ? t[0] : fold_tops(t[0], want_second);
}

/* The first class at which each row has its maximum (class 0 where it has none, all being NaN). */
static ALWAYS_INLINE void row_argmaxima(const struct block *b, const real *maxima, size_t *at) {
    if (b->across) {
        real_bits found[LANES];
        const wide m = w_load(maxima);
        wide index = w_index(0);
        for (size_t k = b->classes; k-- > 0;)
            index = w_if_equal(w_load(b->x + k * LANES), m, w_index((real_bits)k), index);
        real lanes[LANES];
        w_store(lanes, index);
        memcpy(found, lanes, sizeof found);
        for (size_t l = 0; l < LANES; l++) at[l] = (size_t)found[l];
        return;
    }
    const real *x = b->x;
    const real maximum = maxima[0];
    size_t k = 0;
    while (k + LANES <= b->count && !w_any_equal(w_load(x + k), w_set1(maximum))) k += LANES;
    for (; k < b->count; k++) {
        if (x[k] == maximum) {
            at[0] = k;
            return;
        }
    }
    at[0] = 0;
}
