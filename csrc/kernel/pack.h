/* Between the caller's arrays, at any strides and in any storage, and blocks in lanes. */

#include "halves.h"

static inline char *sample_address(const struct fsm_job *job, const struct fsm_view *view, size_t sample) {
    if (job->outer == 1) return view->data + (ptrdiff_t)sample * view->inner;
    return view->data + (ptrdiff_t)(sample / job->inner) * view->outer +
           (ptrdiff_t)(sample % job->inner) * view->inner;
}

static inline size_t storage_bytes(enum fsm_storage storage) {
    return storage == FSM_FLOAT64 ? 8 : storage == FSM_FLOAT32 ? 4 : 2;
}

/* One row, its classes `stride` bytes apart, to or from values `step` apart. Side by side, which is known when these
   are compiled in, the conversions go by vectors. */
static ALWAYS_INLINE void unpack_at(const char *p, ptrdiff_t stride, enum fsm_storage storage, size_t classes,
                                    real *row, size_t step) {
#if FSM_REAL_BITS == 32
    if (storage == FSM_FLOAT16) {
        for (size_t k = 0; k < classes; k++, p += stride) row[k * step] = float_from_float16(*(const uint16_t *)p);
        return;
    }
    if (storage == FSM_BFLOAT16) {
        for (size_t k = 0; k < classes; k++, p += stride) row[k * step] = float_from_bfloat16(*(const uint16_t *)p);
        return;
    }
#else
    (void)storage;
#endif
    for (size_t k = 0; k < classes; k++, p += stride) row[k * step] = *(const real *)p;
}

static ALWAYS_INLINE void pack_at(char *p, ptrdiff_t stride, enum fsm_storage storage, size_t classes,
                                  const real *row, size_t step) {
#if FSM_REAL_BITS == 32
    if (storage == FSM_FLOAT16) {
        for (size_t k = 0; k < classes; k++, p += stride) *(uint16_t *)p = float16_from_float(row[k * step]);
        return;
    }
    if (storage == FSM_BFLOAT16) {
        for (size_t k = 0; k < classes; k++, p += stride) *(uint16_t *)p = bfloat16_from_float(row[k * step]);
        return;
    }
#else
    (void)storage;
#endif
    for (size_t k = 0; k < classes; k++, p += stride) *(real *)p = row[k * step];
}

/* float16 side by side, by the CPU's own conversions where it has them. Returns how many of the classes were done. */
static inline size_t unpack_float16(const char *p, size_t classes, real *row) {
    size_t k = 0;
#ifdef HAS_FLOAT16
    for (; k + NATIVE <= classes; k += NATIVE) v_store(row + k, v_from_float16((const uint16_t *)p + k));
#else
    (void)p, (void)classes, (void)row;
#endif
    return k;
}
static inline size_t pack_float16(char *p, size_t classes, const real *row) {
    size_t k = 0;
#ifdef HAS_FLOAT16
    for (; k + NATIVE <= classes; k += NATIVE) v_to_float16((uint16_t *)p + k, v_load(row + k));
#else
    (void)p, (void)classes, (void)row;
#endif
    return k;
}

static inline void unpack_row(const char *p, ptrdiff_t stride, enum fsm_storage storage, size_t classes, real *row,
                              size_t step) {
    if (stride == 2 && step == 1 && storage_bytes(storage) == 2) {
        size_t done = storage == FSM_FLOAT16 ? unpack_float16(p, classes, row) : 0;
        unpack_at(p + 2 * done, 2, storage, classes - done, row + done, 1);
    } else {
        unpack_at(p, stride, storage, classes, row, step);
    }
}

static inline void pack_row(char *p, ptrdiff_t stride, enum fsm_storage storage, size_t classes, const real *row,
                            size_t step) {
    if (stride == 2 && step == 1 && storage_bytes(storage) == 2) {
        size_t done = storage == FSM_FLOAT16 ? pack_float16(p, classes, row) : 0;
        pack_at(p + 2 * done, 2, storage, classes - done, row + done, 1);
    } else {
        pack_at(p, stride, storage, classes, row, step);
    }
}

