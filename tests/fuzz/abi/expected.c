#include "expected.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What is summed over the samples, and how large its terms are. */
struct sums {
    double loss, loss_size, divisor;
    double mean[MOST_ELEMENTS * 2], mean_size[MOST_ELEMENTS * 2];
    int judged; /* every row so far could be */
};

struct row {
    size_t sample, classes;
    double x[MOST_ELEMENTS * 2], other[MOST_ELEMENTS * 2], y[MOST_ELEMENTS * 2];
    unsigned char keep[MOST_ELEMENTS * 2];
    double top, sum, log_sum; /* of the kept x: the largest, and the exponentials' less it */
    double total;             /* of y */
    int undefined, kept, ignored;
    double weight;    /* the sample's */
    int has_moderate; /* targets and weights of the classes: so moderate that a product of them is too */
};

struct judge {
    const struct call *call;
    const struct flat *in, *out;
    double divisor;
    const char *wrong;
};

static double load(const struct judge *j, const struct flat *flat, enum role role, size_t i) {
    const struct format *const format = format_of(j->call, role);
    return format_load(format, flat->data[role] + i * format->bytes);
}

static int has(const struct call *call, enum role role) {
    return call->array[role].described && call->array[role].has_data;
}

/* Within some times what rounding does to numbers of this size, or as far beyond what can be held. A loss comes in
   float64, but from float32 where the logits are no wider. Subnormal numbers on the way, of float32 for all but
   float64, cost more than the last place of a subnormal result. */
static void expect(struct judge *j, enum role role, size_t i, double want, double size) {
    const struct format *const format = format_of(j->call, role);
    const struct format *const computed =
        role == LOSS && j->call->dtype != FASTSOFTMAX_FLOAT64 ? &formats[FASTSOFTMAX_FLOAT32] : format;
    const double got = load(j, j->out, role, i), last = ldexp(8, 1 - computed->digits);
    const double tolerance = size * (last + 1e-12) +
                             fmax(ldexp(4, format->bottom),
                                  format->storage == FSM_FLOAT64 && computed == format ? 0x1p-1040 : 1e4 * 0x1p-149);
    if (isnan(want) ? isnan(got) : got == want || fabs(got - want) <= tolerance) return;
    if (fabs(want) > format_largest(format) * 0.99 && isinf(got) && got > 0 == want > 0) return;
    if (j->wrong != NULL) return;
    j->wrong = role_name(j->call->function, role);
    fprintf(stderr, "%s, element %zu: %.17g, not %.17g, of size %g\n", j->wrong, i, got, want, size);
}

static int64_t label_of(const struct judge *j, size_t i) {
    int32_t narrow;
    int64_t wide;
    memcpy(&wide, j->in->data[TARGETS] + i * 8 * (j->call->kind == FASTSOFTMAX_LABELS_INT64), sizeof wide);
    memcpy(&narrow, j->in->data[TARGETS] + i * 4, sizeof narrow);
    return j->call->kind == FASTSOFTMAX_LABELS_INT64 ? wide : narrow;
}

/* The largest is apart, so that a small logarithm is right too. */
static void add_exponentials(struct row *r) {
    double rest = 0;
    int largest = 0;
    for (size_t k = 0; k < r->classes && !r->undefined; k++)
        if (r->keep[k] && r->x[k] == r->top && !largest)
            largest = 1;
        else if (r->keep[k])
            rest += exp(r->x[k] - r->top);
    r->sum = largest + rest;
    r->log_sum = largest ? log1p(rest) : -INFINITY;
}

static void load_row(const struct judge *j, struct row *r, size_t sample) {
    const struct call *c = j->call;
    r->sample = sample;
    r->classes = c->shape.classes;
    r->top = -INFINITY, r->undefined = 0, r->kept = 0;
    for (size_t k = 0; k < r->classes; k++) {
        const size_t i = sample * r->classes + k;
        r->x[k] = load(j, j->in, INPUT, i);
        if (has(c, OTHER)) r->other[k] = load(j, j->in, OTHER, i);
        r->keep[k] = !has(c, WHERE) || j->in->data[WHERE][i] != 0;
        if (!r->keep[k]) continue;
        r->kept++;
        r->undefined |= isnan(r->x[k]) || r->x[k] == (double)INFINITY;
        r->top = r->x[k] > r->top ? r->x[k] : r->top;
    }
    r->undefined |= r->kept > 0 && r->top == -(double)INFINITY;
    add_exponentials(r);
    r->weight = has(c, SAMPLE_WEIGHT) ? load(j, j->in, SAMPLE_WEIGHT, sample) : 1;
}

