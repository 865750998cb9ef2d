#include "guard_calls.h"

#include <math.h>

#include "fastsoftmax.h"
#include "run.h"

static const double SMOOTHING = 0.125;

static struct fsm_view view_of(const struct images *images, const struct places *places, enum array array) {
    if (images->of[array].extent.bytes == 0) return (struct fsm_view){0};
    return view_at(&images->of[array].extent, places->at[array]);
}

static struct fsm_job job_of(const struct guard_case *c, const struct images *images, const struct places *places) {
    const struct problem *p = c->problem;
    const struct guard_task *task = c->task;
    const size_t outer = layout_outer(c->input_layout, p->rows);
    struct fsm_job job = {.outer = outer,
                          .inner = p->rows / outer,
                          .classes = p->classes,
                          .storage = p->format->storage,
                          .input = view_of(images, places, INPUT),
                          .other = view_of(images, places, OTHER),
                          .where = view_of(images, places, KEPT),
                          .out = view_of(images, places, c->in_place ? INPUT : GRADIENT),
                          .hess = view_of(images, places, HESSIAN),
                          .labels = view_of(images, places, LABEL),
                          .sample_weight = view_of(images, places, SAMPLE_WEIGHT),
                          .losses = view_of(images, places, LOSS_OF_ROW),
                          .numbers = view_of(images, places, NUMBERS),
                          .labels_are_64_bit = !(task->options & NARROW_LABELS),
                          .has_ignore_index = (task->options & WITH_IGNORED) != 0,
                          .ignore_index = IGNORED_LABEL,
                          .class_weight = (const double *)view_of(images, places, CLASS_WEIGHT).data,
                          .label_smoothing = task->options & SMOOTHED ? SMOOTHING : 0,
                          .divisor = 3,
                          .want_loss = (task->parts & (LOSS | LOSSES)) != 0,
                          .hessian = task->hessian};
    if (task->operation == FSM_OPERATION_partial_state) job.want_loss = 1;
    return job;
}

/* What fsm_run adds for a kernel: all samples in one chunk. */
static void complete(const struct guard_case *c, struct fsm_job *job) {
    const enum fsm_operation operation = c->task->operation;
    job->chunk_samples = c->problem->rows;
    job->want_mean_grad = (c->task->parts & MEAN_GRAD) != 0;
    job->streams = c->streams;
    job->rows_end_in_a_loss = operation == FSM_OPERATION_log_softmax || operation == FSM_OPERATION_logsumexp ||
                              operation == FSM_OPERATION_cross_entropy || operation == FSM_OPERATION_grad_hess ||
                              operation == FSM_OPERATION_partial_state;
}

size_t scratch_bytes(const struct guard_case *c, const struct images *images) {
    /* Where the arrays lie does not matter, but which there are. */
    static char anywhere;
    struct places places;
    for (int array = 0; array < ARRAYS; array++) places.at[array] = &anywhere;
    struct fsm_job job = job_of(c, images, &places);
    complete(c, &job);
    return fsm_kernels_for(job.storage)->scratch_size(&job);
}

static int call_kernel(const struct guard_case *c, const struct places *places, struct fsm_job *job) {
    static _Alignas(64) char none[64]; /* what needs no memory gets some address all the same */
    struct fsm_range range = {.begin = 0, .end = c->problem->rows};
    complete(c, job);
    job->chunk_loss = (struct fsm_loss *)places->at[CHUNK_LOSS];
    if (job->want_mean_grad) {
        range.mean_hi = (double *)places->at[MEAN_GRADIENT];
        range.mean_lo = range.mean_hi + fsm_mean_pitch(job->classes);
    }
    fsm_kernels_for(job->storage)
        ->run[c->task->operation](job, range, places->at[SCRATCH] ? places->at[SCRATCH] : none);
    return 0;
}

