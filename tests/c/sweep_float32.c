/* Every float32 number that the kernels' exponential and logarithm are given.

   Where a maximum M is at most 256 in size the exponential is of x itself, times a power of two; beyond that it is of
   x - M, which is exact where it matters: so the numbers from 256 down to where the exponential of M = -256 is 0 are
   all that there are. The logarithm is of 1 + a, for any a from 0 up. Softmax, loss and logsumexp are of rows (x, 0).
 */
#include <stdio.h>
#include <stdlib.h>

#include "dispatch.h"
#include "measured.h"
#include "sweeps.h"

#define LOG2E 0x1.71547652b82fep+0

/* Some float32 numbers, and their results. */
struct batch {
    size_t count;
    float x[SWEPT_AT_ONCE], e[SWEPT_AT_ONCE], pair[2 * SWEPT_AT_ONCE], softmax[2 * SWEPT_AT_ONCE];
    float loss[SWEPT_AT_ONCE], logsumexp[SWEPT_AT_ONCE];
    double at[SWEPT_AT_ONCE], value[SWEPT_AT_ONCE], unit[SWEPT_AT_ONCE], result[SWEPT_AT_ONCE], error[SWEPT_AT_ONCE];
    double power[SWEPT_AT_ONCE], rest[SWEPT_AT_ONCE];
};

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* What errors are in ulp, given the values and their units. */
static void note(struct errors *e, struct batch *b, exact_error *decide) {
    for (size_t i = 0; i < b->count; i++) b->error[i] = (b->result[i] - b->value[i]) * b->unit[i];
    note_errors(e, b->at, b->result, b->error, b->count, decide);
}
static void note_float32(struct errors *e, struct batch *b, const float *result, size_t step, exact_error *decide) {
    for (size_t i = 0; i < b->count; i++) b->result[i] = result[i * step];
    note(e, b, decide);
}

/* The numbers of one sign from `first` up to `last` in size, in rows of a maximum: a row's exponentials are tried
   down to 2^-162 of its largest, as no result shows more, and from a little further down they have no more than they
   need. */
struct range {
    double first, last;
    int negative;
    float maximum;
};
static const struct range exp_ranges[] = {
    {0, 100, 0, 100}, {0x1.900002p6, 200, 0, 200},  {0x1.900002p7, 256, 0, 256},
    {0, 112, 1, 0},   {0x1.c00002p6, 240, 1, -128}, {0x1.e00002p7, 368, 1, -256}};

static float maximum_now;
static double scale_now; /* of the exponential at hand: the kernel's, times 2^-N */

static double exact_exp_error(double x, double result) {
    const exact value = exact_exp(x) * scale_now;
    return (double)((result - value) / exact_ulp(value, 24, -149));
}

static void sweep_exp(struct batch *b, struct subject *subjects) {
    scale_now = ldexp(*measured_at(0)->scale32, (int)-rint(maximum_now * LOG2E));
    for (size_t i = 0; i < b->count; i++) {
        b->value[i] = exp(b->at[i]) * scale_now;
        b->unit[i] = 1 / float32_ulp(b->value[i]);
    }
    for (size_t set = 0; set < fsm_instruction_set_count(); set++) {
        if (!measured_at(set)->supported()) continue;
        measured_at(set)->exp32(b->x, b->count, maximum_now, b->e, b->power, b->rest);
        note_float32(&subjects[EXP32].errors[set], b, b->e, 1, exact_exp_error);
        for (size_t i = 0; i < b->count; i++) b->result[i] = b->power[i] + b->rest[i];
        note(&subjects[SUMMED_EXP32].errors[set], b, NULL);
    }
}

static double exact_log_error(double x, double result) {
    const exact value = exact_log1p(x);
    return (double)(((float)result - value) / exact_ulp(value, 24, -149));
}

/* The logarithm is a float64: it counts as right where it is so once rounded. */
static void sweep_log(struct batch *b, struct subject *subjects) {
    static const double none[SWEPT_AT_ONCE];
    for (size_t i = 0; i < b->count; i++) {
        b->value[i] = log1p(b->at[i]);
        b->unit[i] = 1 / float32_ulp(b->value[i]);
    }
    for (size_t set = 0; set < fsm_instruction_set_count(); set++) {
        if (!measured_at(set)->supported()) continue;
        measured_at(set)->log1p32(b->at, none, b->count, b->power);
        for (size_t i = 0; i < b->count; i++) b->result[i] = (float)b->power[i];
        note(&subjects[LOG32].errors[set], b, exact_log_error);
    }
}

