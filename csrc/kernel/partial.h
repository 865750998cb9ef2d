/* Partial vectors, for instruction sets without masked loads and stores. `count` may be 0 ... NATIVE. */

static LARGE_WORD v v_load_some(const real *p, size_t count, v fill) {
    real lanes[NATIVE];
    v_store(lanes, fill);
    for (size_t i = 0; i < count; i++) lanes[i] = p[i];
    return v_load(lanes);
}
static LARGE_WORD void v_store_some(real *p, size_t count, v a) {
    real lanes[NATIVE];
    v_store(lanes, a);
    for (size_t i = 0; i < count; i++) p[i] = lanes[i];
}
