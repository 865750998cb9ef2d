#include "ulps.h"

static void note_worst(struct errors *e, const double *x, const double *error, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (fabs(error[i]) > e->worst) e->worst = fabs(error[i]), e->at = x[i];
}

static void decide_doubts(struct errors *e, const double *x, const double *result, const double *error, size_t count,
                          exact_error *decide) {
    for (size_t i = 0; i < count; i++) {
        if (!(fabs(fabs(error[i]) - 0.5) < e->doubt)) continue;
        e->not_nearest -= fabs(error[i]) > 0.5;
        e->not_nearest += fabs(decide(x[i], result[i])) > 0.5;
    }
}

static uint64_t mix(uint64_t digest, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    digest = (digest ^ bits) * 0x9e3779b97f4a7c15u;
    return digest ^ digest >> 32;
}

void note_errors(struct errors *e, const double *x, const double *result, const double *error, size_t count,
                 exact_error *decide) {
    double worst = 0;
    uint64_t beyond = 0, doubts = 0, numbers = 0;
    for (size_t i = 0; i < count; i++) {
        const double size = fabs(error[i]);
        worst = size > worst ? size : worst;
        beyond += size > 0.5;
        doubts += fabs(size - 0.5) < e->doubt;
        numbers += size == size;
    }
    for (size_t i = 0; i < count; i++) e->digest = mix(e->digest, result[i]);
    e->count += count;
    e->not_nearest += beyond;
    e->is_wrong |= numbers != count;
    if (worst > e->worst) note_worst(e, x, error, count);
    if (decide != NULL && doubts > 0) decide_doubts(e, x, result, error, count, decide);
}
