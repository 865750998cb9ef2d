#include "reference.h"

#include <stdlib.h>
#include <string.h>

#include "exact.h"

struct row {
    exact maximum;
    size_t at;  /* the largest class */
    exact rest; /* sum of e^(x - maximum) over all others */
    exact all;
    double undefined; /* NaN, where the row's softmax is, else 0 */
    exact soft_total; /* sum of the soft targets */
};

struct reference {
    const struct problem *problem;
    struct row *rows;
    exact *exponentials;
};

static struct row read_row(const double *x, size_t classes, exact *e) {
    struct row row = {.maximum = -(exact)INFINITY};
    for (size_t k = 0; k < classes; k++) {
        if (isnan(x[k]) || x[k] == (double)INFINITY) row.undefined = (double)NAN;
        if (x[k] > row.maximum) row.maximum = x[k], row.at = k;
    }
    if (exact_is_infinite(row.maximum)) row.undefined = (double)NAN;
    row.rest = row.undefined;
    for (size_t k = 0; k < classes; k++) {
        e[k] = row.undefined == 0 ? exact_exp(x[k] - row.maximum) : row.undefined;
        if (k != row.at) row.rest += e[k];
    }
    row.all = 1 + row.rest;
    return row;
}

static exact probability(const struct row *row, const exact *e, size_t k) { return e[k] / row->all; }
static exact one_less_probability(const struct row *row, const exact *e, size_t k) {
    return (k == row->at ? row->rest : row->all - e[k]) / row->all;
}
/* -log p, a sum of two terms that are not negative. */
static exact information(const struct row *row, double x) {
    return row->maximum - x + exact_log1p(row->rest) + row->undefined;
}

struct reference *make_reference(struct problem *p) {
    struct reference *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    r->problem = p;
    r->rows = malloc(p->rows * sizeof *r->rows);
    r->exponentials = malloc(p->rows * p->classes * sizeof *r->exponentials);
    if (r->rows == NULL || r->exponentials == NULL) {
        free_reference(r);
        return NULL;
    }
    for (size_t i = 0; i < p->rows; i++) {
        const size_t begin = i * p->classes;
        const exact *e = r->exponentials + begin;
        r->rows[i] = read_row(p->logits + begin, p->classes, r->exponentials + begin);
        for (size_t k = 0; k < p->classes; k++) r->rows[i].soft_total += p->soft[begin + k];
        for (size_t k = 0; k < p->classes && r->rows[i].undefined == 0; k++) {
            p->softmax[begin + k] = format_round(p->format, (double)probability(&r->rows[i], e, k));
            p->log_softmax[begin + k] =
                format_round(p->format, (double)-information(&r->rows[i], p->logits[begin + k]));
        }
    }
    return r;
}

void free_reference(struct reference *reference) {
    if (reference == NULL) return;
    free(reference->rows);
    free(reference->exponentials);
    free(reference);
}

static struct value value_of(const struct format *format, exact x, exact scale) {
    const exact beyond = exact_ldexp(1, format->top);
    int unit = format->bottom;
    if (exact_is_nan(x) || exact_is_infinite(x)) return (struct value){(double)x, 0, unit};
    if (exact_abs(x) > beyond) x = x < 0 ? -beyond : beyond;
    if (scale > 0) {
        const exact bounded = scale > beyond ? beyond : scale;
        const int place = exact_exponent(bounded) - format->digits, most = format->top - format->digits;
        unit = place < unit ? unit : place > most ? most : place;
    }
    x = exact_ldexp(x, -unit);
    return (struct value){(double)x, (double)(x - (double)x), unit};
}
static struct value value_by_itself(const struct format *format, exact x) {
    return value_of(format, x, exact_abs(x));
}

double error_of(const struct format *format, double actual, const struct value *right) {
    if (isnan(right->hi) || isinf(right->hi)) {
        const int agrees = isnan(right->hi) ? isnan(actual) : actual == right->hi;
        return agrees ? 0 : (double)INFINITY;
    }
    const double scaled =
        isinf(actual) ? copysign(ldexp(1, format->top - right->unit), actual) : ldexp(actual, -right->unit);
    const double error = fabs(scaled - right->hi - right->lo);
    return isnan(error) ? (double)INFINITY : error;
}

