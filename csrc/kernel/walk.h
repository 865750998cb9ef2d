/* Which way the rows of a job go through the lanes, and one block after another. */

/* Rows up to some length fill the vectors better across the lanes; a row along them pays for its own start and end,
   the more where there is a loss. Measured. */
static inline size_t longest_across(const struct fsm_job *job) {
    if (job->outer * job->inner < LANES / 2) return SHORT_ROW; /* most lanes would be empty */
    if (!job->rows_end_in_a_loss) return 8 * LANES;
    return FSM_REAL_BITS == 32 ? 12 * LANES : 16 * LANES;
}

/* The bits are the same either way, so that the choice is free. */
static inline int goes_across(const struct fsm_job *job) {
    if (job->classes <= longest_across(job)) return 1;
    return !lies_along(job, &job->input) && job->input.inner == (ptrdiff_t)sizeof(real) &&
           storage_bytes(job->storage) == sizeof(real) && job->inner >= LANES &&
           job->classes <= (size_t)LARGEST_NUMBER; /* a lane holds the number of a class */
}

/* Blocks to a group: where a view's samples lie side by side. */
static inline size_t most_slots(const struct fsm_job *job) {
    const ptrdiff_t side_by_side = sizeof(real);
    const int columns = job->input.inner == side_by_side || job->other.inner == side_by_side ||
                        job->out.inner == side_by_side || job->hess.inner == side_by_side;
    return columns && goes_across(job) && job->classes > FEW_CLASSES && job->inner >= GROUP * LANES ? GROUP : 1;
}

static inline void find_slot(const struct fsm_job *job, const struct fsm_range *range, size_t most, struct block *b) {
    const size_t number = (b->sample - range->begin) / LANES % most;
    const size_t first = b->sample - number * LANES, samples = range->end - first;
    const size_t slots = samples / LANES < most ? samples / LANES : most;
    const int whole = (range->begin - b->sample) % LANES == 0 && first % job->inner + slots * LANES <= job->inner;
    b->slot = whole && number < slots ? number : 0;
    b->slots = whole && number < slots ? slots : 1;
}

static ALWAYS_INLINE struct block next_block(const struct fsm_job *job, const struct fsm_range *range, size_t sample,
                                             size_t most_in_group, int across) {
    struct block b = {0};
    b.across = across;
    b.classes = job->classes;
    b.lanes = b.across ? LANES : 1;
    b.count = job->classes * b.lanes;
    b.sample = sample;
    b.rows = range->end - sample < b.lanes ? range->end - sample : b.lanes;
    b.slots = 1;
    if (across && most_in_group > 1) find_slot(job, range, most_in_group, &b);
    return b;
}
