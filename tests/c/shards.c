#include "shards.h"

#include <stdlib.h>

#include "environments.h"
#include "exact.h"

/* The numbers of a state and of a row; see kernel/shards.h. */
enum { MAXIMUM, REST, DISTANCE = 3, MASS = 5, TOP = 7, STATE_SIZE };
enum { FACTOR = 1, TARGET = 3, APART, ROW_SIZE };
enum { REST_EXPONENT = 256 };

/* Below it no other class has the maximum too: then the rest would be 1, or what rounding made of 1. */
#define ALONE (1 - 0x1p-30)

int is_of_shards(const struct task *task) {
    return task->operation == FSM_OPERATION_partial_state || task->operation == FSM_OPERATION_shard_exponentials;
}

static struct fsm_view view_of(const struct fsm_job *job, double *numbers, size_t count) {
    const ptrdiff_t pitch = (ptrdiff_t)(count * sizeof *numbers);
    return (struct fsm_view){(char *)numbers, (ptrdiff_t)job->inner * pitch, pitch, sizeof *numbers};
}

static exact pair(const double *numbers, size_t at) { return (exact)numbers[at] + numbers[at + 1]; }
static exact rest_of(const double *state) { return exact_ldexp(pair(state, REST), -REST_EXPONENT); }
static exact mass_of(const double *state) { return pair(state, MASS) + state[TOP]; }

static double loss_of(const double *state, int has_targets) {
    const exact log_sum = exact_log1p(rest_of(state));
    if (!has_targets) return isfinite(state[MAXIMUM]) ? (double)(state[MAXIMUM] + log_sum) : state[MAXIMUM];
    return isfinite(state[MAXIMUM]) ? (double)(pair(state, DISTANCE) + mass_of(state) * log_sum) : (double)NAN;
}

/* What would be rounded to more than the format's range has is infinite. */
static double rounded(const struct format *format, double value) {
    const double beyond = ldexp(1 - ldexp(1, -format->digits - 1), format->top);
    return fabs(value) >= beyond ? copysign((double)INFINITY, value) : format_round(format, value);
}

/* As they are for a scale of 1. */
static void make_row(const double *state, int has_targets, double *row) {
    const exact rest = rest_of(state), whole = 1 + rest, factor = (has_targets ? mass_of(state) : 1) / whole;
    const int is_apart = has_targets && isfinite(state[MAXIMUM]) && rest < ALONE;
    row[MAXIMUM] = state[MAXIMUM];
    row[FACTOR] = (double)factor;
    row[FACTOR + 1] = (double)(factor - row[FACTOR]);
    row[TARGET] = 1;
    row[APART] = is_apart ? (double)((pair(state, MASS) - state[TOP] * rest) / whole) : (double)NAN;
}

static int run_state(struct fsm_job job, const struct call *call, double *state) {
    job.numbers = view_of(&job, state, STATE_SIZE);
    job.out = (struct fsm_view){0};
    job.want_loss = 1;
    return run_in_environment(call->shift, &job, FSM_OPERATION_partial_state, call->threads, NULL, NULL);
}

int run_shard(const struct fsm_job *job, const struct task *task, const struct call *call,
              const struct format *format, struct results *results) {
    const size_t rows = job->outer * job->inner;
    const int has_targets = task->targets != NO_TARGETS;
    double *state = calloc(rows * (STATE_SIZE + ROW_SIZE), sizeof *state), *row = state + rows * STATE_SIZE;
    struct fsm_job own = *job;
    int status = state == NULL ? -1 : run_state(own, call, state);
    for (size_t i = 0; status == 0 && i < rows; i++) {
        if (results->part[PART_LOSSES])
            results->part[PART_LOSSES][i] = rounded(format, loss_of(state + i * STATE_SIZE, has_targets));
        make_row(state + i * STATE_SIZE, has_targets, row + i * ROW_SIZE);
    }
    own.numbers = view_of(&own, row, ROW_SIZE);
    if (status == 0 && task->operation == FSM_OPERATION_shard_exponentials)
        status = run_in_environment(call->shift, &own, task->operation, call->threads, NULL, NULL);
    free(state);
    return status;
}
