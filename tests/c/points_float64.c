/* float64 at random and at bad points, against long double. */
#include <stdio.h>
#include <stdlib.h>

#include "dispatch.h"
#include "measured.h"
#include "random.h"
#include "sweeps.h"

#define LOG2E 0x1.71547652b82fep+0
#define QUARTER_LN2 0x1.62e42fefa39efp-3 /* a step of the exponential's table */

/* The hardest of all float64 numbers to round the exponential and the logarithm of, and others (V. Lefevre and J.-M.
   Muller, "Worst cases for correct rounding of the elementary functions in double precision", 15th IEEE Symposium on
   Computer Arithmetic, 2001; J.-M. Muller, "Elementary Functions", 2nd edition, 2006). */
static const double hard_for_exp[] = {
    -0x1.e8bdbfcd9144ep3,   -0x1.71e0b869b5e79p2,   -0x1.02393d5976769p1,   -0x1.2a9cad9998262p0,
    -0x1.cc37ef7de7501p0,   -0x1.22e24fa3d5cf9p-1,  -0x1.dc2b5df1f7d3dp-1,  -0x1.290ea09e36479p-3,
    -0x1.a2fefefd580dfp-13, -0x1.ed318efb627eap-27, -0x1.4bd46601ae1efp-31, -0x1.1000000000242p-42,
    -0x1.2000000000288p-42, -0x1.8000000000012p-48, -0x1.0000000000001p-51, 0x1.fffffffffffffp-53,
    0x1.fffffffffffe0p-48,  0x1.7ffe7ffee0024p-32,  0x1.80017ffedffdcp-32,  0x1.9e9cbbfd6080bp-31,
    0x1.d7a7d893609e5p-26,  0x1.ba07d73250de7p-14,  0x1.d77fd13d27fffp-11,  0x1.6a4d1af9cc989p-8,
    0x1.accfbe46b4ef0p-1,   0x1.aca7ae8da5a7bp0,    0x1.d6336a88077aap0,    0x1.42ee3c7dc4946p1,
    0x1.76e7e5d7b6eacp3,    0x1.a8ead058bc6b8p3,    0x1.1d5c2daebe367p4,    0x1.c44ce0d716a1ap4};
static const double hard_for_log[] = {0x1.0000000000001p0, 0x1.00096581ce4e4p1, 0x1.91a8dff540ff7p2,
                                      0x1.de37fb31fd5fcp2, 0x1.2b1199e497797p3, 0x1.55f0eaa1b2fc8p3,
                                      0x1.8ede492dd9607p3, 0x1.11867637cbd03p4, 0x1.3d9d7d597a9ddp4,
                                      0x1.7f3825778aaafp4, 0x1.ac50b409c8aeep8, 0x1.de7cd6751029ap16};

/* Some points, and their results. */
struct batch {
    size_t count;
    double x[SWEPT_AT_ONCE], low[SWEPT_AT_ONCE], result[SWEPT_AT_ONCE], error[SWEPT_AT_ONCE];
    double power[SWEPT_AT_ONCE], rest[SWEPT_AT_ONCE];
    double pair[2 * SWEPT_AT_ONCE], softmax[2 * SWEPT_AT_ONCE], loss[SWEPT_AT_ONCE], logsumexp[SWEPT_AT_ONCE];
    long double value[SWEPT_AT_ONCE], unit[SWEPT_AT_ONCE], e[SWEPT_AT_ONCE], log_rest[SWEPT_AT_ONCE];
};

static void note(struct errors *e, struct batch *b, exact_error *decide) {
    for (size_t i = 0; i < b->count; i++) b->error[i] = (double)((b->result[i] - b->value[i]) * b->unit[i]);
    note_errors(e, b->x, b->result, b->error, b->count, decide);
}
static void note_each(struct errors *e, struct batch *b, const double *result, size_t step, exact_error *decide) {
    for (size_t i = 0; i < b->count; i++) b->result[i] = result[i * step];
    note(e, b, decide);
}