static int call_run(const struct guard_case *c, const struct places *places, struct fsm_job *job) {
    const int parts = c->task->parts;
    return fsm_run(job, c->task->operation, 2, parts & LOSS ? (double *)places->at[TOTAL_LOSS] : NULL,
                   parts & MEAN_GRAD ? (double *)places->at[MEAN_GRADIENT] : NULL);
}

static fastsoftmax_input input_at(const struct fsm_view *v) {
    return (fastsoftmax_input){v->data, v->outer, v->inner, v->classes};
}
static fastsoftmax_output output_at(const struct fsm_view *v) {
    return (fastsoftmax_output){v->data, v->outer, v->inner, v->classes};
}

static fastsoftmax_options options_of(const struct guard_case *c, const struct fsm_job *job) {
    fastsoftmax_options options = fastsoftmax_default_options();
    options.num_threads = 1;
    options.where = input_at(&job->where);
    options.sample_weight = input_at(&job->sample_weight);
    options.class_weight = job->class_weight;
    options.label_smoothing = job->label_smoothing;
    options.has_ignore_index = job->has_ignore_index;
    options.ignore_index = job->has_ignore_index ? job->ignore_index : 0;
    options.reduction = c->task->parts & LOSSES && c->task->operation == FSM_OPERATION_cross_entropy
                            ? FASTSOFTMAX_SUM
                            : FASTSOFTMAX_MEAN;
    options.hessian = (int)job->hessian;
    return options;
}

static fastsoftmax_targets targets_of(const struct fsm_job *job) {
    const struct fsm_view *v = job->labels.data != NULL ? &job->labels : &job->other;
    const int kind = job->labels.data == NULL ? FASTSOFTMAX_PROBABILITIES
                     : job->labels_are_64_bit ? FASTSOFTMAX_LABELS_INT64
                                              : FASTSOFTMAX_LABELS_INT32;
    return (fastsoftmax_targets){v->data, v->outer, v->inner, v->classes, kind};
}

static int call_public(const struct guard_case *c, const struct places *places, const struct fsm_job *job) {
    const int dtype = (int)job->storage;
    const fastsoftmax_shape shape = {job->outer, job->inner, job->classes};
    const fastsoftmax_input x = input_at(&job->input), y = input_at(&job->other);
    const fastsoftmax_output out = output_at(&job->out), hess = output_at(&job->hess),
                             losses = output_at(&job->losses);
    const fastsoftmax_targets targets = targets_of(job);
    const fastsoftmax_options options = options_of(c, job);
    switch (c->task->operation) {
    case FSM_OPERATION_softmax: return fastsoftmax_softmax(dtype, &shape, &x, &out, &options);
    case FSM_OPERATION_log_softmax: return fastsoftmax_log_softmax(dtype, &shape, &x, &out, &options);
    case FSM_OPERATION_logsumexp: return fastsoftmax_logsumexp(dtype, &shape, &x, &losses, &options);
    case FSM_OPERATION_softmax_backward: return fastsoftmax_softmax_backward(dtype, &shape, &x, &y, &out, &options);
    case FSM_OPERATION_log_softmax_backward:
        return fastsoftmax_log_softmax_backward(dtype, &shape, &x, &y, &out, &options);
    case FSM_OPERATION_grad_hess: return fastsoftmax_grad_hess(dtype, &shape, &x, &targets, &out, &hess, &options);
    default:
        return fastsoftmax_cross_entropy(dtype, &shape, &x, &targets, (double *)places->at[TOTAL_LOSS],
                                         losses.data ? &losses : NULL, out.data ? &out : NULL,
                                         places->at[MEAN_GRADIENT], &options);
    }
}

int call_at(const struct guard_case *c, const struct images *images, const struct places *places) {
    struct fsm_job job = job_of(c, images, places);
    switch (c->caller) {
    case KERNEL_ITSELF: return call_kernel(c, places, &job);
    case RUN: return call_run(c, places, &job);
    default: return call_public(c, places, &job);
    }
}