static exact of_smaller(double x) { return exact_exp(x < 0 ? x : -x); }

static double exact_softmax_error(double x, double result) {
    const exact e = of_smaller(x), value = (x < 0 ? e : 1) / (1 + e);
    return (double)((result - value) / exact_ulp(value, 24, -149));
}
static double exact_loss_error(double x, double result) {
    const exact value = (x < 0 ? -(exact)x : 0) + exact_log1p(of_smaller(x));
    return (double)((result - value) / exact_ulp(value, 24, -149));
}

/* The values of a subject that is about rows (x, 0), with the rest's exponential e in `power` and log(1 + e) in
   `rest`, and the units of their errors. */
static void set_values(struct batch *b, enum float32_subject subject) {
    for (size_t i = 0; i < b->count; i++) {
        const double x = b->at[i], e = b->power[i], log_rest = b->rest[i], maximum = x > 0 ? x : 0;
        const double softmax = (x < 0 ? e : 1) / (1 + e), loss = (x < 0 ? -x : 0) + log_rest;
        b->value[i] = subject == SOFTMAX32 ? softmax : subject == LOSS32 ? loss : maximum + log_rest;
        const double scale = subject == LOGSUMEXP32 ? fmax(maximum, log_rest) : b->value[i];
        b->unit[i] = 1 / float32_ulp(scale);
    }
}

static void sweep_pairs(struct batch *b, struct subject *subjects) {
    for (size_t i = 0; i < b->count; i++) {
        b->pair[2 * i] = b->x[i];
        b->pair[2 * i + 1] = 0;
        b->power[i] = exp(-fabs(b->at[i]));
        b->rest[i] = log1p(b->power[i]);
    }
    for (size_t set = 0; set < fsm_instruction_set_count(); set++) {
        if (fsm_use_instruction_set(measured_at(set)->name) < 0) continue;
        const int status = solve_pairs(b->pair, b->count, 0, b->softmax, b->loss, b->logsumexp);
        if (status < 0) subjects[SOFTMAX32].errors[set].is_wrong = 1;
        set_values(b, SOFTMAX32);
        note_float32(&subjects[SOFTMAX32].errors[set], b, b->softmax, 2, exact_softmax_error);
        set_values(b, LOSS32);
        note_float32(&subjects[LOSS32].errors[set], b, b->loss, 1, exact_loss_error);
        set_values(b, LOGSUMEXP32);
        note_float32(&subjects[LOGSUMEXP32].errors[set], b, b->logsumexp, 1, NULL);
    }
}

typedef void sweep(struct batch *b, struct subject *subjects);

/* Those numbers of the range that are tried. */
static void sweep_range(sweep *function, const struct extent *extent, const struct range *range,
                        struct subject *subjects) {
    static struct batch b;
    const float low = (float)range->first, high = (float)range->last;
    uint32_t begin, end;
    memcpy(&begin, &low, sizeof begin);
    memcpy(&end, &high, sizeof end);
    maximum_now = range->maximum;
    b.count = 0;
    for (uint64_t bits = begin + (extent->seed * 7919) % extent->every; bits <= end; bits += extent->every) {
        b.x[b.count] = float_of((uint32_t)bits | (range->negative ? 0x80000000u : 0));
        b.at[b.count] = b.x[b.count];
        if (++b.count < SWEPT_AT_ONCE && bits + extent->every <= end) continue;
        function(&b, subjects);
        b.count = 0;
    }
}

void sweep_float32(const struct extent *extent, struct subject *subjects) {
    static const struct range sums = {0, FLT_MAX, 0, 0}, pairs[] = {{0, 256, 0, 0}, {0, 256, 1, 0}};
    for (int subject = 0; subject < FLOAT32_SUBJECTS; subject++)
        for (size_t set = 0; set < MOST_SETS; set++) subjects[subject].errors[set].doubt = 0x1p-24;
    for (size_t i = 0; i < sizeof exp_ranges / sizeof *exp_ranges; i++)
        sweep_range(sweep_exp, extent, &exp_ranges[i], subjects);
    sweep_range(sweep_log, extent, &sums, subjects);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) sweep_range(sweep_pairs, extent, &pairs[i], subjects);
}