static void answer_softmax(const struct reference *r, size_t i, struct value *out) {
    const struct problem *p = r->problem;
    const exact *e = r->exponentials + i * p->classes;
    for (size_t k = 0; k < p->classes; k++) out[k] = value_by_itself(p->format, probability(&r->rows[i], e, k));
}

static void answer_log_softmax(const struct reference *r, size_t i, struct value *out) {
    const struct problem *p = r->problem;
    const double *x = p->logits + i * p->classes;
    for (size_t k = 0; k < p->classes; k++) out[k] = value_by_itself(p->format, -information(&r->rows[i], x[k]));
}

/* The infinity of a row that has one, unless there is a NaN. */
static struct value infinite_logsumexp(const double *x, size_t classes) {
    double largest = x[0];
    for (size_t k = 0; k < classes; k++) largest = isnan(x[k]) || x[k] > largest ? x[k] : largest;
    return (struct value){largest, 0, 0};
}

static struct value answer_logsumexp(const struct reference *r, size_t i) {
    const struct problem *p = r->problem;
    const struct row *row = &r->rows[i];
    const exact log_rest = exact_log1p(row->rest);
    if (row->undefined != 0) return infinite_logsumexp(p->logits + i * p->classes, p->classes);
    return value_of(p->format, row->maximum + log_rest, exact_max(exact_abs(row->maximum), log_rest));
}

/* p (g - sum g p), by p (|g| + sum |g| p). */
static void answer_softmax_backward(const struct problem *p, size_t i, struct value *out) {
    const double *g = p->grad_output + i * p->classes, *y = p->softmax + i * p->classes;
    exact inner = 0, size = 0;
    for (size_t k = 0; k < p->classes; k++) {
        inner += (exact)g[k] * y[k];
        size += (exact)fabs(g[k]) * y[k];
    }
    for (size_t k = 0; k < p->classes; k++)
        out[k] = value_of(p->format, y[k] * (g[k] - inner), y[k] * (fabs(g[k]) + size));
}

/* g - e^y sum g, by |g| + e^y sum |g|. */
static void answer_log_softmax_backward(const struct problem *p, size_t i, struct value *out) {
    const double *g = p->grad_output + i * p->classes, *y = p->log_softmax + i * p->classes;
    exact sum = 0, size = 0;
    for (size_t k = 0; k < p->classes; k++) sum += g[k], size += fabs(g[k]);
    for (size_t k = 0; k < p->classes; k++) {
        const exact e = exact_exp(y[k]);
        out[k] = value_of(p->format, g[k] - e * sum, fabs(g[k]) + e * size);
    }
}

/* sum t */
static exact target_total(const struct reference *r, const struct task *task, size_t i) {
    return task->targets == SOFT ? r->rows[i].soft_total : 1;
}

static exact loss_of(const struct reference *r, const struct task *task, size_t i) {
    const struct problem *p = r->problem;
    const double *x = p->logits + i * p->classes, *t = p->soft + i * p->classes;
    exact loss = r->rows[i].undefined;
    if (task->targets != SOFT) return information(&r->rows[i], x[p->labels[i]]);
    for (size_t k = 0; k < p->classes; k++)
        if (t[k] != 0) loss += t[k] * information(&r->rows[i], x[k]);
    return loss;
}

/* p sum t - t, and by what its error is measured: itself for labels, max(p sum t, t) where it cancels by nature. */
static exact gradient_of(const struct reference *r, const struct task *task, size_t i, size_t k, exact *scale) {
    const struct problem *p = r->problem;
    const exact *e = r->exponentials + i * p->classes;
    const exact share = target_total(r, task, i) * probability(&r->rows[i], e, k);
    if (task->targets == SOFT) {
        const double t = p->soft[i * p->classes + k];
        *scale = exact_max(share, t);
        return share - t;
    }
    const int is_label = (size_t)p->labels[i] == k;
    const exact gradient = is_label ? -one_less_probability(&r->rows[i], e, k) : share;
    *scale = exact_abs(gradient);
    return gradient;
}

static exact hessian_of(const struct reference *r, const struct task *task, size_t i, size_t k) {
    const size_t classes = r->problem->classes;
    const exact *e = r->exponentials + i * classes;
    const exact variance = probability(&r->rows[i], e, k) * one_less_probability(&r->rows[i], e, k);
    const exact h = target_total(r, task, i) * variance;
    if (task->hessian == FSM_HESSIAN_LIGHTGBM) return h * classes / (classes - 1);
    if (task->hessian == FSM_HESSIAN_XGBOOST) return 2 * h < (exact)1e-16 ? (exact)1e-16 : 2 * h;
    return h;
}

