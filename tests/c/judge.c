#include "judge.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "environments.h"
#include "layouts.h"

enum { MOST_TOLD = 40, TOLD_EACH = 1, ROW_TOLD = 40, MOST_INSTRUCTION_SETS = 8 };

struct worst {
    double error;
    size_t judged;
};

struct verdicts {
    struct worst worst[MOST_INSTRUCTION_SETS][FORMATS][TASKS][PARTS];
    uint64_t digest[MOST_INSTRUCTION_SETS][FORMATS];
    size_t told[FORMATS][TASKS]; /* so that one failure does not hide the others */
    size_t failures, told_in_all;
};

struct verdicts *make_verdicts(void) { return calloc(1, sizeof(struct verdicts)); }
size_t count_failures(const struct verdicts *v) { return v->failures; }

static const char *set_name(const struct subject *s) { return fsm_instruction_set_at(s->instruction_set)->name; }

static int is_per_row(enum part part) { return part != PART_LOSS && part != PART_MEAN_GRAD; }

static size_t row_length(const struct subject *s, enum part part) {
    return part == PART_LOSSES || part == PART_LOSS ? 1 : s->problem->classes;
}
static size_t part_length(const struct subject *s, enum part part) {
    return (is_per_row(part) ? s->call->rows : 1) * row_length(s, part);
}

/* What is converted from float32 has its error there, in smaller units, and is rounded once more: by half a unit, and
   by one where a unit is that of the maximum, which a logsumexp can be twice. */
static double bound_of(const struct subject *s, enum part part) {
    const double bound = part_bound(s->task, part);
    const int is_logsumexp = s->task->operation == FSM_OPERATION_logsumexp ||
                             (s->task->operation == FSM_OPERATION_partial_state && s->task->targets == NO_TARGETS);
    const double rounding = is_logsumexp ? 1 : 0.5;
    return s->problem->format->native ? bound : rounding + ldexp(bound, s->problem->format->digits - 24);
}

/* Counts a failure; whether it is to be told, and the beginning of its message. */
static int tell_failure(struct verdicts *v, const struct subject *s) {
    const struct problem *p = s->problem;
    const struct call *c = s->call;
    v->failures++;
    if (v->told[p->format - formats][s->task - tasks]++ >= TOLD_EACH || v->told_in_all == MOST_TOLD) return 0;
    v->told_in_all++;
    printf("FAILED %s, %s, %s: '%s', K = %zu, m = %zu, rows %zu to %zu, %s to %s, shift %zu, %zu threads%s\n",
           s->task->name, set_name(s), p->format->name, p->kind, p->classes, p->rows, c->first, c->first + c->rows,
           layout_name(c->input_layout), c->in_place ? "the same" : layout_name(c->output_layout), c->shift,
           c->threads, c->in_place ? ", in place" : "");
    return 1;
}

/* A row's inputs, exactly, where they are few. */
static void tell_row(const struct subject *s, size_t row) {
    const struct problem *p = s->problem;
    const double *arrays[] = {p->logits, p->soft, p->grad_output, p->softmax, p->log_softmax};
    const char *const names[] = {"logits", "soft targets", "grad_output", "softmax", "log_softmax"};
    if (p->classes > ROW_TOLD) return;
    printf("    label %d\n", (int)p->labels[row]);
    for (size_t a = 0; a < sizeof arrays / sizeof *arrays; a++) {
        printf("    %s", names[a]);
        for (size_t k = 0; k < p->classes; k++) printf(" %a", arrays[a][row * p->classes + k]);
        printf("\n");
    }
}

static void tell_place(const struct subject *s, enum part part, size_t index) {
    const size_t length = row_length(s, part), row = s->call->first + index / length;
    printf("  %s", part_name(part));
    if (is_per_row(part)) printf(", row %zu", row);
    if (length > 1) printf(", class %zu", index % length);
}

static void fail_error(struct verdicts *v, const struct subject *s, enum part part, size_t index, double actual,
                       const struct value *right, double error) {
    if (!tell_failure(v, s)) return;
    tell_place(s, part, index);
    printf(": got %.17g, expected %.17g, %.3f ulp, bound %.3f\n", actual, ldexp(right->hi, right->unit), error,
           bound_of(s, part));
    if (is_per_row(part)) tell_row(s, s->call->first + index / row_length(s, part));
}

