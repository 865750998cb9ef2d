/* Rows, with their classes side by side, turned into lanes and back. */

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
