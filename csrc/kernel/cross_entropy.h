/* Cross-entropy: losses, gradients and the mean gradient of a range of samples. */

/* The losses of a chunk, lane by lane; see struct fsm_loss. */
struct loss_sums {
    struct row_sums common, huge;
};

static NEVER_INLINE void add_losses(struct loss_sums *restrict sums, size_t rows, const double *restrict losses) {
    real_bits any_huge = 0;
    for (size_t i = 0; i < rows; i++) {
        const int huge = losses[i] > 0x1p960;
        set_row_sum(&sums->common, i, sum_plus(row_sum(&sums->common, i), (struct fsm_sum){huge ? 0 : losses[i], 0}));
        any_huge |= huge;
    }
    for (size_t i = 0; any_huge && i < rows; i++)
        if (losses[i] > 0x1p960)
            set_row_sum(&sums->huge, i, sum_plus(row_sum(&sums->huge, i), (struct fsm_sum){losses[i] * 0x1p-64, 0}));
}

static inline struct fsm_loss close_losses(struct loss_sums *sums) {
    struct row_sums common, huge;
    fold_sums(sums->common.hi, sums->common.lo, 1, LANES, &common);
    fold_sums(sums->huge.hi, sums->huge.lo, 1, LANES, &huge);
    return (struct fsm_loss){row_sum(&common, 0), row_sum(&huge, 0)};
}

/* The losses of a block's rows: to their sum, and to the caller's array where there is one. */
static ALWAYS_INLINE void keep_losses(const struct fsm_job *job, const struct block *b, const double *losses,
                                      struct loss_sums *sums) {
    add_losses(sums, b->lanes, losses);
    if (job->losses.data != NULL) store_results(job, b, losses);
}

static ALWAYS_INLINE void cross_entropy_blocks(const struct fsm_job *job, struct fsm_range range, void *memory,
                                               int across) {
    const struct scratch all = cut_scratch(job, memory);
    const size_t most = most_slots(job);
    struct loss_sums losses = {0};
    struct mean_sums mean;
    const int want_grad = job->out.data != NULL;
    const int want_gradients = want_grad || job->want_mean_grad;
    mean.waiting = 0;
    prepare_targets(job, &all);
    if (job->want_mean_grad) open_mean(job, &range, &all, across, &mean);
    for (size_t sample = range.begin; sample < range.end;) {
        struct block b = next_block(job, &range, sample, most, across);
        const struct scratch s = slot_scratch(&all, &b);
        struct targets t;
        struct peaks p;
        struct dense_sums d;
        struct row_results r;
        b.x = open_view(job, &job->input, &b, s.x, 0, 0);
        b.e = open_output(job, &job->out, &b, mean_row(&mean, &s, &b));
        work_rows(job, &b, &s, want_gradients, &t, &p, &d, &r);
        if (job->want_loss) keep_losses(job, &b, r.loss, &losses);
        if (job->want_mean_grad) add_to_mean(&b, &t, &r, want_grad, &mean);
        if (want_grad) {
            write_gradient(job, &b, &t, &r);
            close_output(job, &job->out, &b, b.e, 0);
        }
        sample += b.rows;
    }
    if (job->want_mean_grad) close_mean(job, &range, across, &mean);
    job->chunk_loss[range.chunk] = close_losses(&losses);
}
KERNEL(cross_entropy)
