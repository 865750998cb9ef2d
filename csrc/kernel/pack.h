/* Between the caller's arrays and blocks in lanes: each view by the way that suits how it lies. */

static inline void drop_classes(const struct fsm_job *job, size_t sample, real *row, size_t step, real value) {
    const char *keep = sample_address(job, &job->where, sample);
    for (size_t k = 0; k < job->classes; k++, keep += job->where.classes)
        if (!*keep) row[k * step] = value;
}

static inline void copy_view(const struct fsm_job *job, const struct fsm_view *view, const struct block *b,
                             real *scratch, int masked, real dropped) {
    if (b->across && samples_lie_along(job, view, b)) {
        if (b->slot == 0) copy_columns(job, view, b, scratch);
    } else if (rows_follow(job, view, b)) {
        lanes_from_rows((const real *)sample_address(job, view, b->sample), job->classes, scratch);
    } else if (rows_turn_in_squares(job, view, b)) {
        const char *rows = sample_address(job, view, b->sample);
        if (storage_bytes(job->storage) == sizeof(real))
            turn_from_rows(rows, view->inner, job->classes, scratch);
        else
            turn_from_halves(rows, view->inner, job->storage, job->classes, scratch);
    } else {
        for (size_t i = 0; i < b->rows; i++)
            unpack_row(sample_address(job, view, b->sample + i), view->classes, job->storage, job->classes,
                       scratch + i, b->lanes);
        for (size_t i = b->rows; i < b->lanes; i++)
            for (size_t k = 0; k < job->classes; k++) scratch[k * LANES + i] = 0;
    }
    if (masked)
        for (size_t i = 0; i < b->rows; i++) drop_classes(job, b->sample + i, scratch + i, b->lanes, dropped);
}

/* The block's values of a view, in lanes: where they lie if they lie so, else copied to `scratch`. Dropped
   classes become `dropped`, where the job has a mask and `masked` says that it is for this view.

   Others see a copy of the block, so that the compiler knows the kernel's own to stay as it is. */
static ALWAYS_INLINE const real *open_view(const struct fsm_job *job, const struct fsm_view *view,
                                           const struct block *b, real *scratch, int masked, real dropped) {
    masked = masked && job->where.data != NULL;
    if (!b->across && !masked && lies_along(job, view)) return (const real *)sample_address(job, view, b->sample);
    const struct block copy = copy_of(b);
    copy_view(job, view, &copy, scratch, masked, dropped);
    return scratch;
}

static ALWAYS_INLINE int streams_along(const struct fsm_job *job, const struct fsm_view *view) {
    return job->streams && lies_along(job, view);
}

/* Where a block computes what goes to a view: there itself if its rows lie along the lanes, else, or where it is to
   be streamed there at the end, in `scratch`. */
static ALWAYS_INLINE real *open_output(const struct fsm_job *job, const struct fsm_view *view, const struct block *b,
                                       real *scratch) {
    if (!b->across && view->data != NULL && lies_along(job, view) && !job->streams)
        return (real *)sample_address(job, view, b->sample);
    return scratch;
}

static inline void copy_to_view(const struct fsm_job *job, const struct fsm_view *view, const struct block *b,
                                real *values, real dropped) {
    if (job->where.data != NULL)
        for (size_t i = 0; i < b->rows; i++) drop_classes(job, b->sample + i, values + i, b->lanes, dropped);
    if (!b->across && lies_along(job, view)) return;
    if (b->across && samples_lie_along(job, view, b)) {
        if (b->slot == b->slots - 1) copy_to_columns(job, view, b, values - b->slot * b->count);
        return;
    }
    char *const rows = sample_address(job, view, b->sample);
    if (rows_follow(job, view, b)) {
        if (job->streams && job->classes <= MOST_STAGED && b->count * sizeof(real) >= LEAST_STAGED)
            stream_rows_from_lanes((real *)rows, b, values);
        else
            rows_from_lanes((real *)rows, job->classes, values);
        return;
    }
    if (rows_turn_in_squares(job, view, b)) {
        if (storage_bytes(job->storage) == sizeof(real))
            turn_to_rows(rows, view->inner, job->classes, values);
        else
            turn_to_halves(rows, view->inner, job->storage, job->classes, values);
        return;
    }
    for (size_t i = 0; i < b->rows; i++)
        pack_row(sample_address(job, view, b->sample + i), view->classes, job->storage, job->classes, values + i,
                 b->lanes);
}

/* Brings what open_output's place holds to the view, with `dropped` for dropped classes. */
static ALWAYS_INLINE void close_output(const struct fsm_job *job, const struct fsm_view *view, const struct block *b,
                                       real *values, real dropped) {
    if (!b->across && job->where.data == NULL && lies_along(job, view)) return;
    const struct block copy = copy_of(b);
    copy_to_view(job, view, &copy, values, dropped);
}
