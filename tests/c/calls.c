#include "calls.h"

#include <stdlib.h>
#include <string.h>

#include "environments.h"
#include "layouts.h"
#include "shards.h"

/* The arrays of one call; those that its task does not have are left empty. */
struct arrays {
    struct placed input, other, labels, part[PARTS];
};

static void free_arrays(struct arrays *a) {
    free_placed(&a->input);
    free_placed(&a->other);
    free_placed(&a->labels);
    for (int part = 0; part < PARTS; part++) free_placed(&a->part[part]);
}

static int is_backward(const struct task *task) {
    return task->operation == FSM_OPERATION_softmax_backward || task->operation == FSM_OPERATION_log_softmax_backward;
}

static const double *input_of(const struct problem *p, const struct task *task) {
    return is_backward(task) ? p->grad_output : p->logits;
}

/* Targets as probabilities, or the output of a backward operation. */
static const double *other_of(const struct problem *p, const struct task *task) {
    if (task->operation == FSM_OPERATION_softmax_backward) return p->softmax;
    if (task->operation == FSM_OPERATION_log_softmax_backward) return p->log_softmax;
    return task->targets == SOFT ? p->soft : task->targets == ONE_HOT ? p->one_hot : NULL;
}

static size_t outer_of(const struct call *call) { return layout_outer(call->input_layout, call->rows); }

/* Labels of 32 bits where the call's shift is odd. */
static int labels_are_64_bit(const struct call *call) { return call->shift % 2 == 0; }

static int place_labels(const struct problem *p, const struct call *call, struct placed *labels) {
    const size_t outer = outer_of(call), bytes = labels_are_64_bit(call) ? 8 : 4;
    if (place(call->output_layout, call->shift, bytes, outer, call->rows / outer, 1, labels) < 0) return -1;
    for (size_t i = 0; i < call->rows; i++) {
        const int64_t wide = p->labels[call->first + i];
        const int32_t narrow = (int32_t)wide;
        memcpy(placed_element(labels, i, 0), bytes == 8 ? (const void *)&wide : (const void *)&narrow, bytes);
    }
    return 0;
}

static int place_numbers(const struct problem *p, const struct call *call, size_t layout, const double *values,
                         struct placed *array) {
    const size_t outer = outer_of(call);
    if (place(layout, call->shift, p->format->bytes, outer, call->rows / outer, p->classes, array) < 0) return -1;
    put_numbers(array, p->format, values + call->first * p->classes);
    return 0;
}

static int place_outputs(const struct problem *p, const struct task *task, const struct call *call,
                         struct arrays *a) {
    const size_t outer = outer_of(call), inner = call->rows / outer, shift = call->shift / 2;
    int parts = call->in_place ? task->parts & ~OUT : task->parts;
    if (task->operation == FSM_OPERATION_partial_state) parts &= ~LOSSES; /* they follow from the state */
    for (int part = PART_OUT; part <= PART_LOSSES; part++) {
        const size_t classes = part == PART_LOSSES ? 1 : p->classes;
        if (parts & 1 << part &&
            place(call->output_layout, shift, p->format->bytes, outer, inner, classes, &a->part[part]) < 0)
            return -1;
    }
    return 0;
}

static int place_arrays(const struct problem *p, const struct task *task, const struct call *call, struct arrays *a) {
    const double *other = other_of(p, task);
    if (place_numbers(p, call, call->input_layout, input_of(p, task), &a->input) < 0) return -1;
    if (other && place_numbers(p, call, call->output_layout, other, &a->other) < 0) return -1;
    if (task->targets == LABELS && place_labels(p, call, &a->labels) < 0) return -1;
    return place_outputs(p, task, call, a);
}

static struct fsm_job job_of(const struct problem *p, const struct task *task, const struct call *call,
                             const struct arrays *a) {
    const size_t outer = outer_of(call);
    return (struct fsm_job){.outer = outer,
                            .inner = call->rows / outer,
                            .classes = p->classes,
                            .storage = p->format->storage,
                            .input = a->input.view,
                            .other = a->other.view,
                            .out = call->in_place ? a->input.view : a->part[PART_OUT].view,
                            .hess = a->part[PART_HESS].view,
                            .labels = a->labels.view,
                            .losses = a->part[PART_LOSSES].view,
                            .labels_are_64_bit = labels_are_64_bit(call),
                            .divisor = task->mean ? (double)p->rows : 1,
                            .want_loss = (task->parts & (LOSS | LOSSES)) != 0,
                            .hessian = task->hessian};
}

static int allocate_results(const struct problem *p, const struct task *task, const struct call *call,
                            struct results *results) {
    const size_t sizes[PARTS] = {call->rows * p->classes, call->rows * p->classes, call->rows, 1, p->classes};
    memset(results, 0, sizeof *results);
    for (int part = 0; part < PARTS; part++) {
        if (!(task->parts & 1 << part)) continue;
        results->part[part] = malloc(sizes[part] * sizeof(double));
        if (results->part[part] == NULL) return -1;
    }
    return 0;
}

static int collect(const struct problem *p, const struct call *call, struct arrays *a, struct results *results) {
    int stray = 0;
    if (call->in_place) get_numbers(&a->input, p->format, results->part[PART_OUT]);
    for (int part = PART_OUT; part <= PART_LOSSES; part++) {
        if (a->part[part].memory == NULL) continue;
        get_numbers(&a->part[part], p->format, results->part[part]);
        stray |= strays(&a->part[part]);
    }
    return call->in_place ? stray | strays(&a->input) : stray;
}

int make_call(const struct problem *problem, const struct task *task, const struct call *call,
              struct results *results) {
    struct arrays arrays;
    memset(&arrays, 0, sizeof arrays);
    int status = allocate_results(problem, task, call, results);
    if (status == 0) status = place_arrays(problem, task, call, &arrays);
    if (status == 0) {
        struct fsm_job job = job_of(problem, task, call, &arrays);
        double *loss = results->part[PART_LOSS], *mean_grad = results->part[PART_MEAN_GRAD];
        if (is_of_shards(task))
            status = run_shard(&job, task, call, problem->format, results);
        else
            status = run_in_environment(call->shift, &job, task->operation, call->threads, loss, mean_grad);
    }
    if (status == 0) status = collect(problem, call, &arrays, results);
    free_arrays(&arrays);
    return status;
}

void free_results(struct results *results) {
    for (int part = 0; part < PARTS; part++) free(results->part[part]), results->part[part] = NULL;
}