/* The weighted and smoothed targets of a row. */
static void load_targets(const struct judge *j, struct row *r) {
    const struct call *c = j->call;
    const double smoothing = c->options.label_smoothing;
    const int soft = c->kind == FASTSOFTMAX_PROBABILITIES;
    const int64_t label = soft ? -1 : label_of(j, r->sample);
    r->total = 0;
    r->has_moderate = 1;
    r->ignored = !soft && c->options.has_ignore_index && label == c->options.ignore_index;
    for (size_t k = 0; k < r->classes; k++) {
        const double t = soft ? load(j, j->in, TARGETS, r->sample * r->classes + k) : label == (int64_t)k;
        const double weight = has(c, CLASS_WEIGHT) ? load(j, j->in, CLASS_WEIGHT, k) : 1;
        r->y[k] = weight * ((1 - smoothing) * t + smoothing / (double)r->classes);
        r->total += r->y[k];
        r->has_moderate &= t >= 0 && t <= 1e4 && weight <= 1e4;
    }
}

static double divisor_of(const struct judge *j) {
    const struct call *c = j->call;
    double divisor = 0;
    if (c->function != CROSS_ENTROPY || c->options.reduction != FASTSOFTMAX_MEAN) return 1;
    for (size_t i = 0; i < sample_count(c); i++) {
        const double weight = has(c, SAMPLE_WEIGHT) ? load(j, j->in, SAMPLE_WEIGHT, i) : 1;
        const int is_label = c->kind != FASTSOFTMAX_PROBABILITIES;
        const int64_t label = is_label ? label_of(j, i) : 0;
        if (is_label && c->options.has_ignore_index && label == c->options.ignore_index) continue;
        divisor += is_label && has(c, CLASS_WEIGHT) ? weight * load(j, j->in, CLASS_WEIGHT, (size_t)label) : weight;
    }
    return divisor;
}

static void judge_probabilities(struct judge *j, const struct row *r) {
    const double log_sum = r->log_sum;
    const enum function f = j->call->function;
    if (f == LOGSUMEXP) {
        double want = r->kept ? r->top + log_sum : -INFINITY;
        if (r->undefined) want = r->top;
        for (size_t k = 0; k < r->classes; k++)
            if (r->keep[k] && isnan(r->x[k])) want = NAN;
        expect(j, LOSSES, r->sample, want, fabs(r->top) + fabs(log_sum));
        return;
    }
    for (size_t k = 0; k < r->classes; k++) {
        const size_t i = r->sample * r->classes + k;
        const double below = r->x[k] - r->top, p = exp(below) / r->sum;
        if (!r->keep[k])
            expect(j, OUT, i, f == SOFTMAX ? 0 : -INFINITY, 0);
        else if (r->undefined)
            expect(j, OUT, i, NAN, 0);
        else if (f == SOFTMAX)
            expect(j, OUT, i, p, p);
        else
            expect(j, OUT, i, below - log_sum, fabs(below) + log_sum);
    }
}

/* Whether the output can be that of softmax or log_softmax, but that it need not add up to 1, and the gradients are
   of a size that such a sum keeps. */
static int is_judged_backward(const struct row *r, int is_log) {
    double top = -INFINITY;
    for (size_t k = 0; k < r->classes; k++) {
        if (!(fabs(r->x[k]) < 1e10) || !(r->other[k] <= 2) || (!is_log && r->other[k] < 0)) return 0;
        top = r->other[k] > top ? r->other[k] : top;
    }
    return !is_log || top > -100;
}

static void judge_backward(struct judge *j, const struct row *r) {
    const int is_log = j->call->function == LOG_SOFTMAX_BACKWARD;
    double inner = 0, size = 0;
    if (!is_judged_backward(r, is_log)) return;
    for (size_t k = 0; k < r->classes; k++) {
        const double term = is_log ? r->x[k] : r->x[k] * r->other[k];
        inner += term, size += fabs(term);
    }
    for (size_t k = 0; k < r->classes; k++) {
        const size_t i = r->sample * r->classes + k;
        const double p = is_log ? exp(r->other[k]) : r->other[k];
        if (is_log)
            expect(j, OUT, i, r->x[k] - p * inner, fabs(r->x[k]) + p * size);
        else
            expect(j, OUT, i, p * (r->x[k] - inner), fabs(p) * (fabs(r->x[k]) + size));
    }
}

static double hessian_of(const struct call *c, double value) {
    const double classes = (double)c->shape.classes;
    if (c->options.hessian == FASTSOFTMAX_HESSIAN_XGBOOST)
        return 2 * value > 1e-16 || isnan(value) ? 2 * value : 1e-16;
    return c->options.hessian == FASTSOFTMAX_HESSIAN_LIGHTGBM ? classes / (classes - 1) * value : value;
}