/* Of a magnitude from 2^lowest up to 2^(lowest + count). */
static double of_any_magnitude(struct generator *g, int lowest, size_t count) {
    const double significand = random_between(g, 1, 2);
    return ldexp(significand, lowest + (int)random_below(g, count));
}

static double some_ulps_off(struct generator *g, double x) {
    const double unit = nextafter(fabs(x), INFINITY) - fabs(x);
    return x + unit * ((double)random_below(g, 257) - 128);
}

/* A number that may be hard: near a boundary of the exponential's steps, near a power of two, or on a list. */
static double bad_point(struct generator *g, double size) {
    switch (random_below(g, 4)) {
    case 0: return some_ulps_off(g, ldexp(1, (int)random_below(g, 70) - 60));
    case 1: return fabs(hard_for_exp[random_below(g, sizeof hard_for_exp / sizeof *hard_for_exp)]);
    default: return some_ulps_off(g, (floor(random_between(g, 0, size / QUARTER_LN2)) + 0.5) * QUARTER_LN2);
    }
}

/* How far below a row's maximum a number is: down to 2^-1076 of its exponential, as no result shows more. */
static double distance(struct generator *g) {
    enum { FARTHEST = 746 };
    switch (random_below(g, 8)) {
    case 0: return random_between(g, 0, 40);
    case 1: return of_any_magnitude(g, -60, 69);
    case 2:
    case 3: return bad_point(g, FARTHEST);
    default: return random_between(g, 0, FARTHEST);
    }
}

static double exp_scale; /* the kernel's, times 2^-N */
static int exp_exponent; /* -N */

static double exact_exp_error(double x, double result) {
    const exact value = exact_ldexp(exact_exp(x) * exp_scale, exp_exponent);
    return (double)((result - value) / exact_ulp(value, 53, -1074));
}

/* In a row of a maximum that is drawn, x itself where that is 0. */
static void try_exp(struct batch *b, struct generator *g, struct subject *subjects) {
    static const double maxima[] = {0, 0, 0, 0, 1, 300, 1024, 2048, -300, -1024, -2048};
    const double maximum = maxima[random_below(g, sizeof maxima / sizeof *maxima)];
    exp_scale = *measured_at(0)->scale64;
    exp_exponent = (int)-rint(maximum * LOG2E);
    for (size_t i = 0; i < b->count; i++) {
        b->x[i] = maximum - distance(g);
        b->value[i] = ldexpl(expl(b->x[i]) * exp_scale, exp_exponent);
        b->unit[i] = 1 / float64_ulp(b->value[i]);
    }
    for (size_t set = 0; set < fsm_instruction_set_count(); set++) {
        if (!measured_at(set)->supported()) continue;
        measured_at(set)->exp64(b->x, b->count, maximum, b->softmax, b->power, b->rest);
        note_each(&subjects[EXP64].errors[set], b, b->softmax, 1, exact_exp_error);
        for (size_t i = 0; i < b->count; i++)
            b->error[i] = (double)(((long double)b->power[i] + b->rest[i] - b->value[i]) * b->unit[i]);
        note_errors(&subjects[SUMMED_EXP64].errors[set], b->x, b->result, b->error, b->count, NULL);
    }
}

/* What a sum without its largest term is, in units of that: any number from 0 to that of the classes. */
static double sum_of_rest(struct generator *g) {
    const double root_of_two = 0x1.6a09e667f3bcdp0; /* around it and its products with powers of two 1 + a is split */
    switch (random_below(g, 6)) {
    case 0: return hard_for_log[random_below(g, sizeof hard_for_log / sizeof *hard_for_log)] - 1;
    case 1: return some_ulps_off(g, ldexp(1, (int)random_below(g, 100) - 60));
    case 2: return some_ulps_off(g, ldexp(root_of_two, (int)random_below(g, 40)) - 1);
    case 3: return random_between(g, 0, 4);
    case 4: return of_any_magnitude(g, -1074, 1104);
    default: return of_any_magnitude(g, -60, 100);
    }
}

