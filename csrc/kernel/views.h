/* The caller's arrays: where a sample lies, row by row in any storage, and how rows lie to each other. */

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

/* A number a row, to where the job's results go. */
static inline void store_results(const struct fsm_job *job, const struct block *b, const double *values) {
    if (b->across && samples_lie_along(job, &job->losses, b)) {
        real *const out = (real *)sample_address(job, &job->losses, b->sample);
        for (size_t i = 0; i < LANES; i++) out[i] = (real)values[i];
        return;
    }
    for (size_t i = 0; i < b->rows; i++)
        store_real(sample_address(job, &job->losses, b->sample + i), job->storage, values[i]);
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