static inline void store_real(char *p, enum fsm_storage storage, double value) {
    real rounded = (real)value;
    pack_row(p, 0, storage, 1, &rounded, 1);
}

/* Whether a view's rows are values of `real` side by side, to be worked on where they lie. */
static inline int lies_along(const struct fsm_job *job, const struct fsm_view *view) {
    return storage_bytes(job->storage) == sizeof(real) &&
           (view->classes == (ptrdiff_t)sizeof(real) || job->classes == 1);
}

/* Whether the block's samples lie side by side, so that a class of all of them is one vector in memory. */
static inline int samples_lie_along(const struct fsm_job *job, const struct fsm_view *view, const struct block *b) {
    return storage_bytes(job->storage) == sizeof(real) && view->inner == (ptrdiff_t)sizeof(real) &&
           b->rows == LANES && b->sample % job->inner + LANES <= job->inner;
}

/* Rows of a whole block that follow each other without gaps. */
static inline int rows_follow(const struct fsm_job *job, const struct fsm_view *view, const struct block *b) {
    return b->across && b->rows == LANES && lies_along(job, view) && b->sample % job->inner + LANES <= job->inner &&
           view->inner == (ptrdiff_t)(job->classes * sizeof(real));
}

/* Rows of a whole block, equally far apart, with their classes side by side: they are turned in squares. */
static inline int rows_turn_in_squares(const struct fsm_job *job, const struct fsm_view *view,
                                       const struct block *b) {
    return b->across && b->rows == LANES && job->classes >= SQUARE &&
           view->classes == (ptrdiff_t)storage_bytes(job->storage) && b->sample % job->inner + LANES <= job->inner;
}

/* Bytes between what is read and what is fetched; classes of rows that are staged, and bytes of a block that is worth
   it. Measured. */
enum { FAR_AHEAD = 8192, MOST_STAGED = 128, LEAST_STAGED = 1024 };

/* The last square overlaps the one before where the classes are no multiple of its side. */
static inline size_t next_square(size_t k, size_t classes) {
    return k + SQUARE < classes && k + 2 * SQUARE > classes ? classes - SQUARE : k + SQUARE;
}

static ALWAYS_INLINE void turn_from_rows(const char *rows, ptrdiff_t stride, size_t classes, real *lanes) {
    for (size_t k = 0; k < classes; k = next_square(k, classes))
        for (size_t i = 0; i < LANES; i += NATIVE) {
            const char *p = rows + (ptrdiff_t)i * stride + k * sizeof(real);
            v r[SQUARE];
            for (size_t j = 0; j < SQUARE; j++) r[j] = v_load_rows(p + (ptrdiff_t)j * stride, stride);
            v_turn(r);
            for (size_t j = 0; j < SQUARE; j++) v_store(lanes + (k + j) * LANES + i, r[j]);
        }
}

static ALWAYS_INLINE void turn_to_rows(char *rows, ptrdiff_t stride, size_t classes, const real *lanes) {
    for (size_t k = 0; k < classes; k = next_square(k, classes))
        for (size_t i = 0; i < LANES; i += NATIVE) {
            char *p = rows + (ptrdiff_t)i * stride + k * sizeof(real);
            v r[SQUARE];
            for (size_t j = 0; j < SQUARE; j++) r[j] = v_load(lanes + (k + j) * LANES + i);
            v_turn(r);
            for (size_t j = 0; j < SQUARE; j++) v_store_rows(p + (ptrdiff_t)j * stride, stride, r[j]);
        }
}

/* Rows of fewer classes than a square has, one after another: with a number of classes that the compiler knows, it
   finds the permutations. */
static ALWAYS_INLINE void deal_from_rows(const real *restrict rows, size_t classes, real *restrict lanes) {
    for (size_t i = 0; i < LANES; i++)
        for (size_t k = 0; k < classes; k++) lanes[k * LANES + i] = rows[i * classes + k];
}