static void try_log(struct batch *b, struct generator *g, struct subject *subjects) {
    for (size_t i = 0; i < b->count; i++) {
        b->x[i] = sum_of_rest(g);
        const double unit = nextafter(b->x[i], INFINITY) - b->x[i];
        b->low[i] = b->x[i] < 0x1p-960 ? 0 : unit * random_between(g, -0.5, 0.5);
        b->value[i] = log1pl((long double)b->x[i] + b->low[i]);
        b->unit[i] = 1 / float64_ulp(b->value[i]);
    }
    for (size_t set = 0; set < fsm_instruction_set_count(); set++) {
        if (!measured_at(set)->supported()) continue;
        measured_at(set)->log1p64(b->x, b->low, b->count, b->result);
        note(&subjects[LOG64].errors[set], b, NULL);
    }
}

static exact of_smaller(double x) { return exact_exp(x < 0 ? x : -x); }

static double exact_softmax_error(double x, double result) {
    const exact e = of_smaller(x), value = (x < 0 ? e : 1) / (1 + e);
    return (double)((result - value) / exact_ulp(value, 53, -1074));
}
static double exact_loss_error(double x, double result) {
    const exact value = (x < 0 ? -(exact)x : 0) + exact_log1p(of_smaller(x));
    return (double)((result - value) / exact_ulp(value, 53, -1074));
}

static void set_values(struct batch *b, enum float64_subject subject) {
    for (size_t i = 0; i < b->count; i++) {
        const long double x = b->x[i], e = b->e[i], log_rest = b->log_rest[i], maximum = x > 0 ? x : 0;
        const long double softmax = (x < 0 ? e : 1) / (1 + e), loss = (x < 0 ? -x : 0) + log_rest;
        b->value[i] = subject == SOFTMAX64 ? softmax : subject == LOSS64 ? loss : maximum + log_rest;
        b->unit[i] = 1 / float64_ulp(subject == LOGSUMEXP64 ? fmaxl(maximum, log_rest) : b->value[i]);
    }
}

static void try_pairs(struct batch *b, struct generator *g, struct subject *subjects) {
    for (size_t i = 0; i < b->count; i++) {
        b->x[i] = random_below(g, 2) ? distance(g) : -distance(g);
        b->pair[2 * i] = b->x[i];
        b->pair[2 * i + 1] = 0;
        b->e[i] = expl(-fabsl(b->x[i]));
        b->log_rest[i] = log1pl(b->e[i]);
    }
    for (size_t set = 0; set < fsm_instruction_set_count(); set++) {
        if (fsm_use_instruction_set(measured_at(set)->name) < 0) continue;
        const int status = solve_pairs(b->pair, b->count, 1, b->softmax, b->loss, b->logsumexp);
        if (status < 0) subjects[SOFTMAX64].errors[set].is_wrong = 1;
        set_values(b, SOFTMAX64);
        note_each(&subjects[SOFTMAX64].errors[set], b, b->softmax, 2, exact_softmax_error);
        set_values(b, LOSS64);
        note_each(&subjects[LOSS64].errors[set], b, b->loss, 1, exact_loss_error);
        set_values(b, LOGSUMEXP64);
        note_each(&subjects[LOGSUMEXP64].errors[set], b, b->logsumexp, 1, NULL);
    }
}

void try_float64(const struct extent *extent, struct subject *subjects) {
    static struct batch b;
    struct generator g = {extent->seed};
    for (int subject = 0; subject < FLOAT64_SUBJECTS; subject++)
        for (size_t set = 0; set < MOST_SETS; set++) subjects[subject].errors[set].doubt = 0x1p-8;
    b.count = SWEPT_AT_ONCE;
    /* Of four points, two for the exponential, and one each for the logarithm and for pairs. */
    for (uint64_t done = 0; done < extent->points; done += 4 * SWEPT_AT_ONCE) {
        try_exp(&b, &g, subjects);
        try_exp(&b, &g, subjects);
        try_log(&b, &g, subjects);
        try_pairs(&b, &g, subjects);
    }
}
