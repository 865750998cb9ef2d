/* Sums of exponentials, as exact as float64's of float32 and cheaper.

   A sum that starts from a large constant, the row's grid, cannot change its exponent while a segment of the row is
   added: so what of a term reaches it, a multiple of the constant's last bit, is added exactly, and what does not
   reach it, the difference that is exact too, goes to a second sum, of small numbers, whose rounding is far below the
   first's last bit (the error-free splitting of Rump, Ogita and Oishi, "Accurate floating-point summation I", SIAM
   J. Sci. Comput. 31, 2008). The terms are power + rest, before they are rounded.

   Each part of a row is summed by itself, and the row's sum is that of its parts in their order: parts that several
   threads did come to the same bits. */

enum { SEGMENT_VECTORS = SEGMENT / LANES, PART_VECTORS = FSM_PART / LANES };
_Static_assert(FSM_PART % SEGMENT == 0, "a part is whole segments");

struct exponentials {
    const real *x;
    real *e;           /* where they are stored, or NULL */
    const real *later; /* as in the block */
    size_t classes;
    struct shifts shift;
    int skips;
    wide skip; /* the vector in which a lane is left out, if it `skips` */
};

struct grid_sum {
    wide big, small;
};

static ALWAYS_INLINE void add_exponential(struct grid_sum *sum, const struct exponential *x) {
    wide after = w_add(sum->big, x->e), reached = w_sub(after, sum->big);
    sum->small = w_add(sum->small, w_add(w_sub(x->power, reached), x->rest));
    sum->big = after;
}

static ALWAYS_INLINE void add_vector(const struct exponentials *c, size_t vector, size_t lanes, int special,
                                     struct grid_sum *sum) {
    const size_t offset = vector * LANES;
    wide x = load_lanes(c->x + offset, lanes, -(real)INFINITY);
    if (special) x = w_put_at(x, c->skip, w_number(vector), w_set1(-(real)INFINITY));
    struct exponential e = shifted_exp(x, &c->shift);
    if (c->e != NULL && lanes == LANES) w_store(c->e + offset, e.e);
    if (c->e != NULL && lanes != LANES) w_store_tail(c->e + offset, lanes, e.e);
    if (c->e == NULL && c->later != NULL) prefetch_to_write(c->later + offset);
    add_exponential(sum, &e);
}

/* A segment's sum goes to the part's: what was on the grid is exact, also between the lanes. */
static ALWAYS_INLINE void fold_along(const struct grid_sum *sum, wide grid, struct fsm_sum *total) {
    wide big = w_sub(sum->big, grid), small = sum->small;
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        big = w_add(big, w_swap(big, half));
        small = w_add(small, w_swap(small, half));
    }
    *total = sum_plus(*total, sum_of(w_first(big), w_first(small)));
}

/* The part that starts at vector number `first`. */
static NEVER_INLINE struct fsm_sum sum_part_along(const struct exponentials *context, size_t first, size_t special) {
    const struct exponentials c = *context; /* as nobody else sees it, it stays in registers */
    const size_t full = c.classes / LANES, tail = c.classes % LANES, vectors = full + (tail != 0);
    const size_t last = vectors - first < PART_VECTORS ? vectors : first + PART_VECTORS;
    struct fsm_sum total = {0, 0};
    for (size_t begin = first; begin < last; begin += SEGMENT_VECTORS) {
        const size_t end = begin + SEGMENT_VECTORS < full ? begin + SEGMENT_VECTORS : full;
        const size_t before = special >= begin && special < end ? special : end;
        struct grid_sum sum = {c.shift.grid, w_set1(0)};
        for (size_t i = begin; i < before; i++) add_vector(&c, i, LANES, 0, &sum);
        if (before < end) add_vector(&c, before, LANES, 1, &sum);
        for (size_t i = before + 1; i < end; i++) add_vector(&c, i, LANES, 0, &sum);
        if (tail && begin + SEGMENT_VECTORS > full) add_vector(&c, full, tail, special == full, &sum);
        fold_along(&sum, c.shift.grid, &total);
    }
    return total;
}

static ALWAYS_INLINE void sum_along(const struct exponentials *c, size_t special, struct row_sums *sums) {
    struct fsm_sum total = sum_part_along(c, 0, special);
    for (size_t first = PART_VECTORS; first * LANES < c->classes; first += PART_VECTORS)
        total = sum_plus(total, sum_part_along(c, first, special));
    set_row_sum(sums, 0, total);
}

