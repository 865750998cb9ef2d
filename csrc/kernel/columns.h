/* Columns, with their samples side by side, to lanes and back. */

/* Classes between what is read and what is fetched; blocks to a group; classes that need none. */
enum { AHEAD = 8, GROUP = 8, FEW_CLASSES = 64 };

/* The columns of a group of blocks, to slots of `count` values each and back, the whole width of the group at once:
   where the classes are far apart, each step to the next is a page of its own. */
static inline void copy_columns(const struct fsm_job *job, const struct fsm_view *view, const struct block *b,
                                real *slots) {
    const size_t count = b->count, in_group = b->slots, classes = job->classes;
    const ptrdiff_t stride = view->classes;
    const char *p = sample_address(job, view, b->sample);
    for (size_t k = 0; k < classes; k++, p += stride) {
        const char *ahead = p + (k + AHEAD < classes ? AHEAD * stride : 0);
        for (size_t i = 0; i < in_group; i++) prefetch(ahead + i * LANES * sizeof(real));
        for (size_t i = 0; i < in_group; i++)
            w_store(slots + i * count + k * LANES, w_load((const real *)p + i * LANES));
    }
}

/* A class of all blocks of a group, by whole lines. */
static inline void stream_class(real *out, const struct block *b, const real *slots) {
    _Alignas(64) real staged[(GROUP + 1) * LANES];
    real *const as_aligned = staged + (uintptr_t)out % 64 / sizeof(real);
    size_t i = 0;
    do w_store(as_aligned + i * LANES, w_load(slots + i * b->count));
    while (++i < b->slots);
    transform_streaming(b->slots * LANES, staged_step, as_aligned, out);
}

static inline void copy_to_columns(const struct fsm_job *job, const struct fsm_view *view, const struct block *b,
                                   const real *slots) {
    const size_t count = b->count, in_group = b->slots, classes = job->classes;
    const ptrdiff_t stride = view->classes;
    char *p = sample_address(job, view, b->sample - b->slot * LANES);
    /* A single block that is not in line with the caches' lines would be two halves of them. */
    const int streams = job->streams && (in_group > 1 || ((uintptr_t)p | (size_t)stride) % 64 == 0);
    for (size_t k = 0; k < classes; k++, p += stride) {
        char *const ahead = p + (k + AHEAD < classes ? AHEAD * stride : 0);
        prefetch_to_write(ahead);
        if (streams) {
            prefetch_to_write(ahead + in_group * LANES * sizeof(real));
            stream_class((real *)p, b, slots + k * LANES);
            continue;
        }
        for (size_t i = 0; i < in_group; i++) w_store((real *)p + i * LANES, w_load(slots + i * count + k * LANES));
    }
}