static void answer_row_with_targets(const struct reference *r, const struct task *task, size_t i, exact divisor,
                                    struct answer *a) {
    const struct problem *p = r->problem;
    const size_t begin = i * p->classes;
    for (size_t k = 0; k < p->classes; k++) {
        exact scale;
        const exact gradient = gradient_of(r, task, i, k, &scale);
        if (a->part[PART_OUT])
            a->part[PART_OUT][begin + k] = value_of(p->format, gradient / divisor, scale / divisor);
        if (a->part[PART_HESS]) a->part[PART_HESS][begin + k] = value_by_itself(p->format, hessian_of(r, task, i, k));
    }
    if (a->part[PART_LOSSES]) a->part[PART_LOSSES][i] = value_by_itself(p->format, loss_of(r, task, i));
}

/* Each mean is measured by the mean of what its summands are measured by. */
static void answer_means(const struct reference *r, const struct task *task, exact divisor, struct answer *a) {
    const struct problem *p = r->problem;
    exact loss = 0;
    for (size_t i = 0; i < p->rows && a->part[PART_LOSS]; i++) {
        const exact one = loss_of(r, task, i);
        a->loss_overflows |= one > DBL_MAX && !exact_is_infinite(one);
        loss += one;
    }
    if (a->part[PART_LOSS]) *a->part[PART_LOSS] = value_by_itself(p->format, loss / divisor);
    for (size_t k = 0; k < p->classes && a->part[PART_MEAN_GRAD]; k++) {
        exact sum = 0, size = 0;
        for (size_t i = 0; i < p->rows; i++) {
            exact scale;
            sum += gradient_of(r, task, i, k, &scale);
            size += scale;
        }
        a->part[PART_MEAN_GRAD][k] = value_of(p->format, sum / divisor, size / divisor);
    }
}

/* A shard that has all classes has the answers of the operation on all of them. */
static enum fsm_operation whole_operation(const struct task *task) {
    const int has_targets = task->targets != NO_TARGETS;
    if (task->operation == FSM_OPERATION_partial_state)
        return has_targets ? FSM_OPERATION_cross_entropy : FSM_OPERATION_logsumexp;
    if (task->operation == FSM_OPERATION_shard_exponentials)
        return has_targets ? FSM_OPERATION_cross_entropy : FSM_OPERATION_softmax;
    return task->operation;
}

static void answer_row(const struct reference *r, const struct task *task, size_t i, exact divisor,
                       struct answer *a) {
    struct value *out = a->part[PART_OUT] ? a->part[PART_OUT] + i * r->problem->classes : NULL;
    switch (whole_operation(task)) {
    case FSM_OPERATION_softmax: answer_softmax(r, i, out); break;
    case FSM_OPERATION_log_softmax: answer_log_softmax(r, i, out); break;
    case FSM_OPERATION_logsumexp: a->part[PART_LOSSES][i] = answer_logsumexp(r, i); break;
    case FSM_OPERATION_softmax_backward: answer_softmax_backward(r->problem, i, out); break;
    case FSM_OPERATION_log_softmax_backward: answer_log_softmax_backward(r->problem, i, out); break;
    default: answer_row_with_targets(r, task, i, divisor, a);
    }
}

int find_answer(const struct reference *reference, const struct task *task, struct answer *answer) {
    const struct problem *p = reference->problem;
    const size_t sizes[PARTS] = {p->rows * p->classes, p->rows * p->classes, p->rows, 1, p->classes};
    const exact divisor = task->mean ? p->rows : 1;
    memset(answer, 0, sizeof *answer);
    for (int part = 0; part < PARTS; part++) {
        if (!(task->parts & 1 << part)) continue;
        answer->part[part] = malloc(sizes[part] * sizeof *answer->part[part]);
        if (answer->part[part] == NULL) {
            free_answer(answer);
            return -1;
        }
    }
    for (size_t i = 0; i < p->rows; i++) answer_row(reference, task, i, divisor, answer);
    answer_means(reference, task, divisor, answer);
    return 0;
}

void free_answer(struct answer *answer) {
    for (int part = 0; part < PARTS; part++) free(answer->part[part]);
}