/* A row's loss and gradient, which are added to the sums, and its Hessian. */
static void judge_losses(struct judge *j, const struct row *r, struct sums *sums) {
    const double scale = r->weight / j->divisor;
    double loss = 0, loss_size = 0;
    for (size_t k = 0; k < r->classes; k++) {
        const size_t i = r->sample * r->classes + k;
        const double below = r->x[k] - r->top, e = exp(below) / r->sum, p = r->undefined ? NAN : e;
        const double wanted = r->ignored ? 0 : (r->total * p - r->y[k]) * scale;
        const double size = fmax(r->total * e, r->y[k]) * scale;
        if (r->y[k] != 0 && r->weight != 0)
            loss += r->y[k] * (r->log_sum - below), loss_size += r->y[k] * (1 + fabs(below));
        if (has(j->call, OUT)) expect(j, OUT, i, wanted, size);
        if (has(j->call, HESS)) {
            const double h = hessian_of(j->call, r->weight * r->total * p * (1 - p));
            expect(j, HESS, i, h, r->total * r->weight * e * 4 + h);
        }
        sums->mean[k] += wanted, sums->mean_size[k] += r->ignored ? 0 : size;
    }
    loss = r->ignored ? 0 : (r->undefined ? NAN : loss) * r->weight;
    loss_size = r->ignored ? 0 : loss_size * r->weight;
    if (has(j->call, LOSSES)) expect(j, LOSSES, r->sample, loss, loss_size);
    sums->loss += loss, sums->loss_size += loss_size;
}

/* Whether double precision is enough for a row: numbers that are moderate, or special. */
static int is_judged(const struct row *r) {
    for (size_t k = 0; k < r->classes; k++)
        if (!(fabs(r->x[k]) <= 1e4 || isinf(r->x[k]) || isnan(r->x[k]))) return 0;
    return 1;
}
static void judge_sums(struct judge *j, const struct sums *sums, int is_mean) {
    const struct call *c = j->call;
    if (has(c, LOSS)) {
        const double loss = is_mean && sums->divisor == 0 ? NAN : sums->loss / j->divisor;
        expect(j, LOSS, 0, loss, sums->loss_size / j->divisor);
    }
    for (size_t k = 0; k < c->shape.classes && has(c, MEAN_GRAD); k++)
        expect(j, MEAN_GRAD, k, is_mean && sums->divisor == 0 ? 0 : sums->mean[k], sums->mean_size[k]);
}

static void judge_cross_entropy(struct judge *j, struct row *row, struct sums *sums) {
    const struct call *c = j->call;
    const int is_mean = c->function == CROSS_ENTROPY && c->options.reduction == FASTSOFTMAX_MEAN;
    sums->loss = sums->loss_size = 0;
    memset(sums->mean, 0, c->shape.classes * sizeof *sums->mean);
    memset(sums->mean_size, 0, c->shape.classes * sizeof *sums->mean_size);
    sums->divisor = divisor_of(j);
    if (!(sums->divisor <= 1e10) || (sums->divisor < 1e-10 && sums->divisor != 0)) return;
    j->divisor = sums->divisor == 0 ? 1 : sums->divisor;
    sums->judged = 1;
    for (size_t i = 0; i < sample_count(c); i++) {
        load_row(j, row, i);
        load_targets(j, row);
        if (!is_judged(row) || !row->has_moderate || row->weight > 1e4) {
            sums->judged = 0;
        } else if (sums->divisor == 0) { /* a mean over nothing: its gradients are 0 whatever the rows are */
            for (size_t k = 0; k < row->classes && has(c, OUT); k++) expect(j, OUT, i * row->classes + k, 0, 0);
        } else {
            judge_losses(j, row, sums);
        }
    }
    if (sums->judged) judge_sums(j, sums, is_mean);
}

const char *judge_results(const struct call *call, const struct flat *inputs, const struct flat *results) {
    static struct row row;
    static struct sums sums;
    struct judge j = {call, inputs, results, 1, NULL};
    if (call->shape.classes > 2 * MOST_ELEMENTS) return NULL; /* of no samples */
    if (call->function >= CROSS_ENTROPY) {
        judge_cross_entropy(&j, &row, &sums);
        return j.wrong;
    }
    for (size_t i = 0; i < sample_count(call); i++) {
        load_row(&j, &row, i);
        if (call->function == SOFTMAX_BACKWARD || call->function == LOG_SOFTMAX_BACKWARD)
            judge_backward(&j, &row);
        else if (is_judged(&row))
            judge_probabilities(&j, &row);
    }
    return j.wrong;
}