static void judge_part(struct verdicts *v, const struct subject *s, enum part part, const double *actual,
                       const struct value *right) {
    const struct format *format = s->problem->format;
    const double bound = bound_of(s, part);
    const size_t length = part_length(s, part);
    size_t worst = 0;
    double largest = 0;
    for (size_t i = 0; i < length; i++) {
        /* What is summed over the rows comes in float64. */
        const double rounded = is_per_row(part) ? actual[i] : format_round(format, actual[i]);
        const double error = error_of(format, rounded, &right[i]);
        if (error > largest) largest = error, worst = i;
    }
    if (largest > bound) fail_error(v, s, part, worst, actual[worst], &right[worst], largest);
    struct worst *w = &v->worst[s->instruction_set][format - formats][s->task - tasks][part];
    if (largest > w->error) w->error = largest;
    w->judged += length;
}

void judge_errors(struct verdicts *v, const struct subject *s, int parts, const struct results *results,
                  const struct answer *answer) {
    if (answer->loss_overflows) parts &= ~LOSS;
    for (int part = 0; part < PARTS; part++)
        if (parts & s->task->parts & 1 << part)
            judge_part(v, s, (enum part)part, results->part[part], answer->part[part]);
}

void judge_bits(struct verdicts *v, const struct subject *s, int parts, const struct results *results,
                const struct results *whole, const char *other) {
    for (int part = 0; part < PARTS; part++) {
        if (!(parts & s->task->parts & 1 << part)) continue;
        const size_t length = part_length(s, (enum part)part), row = row_length(s, (enum part)part);
        const double *a = results->part[part], *b = whole->part[part];
        if (is_per_row((enum part)part)) b += s->call->first * row;
        for (size_t i = 0; i < length; i++) {
            if (memcmp(&a[i], &b[i], sizeof a[i]) == 0 || (isnan(a[i]) && isnan(b[i]))) continue;
            if (tell_failure(v, s)) {
                tell_place(s, (enum part)part, i);
                printf(": got %.17g, but %.17g with %s\n", a[i], b[i], other);
                if (is_per_row((enum part)part)) tell_row(s, s->call->first + i / row);
            }
            break;
        }
    }
}

/* Like FNV-1a, a number at a time. All NaN are one. */
void digest(struct verdicts *v, const struct subject *s, const struct results *results) {
    uint64_t *state = &v->digest[s->instruction_set][s->problem->format - formats];
    for (int part = 0; part < PARTS; part++) {
        const double *numbers = results->part[part];
        const size_t length = numbers ? part_length(s, (enum part)part) : 0;
        for (size_t i = 0; i < length; i++) {
            uint64_t bits = 1;
            if (!isnan(numbers[i])) memcpy(&bits, &numbers[i], sizeof bits);
            *state = (*state ^ bits) * 0x100000001b3u;
            *state ^= *state >> 32;
        }
    }
}

void judge_status(struct verdicts *v, const struct subject *s, int status) {
    if (status == 0 || !tell_failure(v, s)) return;
    printf("  %s\n", status < 0                      ? "no memory"
                     : status == ENVIRONMENT_CHANGED ? "the floating-point environment was changed"
                                                     : "something was written outside of the outputs");
}

void judge_sharing(struct verdicts *v, const struct subject *s, size_t offered) {
    const size_t parts = s->call->rows * ((s->problem->classes + FSM_PART - 1) / FSM_PART);
    if (offered >= 2 * parts || !tell_failure(v, s)) return;
    printf("  of %zu parts of rows only %zu items were offered to several threads\n", parts, offered);
}

static void print_line(size_t set, size_t format, size_t task, size_t part, const struct worst *w) {
    if (w->judged == 0) return;
    printf("%-8s %-8s %-26s %-14s %8.3f %12zu\n", fsm_instruction_set_at(set)->name, formats[format].name,
           tasks[task].name, part_name((enum part)part), w->error, w->judged);
}

void print_verdicts(const struct verdicts *v) {
    printf("%-8s %-8s %-26s %-14s %8s %12s\n", "", "dtype", "operation", "part", "ulp", "judged");
    for (size_t set = 0; set < MOST_INSTRUCTION_SETS; set++)
        for (size_t format = 0; format < FORMATS; format++)
            for (size_t task = 0; task < TASKS; task++)
                for (size_t part = 0; part < PARTS; part++)
                    print_line(set, format, task, part, &v->worst[set][format][task][part]);
    for (size_t set = 0; set < MOST_INSTRUCTION_SETS; set++)
        for (size_t format = 0; format < FORMATS; format++)
            if (v->digest[set][format] != 0)
                printf("%-8s %-8s digest %016" PRIx64 "\n", fsm_instruction_set_at(set)->name, formats[format].name,
                       v->digest[set][format]);
    if (v->failures > v->told_in_all) printf("%zu failures, of which %zu were told\n", v->failures, v->told_in_all);
}