/* As fold_along does it, in each lane; parts from `used` on are 0 and not there. */
static ALWAYS_INLINE void fold_across(struct grid_sum *part, size_t used, wide grid, struct row_sums *sums) {
    real big[LANES], small[LANES];
    for (size_t i = 0; i < used; i++) part[i].big = w_sub(part[i].big, grid);
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t i = 0; i + half < used && i < half; i++) {
            part[i].big = w_add(part[i].big, part[i + half].big);
            part[i].small = w_add(part[i].small, part[i + half].small);
        }
        used = used < half ? used : half;
    }
    w_store(big, part[0].big);
    w_store(small, part[0].small);
    for (size_t i = 0; i < LANES; i++) set_row_sum(sums, i, sum_plus(row_sum(sums, i), sum_of(big[i], small[i])));
}

/* Of the rows' parts that start at class `first`, class k goes to lane sum k mod LANES, as it goes to that lane along
   the lanes. */
static NEVER_INLINE void sum_parts_across(const struct exponentials *context, size_t first, struct row_sums *sums) {
    const struct exponentials c = *context;
    const size_t last = c.classes - first < FSM_PART ? c.classes : first + FSM_PART;
    *sums = (struct row_sums){0};
    for (size_t begin = first; begin < last; begin += SEGMENT) {
        const size_t end = last - begin < SEGMENT ? last : begin + SEGMENT;
        const size_t used = end - begin < LANES ? end - begin : LANES;
        struct grid_sum lane_sum[LANES];
        for (size_t i = 0; i < used; i++) {
            struct grid_sum sum = {c.shift.grid, w_set1(0)};
            for (size_t k = begin + i; k < end; k += LANES) add_vector(&c, k, LANES, c.skips, &sum);
            lane_sum[i] = sum;
        }
        fold_across(lane_sum, used, c.shift.grid, sums);
    }
}

/* Short rows, which never lie along the lanes, have one sum. */
static NEVER_INLINE void sum_short_across(const struct exponentials *context, struct row_sums *restrict sums) {
    const struct exponentials c = *context;
    struct grid_sum sum = {c.shift.grid, w_set1(0)};
    real big[LANES], small[LANES];
    for (size_t k = 0; k < c.classes; k++) add_vector(&c, k, LANES, c.skips, &sum);
    w_store(big, w_sub(sum.big, c.shift.grid));
    w_store(small, sum.small);
    for (size_t i = 0; i < LANES; i++) set_row_sum(sums, i, sum_of(big[i], small[i]));
}

static ALWAYS_INLINE void sum_across(const struct exponentials *c, struct row_sums *sums) {
    if (c->classes <= SHORT_ROW) {
        sum_short_across(c, sums);
        return;
    }
    sum_parts_across(c, 0, sums);
    for (size_t first = FSM_PART; first < c->classes; first += FSM_PART) {
        struct row_sums more;
        sum_parts_across(c, first, &more);
        for (size_t i = 0; i < LANES; i++) set_row_sum(sums, i, sum_plus(row_sum(sums, i), row_sum(&more, i)));
    }
}

/* In each lane the number of the vector at which it is to be passed over, for class at[row] of each row. */
static inline wide skip_lanes(const struct block *b, const size_t *at) {
    real_bits vector[LANES];
    for (size_t i = 0; i < LANES; i++)
        vector[i] = b->across ? lane_number(at[i]) : i == at[0] % LANES ? lane_number(at[0] / LANES) : -1;
    return w_load_index(vector);
}

/* Each row's sum of shifted exponentials, leaving out class skip[row] where `skip` is given. The exponentials
   go to b->e where `store` says so, with 0 for a class that is left out. */
static ALWAYS_INLINE void sum_exponentials(const struct block *b, const struct shifts *shift, const size_t *skip,
                                           int store, struct row_sums *sums) {
    struct exponentials c = {b->x, store ? b->e : NULL, b->later, b->classes, *shift, skip != NULL, w_index(-1)};
    if (skip != NULL) c.skip = skip_lanes(b, skip);
    if (b->across)
        sum_across(&c, sums);
    else
        sum_along(&c, skip != NULL ? skip[0] / LANES : NO_VECTOR, sums);
}