static ALWAYS_INLINE void deal_to_rows(real *restrict rows, size_t classes, const real *restrict lanes) {
    for (size_t i = 0; i < LANES; i++)
        for (size_t k = 0; k < classes; k++) rows[i * classes + k] = lanes[k * LANES + i];
}

/* From and to rows that follow each other without gaps. What is to be read soon is fetched: where rows are walked
   square by square, the hardware does not see where that leads. */
static inline void lanes_from_rows(const real *rows, size_t classes, real *lanes) {
    const char *ahead = (const char *)rows + FAR_AHEAD;
    for (size_t i = 0; i < classes * LANES * sizeof(real); i += 64) prefetch_far(ahead + i);
    if (classes >= SQUARE)
        turn_from_rows((const char *)rows, (ptrdiff_t)(classes * sizeof(real)), classes, lanes);
    else if (classes == 3)
        deal_from_rows(rows, 3, lanes);
    else if (classes == 2)
        deal_from_rows(rows, 2, lanes);
    else
        deal_from_rows(rows, 1, lanes);
}

static inline void rows_from_lanes(real *rows, size_t classes, const real *lanes) {
    if (classes >= SQUARE)
        turn_to_rows((char *)rows, (ptrdiff_t)(classes * sizeof(real)), classes, lanes);
    else if (classes == 3)
        deal_to_rows(rows, 3, lanes);
    else if (classes == 2)
        deal_to_rows(rows, 2, lanes);
    else
        deal_to_rows(rows, 1, lanes);
}

static ALWAYS_INLINE wide staged_step(const void *context, size_t offset, size_t lanes) {
    return load_lanes((const real *)context + offset, lanes, 0);
}

/* By whole lines, which the rows are first put together to. The line that blocks share is written in the caches, and
   has to be there first. */
static inline void stream_rows_from_lanes(real *rows, const struct block *b, const real *lanes) {
    _Alignas(64) real staged[(MOST_STAGED + 1) * LANES];
    real *const as_aligned = staged + (uintptr_t)rows % 64 / sizeof(real);
    prefetch_to_write((char *)(rows + b->count) + FAR_AHEAD);
    rows_from_lanes(as_aligned, b->classes, lanes);
    transform_streaming(b->count, staged_step, as_aligned, rows);
}

/* Rows of two bytes a class are converted a piece at a time on their way. */
enum { PIECE = 64 };

static inline size_t next_piece(size_t k, size_t classes) {
    return classes - k < PIECE + SQUARE ? classes - k : PIECE; /* none is too short for a square */
}

static inline void turn_from_halves(const char *rows, ptrdiff_t stride, enum fsm_storage storage, size_t classes,
                                    real *lanes) {
    real converted[LANES][PIECE + SQUARE];
    for (size_t k = 0, n; k < classes; k += n) {
        n = next_piece(k, classes);
        for (size_t i = 0; i < LANES; i++)
            unpack_row(rows + (ptrdiff_t)i * stride + 2 * k, 2, storage, n, converted[i], 1);
        turn_from_rows((const char *)converted, sizeof converted[0], n, lanes + k * LANES);
    }
}

static inline void turn_to_halves(char *rows, ptrdiff_t stride, enum fsm_storage storage, size_t classes,
                                  const real *lanes) {
    real converted[LANES][PIECE + SQUARE];
    for (size_t k = 0, n; k < classes; k += n) {
        n = next_piece(k, classes);
        turn_to_rows((char *)converted, sizeof converted[0], n, lanes + k * LANES);
        for (size_t i = 0; i < LANES; i++)
            pack_row(rows + (ptrdiff_t)i * stride + 2 * k, 2, storage, n, converted[i], 1);
    }
}

static inline void drop_classes(const struct fsm_job *job, size_t sample, real *row, size_t step, real value) {
    const char *keep = sample_address(job, &job->where, sample);
    for (size_t k = 0; k < job->classes; k++, keep += job->where.classes)
        if (!*keep) row[k * step] = value;
}

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
           job->classes <= INT32_MAX; /* a lane holds the number of a class */
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
