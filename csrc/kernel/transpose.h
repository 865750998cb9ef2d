/* Blocks of 4 by 4 between rows in memory and rows across the lanes, in portable C. */

static ALWAYS_INLINE void transpose_from(const real *a, const real *b, const real *c, const real *d, real *lanes) {
    for (size_t k = 0; k < 4; k++, lanes += LANES) {
        lanes[0] = a[k];
        lanes[1] = b[k];
        lanes[2] = c[k];
        lanes[3] = d[k];
    }
}
static ALWAYS_INLINE void transpose_to(real *a, real *b, real *c, real *d, const real *lanes) {
    for (size_t k = 0; k < 4; k++, lanes += LANES) {
        a[k] = lanes[0];
        b[k] = lanes[1];
        c[k] = lanes[2];
        d[k] = lanes[3];
    }
}
