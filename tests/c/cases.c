#include "cases.h"

#include <math.h>
#include <stdlib.h>

typedef void fill_row(struct generator *g, const struct format *format, double *x, size_t classes);

/* Beyond this gap an exponential is less than half of the format's smallest subnormal. */
static double underflow(const struct format *format) { return (1 - format->bottom) * 0.6931471805599453; }

static void fill_normal(struct generator *g, double scale, double *x, size_t classes) {
    for (size_t k = 0; k < classes; k++) x[k] = scale * random_normal(g);
}
static void fill_near(struct generator *g, const struct format *f, double *x, size_t n) {
    (void)f;
    fill_normal(g, 1, x, n);
}
static void fill_apart(struct generator *g, const struct format *f, double *x, size_t n) {
    (void)f;
    fill_normal(g, 4, x, n);
}
static void fill_far(struct generator *g, const struct format *f, double *x, size_t n) {
    (void)f;
    fill_normal(g, 25, x, n);
}
static void fill_beyond(struct generator *g, const struct format *f, double *x, size_t n) {
    fill_normal(g, underflow(f) / 3, x, n);
}

/* (g, 0, 0, ...): the gradient at the largest class is that of a p which rounds to 1. */
static void fill_confident(struct generator *g, const struct format *f, double *x, size_t n) {
    const size_t at = random_below(g, n);
    for (size_t k = 0; k < n; k++) x[k] = 0;
    x[at] = random_between(g, 0, underflow(f) + 10);
}

/* Several maxima, equal or one or two units in the last place apart. */
static void fill_ties(struct generator *g, const struct format *f, double *x, size_t n) {
    double largest = -INFINITY;
    fill_normal(g, 2, x, n);
    for (size_t k = 0; k < n; k++) x[k] = format_round(f, x[k]);
    for (size_t k = 0; k < n; k++) largest = x[k] > largest ? x[k] : largest;
    for (size_t i = 0; i < 3; i++) {
        double value = largest;
        for (size_t step = random_below(g, 3); step > 0; step--) value = format_below(f, value);
        x[random_below(g, n)] = value;
    }
}

static void fill_equal(struct generator *g, const struct format *f, double *x, size_t n) {
    const double values[] = {0, 1, -1, 0.3, 88, -104, 1e4, 1e30, -1e30, 1e-30, format_largest(f)};
    const double value = values[random_below(g, sizeof values / sizeof *values)];
    for (size_t k = 0; k < n; k++) x[k] = value;
}

/* Numbers of which one exceeds all others by far, and near ties of them. */
static void fill_huge(struct generator *g, const struct format *f, double *x, size_t n) {
    const double top = format_largest(f);
    const double values[] = {1e30, -1e30, top, -top, format_below(f, top), 0x1p40, 0x1p40 + 0x1p20, -0x1p40};
    const size_t some = 1 + random_below(g, sizeof values / sizeof *values);
    for (size_t k = 0; k < n; k++) x[k] = random_below(g, 3) ? random_normal(g) : values[random_below(g, some)];
}

/* Steps down to probabilities below the smallest subnormal. */
static void fill_steps(struct generator *g, const struct format *f, double *x, size_t n) {
    const double shift = random_between(g, -30, 30), bottom = underflow(f) * random_between(g, 0.7, 1.1);
    for (size_t k = 0; k < n; k++) x[k] = shift - bottom * (double)k / (double)n;
    for (size_t k = n - 1; k > 0; k--) {
        const size_t other = random_below(g, k + 1);
        const double value = x[k];
        x[k] = x[other], x[other] = value;
    }
}

/* Ordinary differences on top of a large constant. */
static void fill_offset(struct generator *g, const struct format *f, double *x, size_t n) {
    const double constants[] = {1e4, -1e4, 1e6, -1e6, 3e7, -3e7};
    const double constant = constants[random_below(g, sizeof constants / sizeof *constants)];
    (void)f;
    for (size_t k = 0; k < n; k++) x[k] = constant + 3 * random_normal(g);
}

static void fill_tiny(struct generator *g, const struct format *f, double *x, size_t n) {
    const double scales[] = {1e-30, ldexp(1, f->bottom + f->digits), ldexp(50, f->bottom)};
    fill_normal(g, scales[random_below(g, 3)], x, n);
}

/* -inf among finite numbers, of which there is at least one. */
static void fill_partly_infinite(struct generator *g, const struct format *f, double *x, size_t n) {
    const size_t finite = random_below(g, n);
    const double share = random_unit(g);
    (void)f;
    for (size_t k = 0; k < n; k++) x[k] = k != finite && random_unit(g) < share ? -INFINITY : 5 * random_normal(g);
}

/* Rows whose softmax is NaN: a NaN or a +inf in them, or nothing but -inf. */
static void fill_undefined(struct generator *g, const struct format *f, double *x, size_t n) {
    const double values[] = {NAN, INFINITY};
    fill_partly_infinite(g, f, x, n);
    const int all = random_below(g, 4) == 0;
    for (size_t k = 0; k < n && all; k++) x[k] = -INFINITY;
    for (size_t i = 0; i < 2 && !all; i++) {
        const size_t at = random_below(g, n);
        x[at] = values[random_below(g, 2)];
    }
}

