/* Vector-Jacobian products of softmax and log_softmax. b->x is the gradient of the output, b->y the output. */

static ALWAYS_INLINE void product_step(const void *context, struct two at, wide_acc *sum) {
    const struct block *b = context;
    w_acc_add_product(sum, load_first(b->x, at), load_first(b->y, at));
    w_acc_add_product(sum, load_second(b->x, at), load_second(b->y, at));
}
static ALWAYS_INLINE void sum_step(const void *context, struct two at, wide_acc *sum) {
    const struct block *b = context;
    w_acc_add(sum, load_first(b->x, at));
    w_acc_add(sum, load_second(b->x, at));
}

struct backward {
    const real *g, *output, *e;
    wide hi, lo;
};

/* p (g - sum g p) */
static ALWAYS_INLINE wide softmax_backward_step(const void *context, size_t offset, size_t lanes) {
    const struct backward *c = context;
    wide g = load_lanes(c->g + offset, lanes, 0), p = load_lanes(c->output + offset, lanes, 0);
    return w_mul(p, w_sub(w_sub(g, c->hi), c->lo));
}

/* The sums as numbers of `real`. */
static NEVER_INLINE void round_sums(size_t rows, const struct row_sums *restrict sums, real *restrict hi,
                                    real *restrict lo) {
    for (size_t i = 0; i < rows; i++) {
        hi[i] = (real)sums->hi[i];
        lo[i] = (real)if_finite(hi[i], sums->hi[i] - hi[i] + sums->lo[i], 0);
    }
}

static ALWAYS_INLINE void softmax_backward_blocks(const struct fsm_job *job, struct fsm_range range, void *memory,
                                                  int across) {
    const struct scratch all = cut_scratch(job, memory);
    const size_t most = most_slots(job);
    for (size_t sample = range.begin; sample < range.end;) {
        struct block b = next_block(job, &range, sample, most, across);
        const struct scratch s = slot_scratch(&all, &b);
        struct row_sums sums, *const all_sums[] = {&sums};
        real hi[LANES], lo[LANES];
        b.x = open_view(job, &job->input, &b, s.x, 0, 0);
        b.y = open_view(job, &job->other, &b, s.y, 0, 0);
        b.e = open_output(job, &job->out, &b, s.e);
        accumulate(&b, product_step, &b, 1, all_sums);
        round_sums(b.lanes, &sums, hi, lo);
        const struct backward c = {b.x, b.y, NULL, row_values(&b, hi), row_values(&b, lo)};
        finish(job, &job->out, &b, softmax_backward_step, &c, b.e);
        close_output(job, &job->out, &b, b.e, 0);
        sample += b.rows;
    }
}
KERNEL(softmax_backward)

struct log_backward {
    const real *g, *output;
    struct shifts shift;
    wide power;
    struct wide_factors factor;
};

/* g - e^output sum g */
static ALWAYS_INLINE wide log_softmax_backward_step(const void *context, size_t offset, size_t lanes) {
    const struct log_backward *c = context;
    wide e = shifted_exp(load_lanes(c->output + offset, lanes, -(real)INFINITY), &c->shift).e;
    wide g = load_lanes(c->g + offset, lanes, 0);
    return w_sub(g, times_factor(w_mul(e, c->power), &c->factor));
}

/* 2 to a whole number, 0 or infinite where that is out of range. */
static ALWAYS_INLINE double two_to(double n) {
    const double exponent = n < -1023 ? 0 : n > 1024 ? 2047 : n + 1023;
    return double_from_bits(bits_of_double(0x1p52 + exponent) << 52);
}

/* The exponentials come times POWER_FACTOR 2^(HEADROOM - N) e^-shift; shares are 2^HEADROOM times larger. */
static NEVER_INLINE void unscale_sums(size_t rows, const real *restrict shift, const real *restrict n,
                                      struct row_sums *restrict sums) {
    double unshift[LANES];
    for (size_t i = 0; i < rows; i++) unshift[i] = 1;
    for (size_t i = 0; i < rows; i++)
        if (shift[i] != 0) unshift[i] = exp((double)shift[i]);
    for (size_t i = 0; i < rows; i++) {
        /* 2^N may be out of range where the product is not. */
        const double half = (n[i] * 0.5 + 0x1.8p52) - 0x1.8p52;
        const double unscale = unshift[i] / POWER_FACTOR * two_to(half) * two_to(n[i] - half);
        set_row_sum(sums, i, sum_times(row_sum(sums, i), unscale));
    }
}

static ALWAYS_INLINE void log_softmax_backward_blocks(const struct fsm_job *job, struct fsm_range range, void *memory,
                                                      int across) {
    const struct scratch all = cut_scratch(job, memory);
    const size_t most = most_slots(job);
    for (size_t sample = range.begin; sample < range.end;) {
        struct block b = next_block(job, &range, sample, most, across);
        const struct scratch s = slot_scratch(&all, &b);
        struct row_sums sums, *const all_sums[] = {&sums};
        real shift[LANES], n[LANES];
        struct factors factors;
        b.x = open_view(job, &job->other, &b, s.y, 0, 0);
        const wide maximum = row_maxima(&b, 0).first;
        b.y = b.x;
        b.x = open_view(job, &job->input, &b, s.x, 0, 0);
        b.e = open_output(job, &job->out, &b, s.e);
        accumulate(&b, sum_step, &b, 1, all_sums);
        const struct shifts shifts = find_shifts(maximum, maximum);
        w_store(shift, shifts.shift);
        w_store(n, shifts.n);
        unscale_sums(b.lanes, shift, n, &sums);
        set_factors(&factors, b.lanes, &sums);
        const struct log_backward c = {b.x, b.y, shifts, row_values(&b, factors.power), wide_factors(&b, &factors)};
        finish(job, &job->out, &b, log_softmax_backward_step, &c, b.e);
        close_output(job, &job->out, &b, b.e, 0);
        sample += b.rows;
    }
}
KERNEL(log_softmax_backward)