static const struct {
    const char *name;
    fill_row *fill;
} kinds[] = {{"normal x 1", fill_near},     {"normal x 4", fill_apart},
             {"normal x 25", fill_far},     {"normal beyond underflow", fill_beyond},
             {"confident", fill_confident}, {"ties", fill_ties},
             {"equal", fill_equal},         {"huge", fill_huge},
             {"steps", fill_steps},         {"offset", fill_offset},
             {"tiny", fill_tiny},           {"partly infinite", fill_partly_infinite},
             {"undefined", fill_undefined}};

enum { PURE_KINDS = sizeof kinds / sizeof *kinds };

size_t kind_count(void) { return PURE_KINDS + 1; }

static int is_undefined(const double *x, size_t classes) {
    double largest = -INFINITY;
    for (size_t k = 0; k < classes; k++) {
        if (isnan(x[k])) return 1;
        if (x[k] > largest) largest = x[k];
    }
    return isinf(largest);
}

static size_t argmax(const double *x, size_t classes) {
    size_t at = 0;
    for (size_t k = 1; k < classes; k++)
        if (x[k] > x[at]) at = k;
    return at;
}

static void fill_logits(struct problem *p, size_t kind, struct generator *g) {
    for (size_t i = 0; i < p->rows; i++) {
        double *x = p->logits + i * p->classes;
        kinds[kind < PURE_KINDS ? kind : random_below(g, PURE_KINDS)].fill(g, p->format, x, p->classes);
        for (size_t k = 0; k < p->classes; k++) x[k] = format_round(p->format, x[k]);
    }
}

/* The largest class for every third sample, any class with a finite logit for the others. */
static void fill_labels(struct problem *p, struct generator *g) {
    for (size_t i = 0; i < p->rows; i++) {
        const double *x = p->logits + i * p->classes;
        const size_t largest = argmax(x, p->classes), any = random_below(g, p->classes);
        const size_t label = i % 3 == 0 || !isfinite(x[any]) ? largest : any;
        p->labels[i] = (int64_t)label;
        for (size_t k = 0; k < p->classes; k++) p->one_hot[i * p->classes + k] = k == label;
    }
}

/* A third of the rows sparse, a third near one-hot at the largest class; one in four does not sum to 1. */
static void fill_soft(struct problem *p, struct generator *g) {
    for (size_t i = 0; i < p->rows; i++) {
        const double *x = p->logits + i * p->classes;
        double *t = p->soft + i * p->classes, total = 0;
        const double wanted = random_below(g, 4) ? 1 : random_between(g, 0.2, 2);
        for (size_t k = 0; k < p->classes; k++) {
            const double unit = random_unit(g);
            t[k] = unit * unit * unit * (i % 3 == 1 ? 1e-6 : 1);
            if (i % 3 == 0 && random_below(g, 3)) t[k] = 0;
        }
        t[argmax(x, p->classes)] += 0.1;
        /* No target where the loss would be infinite. */
        for (size_t k = 0; k < p->classes; k++) t[k] = x[k] == -(double)INFINITY ? 0 : t[k];
        for (size_t k = 0; k < p->classes; k++) total += t[k];
        for (size_t k = 0; k < p->classes; k++) t[k] = format_round(p->format, total > 0 ? wanted * t[k] / total : 0);
    }
}

static void fill_backward(struct problem *p, struct generator *g) {
    for (size_t i = 0; i < p->rows; i++) {
        const size_t at = i * p->classes;
        const double scale = ldexp(1, (int)random_below(g, 21) - 10);
        const int undefined = is_undefined(p->logits + at, p->classes);
        for (size_t k = 0; k < p->classes; k++) {
            p->grad_output[at + k] = format_round(p->format, scale * random_normal(g));
            if (undefined) p->softmax[at + k] = p->log_softmax[at + k] = (double)NAN;
        }
    }
}

struct problem *make_problem(const struct format *format, size_t kind, size_t rows, size_t classes,
                             struct generator *g) {
    const size_t count = rows * classes;
    struct problem *p = malloc(sizeof *p);
    double *values = malloc(6 * count * sizeof *values);
    int64_t *labels = malloc(rows * sizeof *labels);
    if (p == NULL || values == NULL || labels == NULL) {
        free(p), free(values), free(labels);
        return NULL;
    }
    *p = (struct problem){.format = format,
                          .kind = kind < PURE_KINDS ? kinds[kind].name : "mixed",
                          .rows = rows,
                          .classes = classes,
                          .logits = values,
                          .labels = labels,
                          .one_hot = values + count,
                          .soft = values + 2 * count,
                          .grad_output = values + 3 * count,
                          .softmax = values + 4 * count,
                          .log_softmax = values + 5 * count};
    fill_logits(p, kind, g);
    fill_labels(p, g);
    fill_soft(p, g);
    fill_backward(p, g);
    return p;
}

void free_problem(struct problem *problem) {
    if (problem == NULL) return;
    free(problem->logits);
    free(problem->labels);
    free(problem);
}
