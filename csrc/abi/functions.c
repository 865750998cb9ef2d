/* The public functions on arrays of any strides: see include/fastsoftmax.h. */
#include "request.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mean_grad.h"
#include "run.h"
#include "setup.h"

static void run(struct fsm_request *r, enum fsm_operation operation, double *loss, double *mean_grad) {
    if (fsm_run_in_default_environment(&r->job, operation, r->threads, loss, mean_grad) < 0)
        fsm_request_refuse(r, FASTSOFTMAX_ERROR_MEMORY, NULL, -1);
}

static int run_checked(struct fsm_request *r, enum fsm_operation operation, int in_place) {
    fsm_request_check(r, in_place);
    if (r->status == FASTSOFTMAX_OK && r->samples > 0) run(r, operation, NULL, NULL);
    return fsm_request_close(r);
}

static int probabilities(enum fsm_operation operation, int dtype, const fastsoftmax_shape *shape,
                         const fastsoftmax_input *logits, const fastsoftmax_output *out,
                         const fastsoftmax_options *options) {
    struct fsm_request r;
    fsm_request_open(&r, dtype, shape, options, FSM_TAKES_WHERE);
    fsm_request_input(&r, "logits", logits, &r.job.input);
    fsm_request_output(&r, "out", out, 1, &r.job.out);
    return run_checked(&r, operation, 1);
}

int fastsoftmax_softmax(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                        const fastsoftmax_output *out, const fastsoftmax_options *options) {
    return probabilities(FSM_OPERATION_softmax, dtype, shape, logits, out, options);
}

int fastsoftmax_log_softmax(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                            const fastsoftmax_output *out, const fastsoftmax_options *options) {
    return probabilities(FSM_OPERATION_log_softmax, dtype, shape, logits, out, options);
}

int fastsoftmax_logsumexp(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                          const fastsoftmax_output *out, const fastsoftmax_options *options) {
    struct fsm_request r;
    fsm_request_open(&r, dtype, shape, options, FSM_TAKES_WHERE);
    fsm_request_input(&r, "logits", logits, &r.job.input);
    fsm_request_output(&r, "out", out, 0, &r.job.losses);
    return run_checked(&r, FSM_OPERATION_logsumexp, 0);
}

static int backward(enum fsm_operation operation, int dtype, const fastsoftmax_shape *shape,
                    const fastsoftmax_input *grad_output, const fastsoftmax_input *output,
                    const fastsoftmax_output *out, const fastsoftmax_options *options) {
    struct fsm_request r;
    fsm_request_open(&r, dtype, shape, options, 0);
    fsm_request_input(&r, "grad_output", grad_output, &r.job.input);
    fsm_request_input(&r, "output", output, &r.job.other);
    fsm_request_output(&r, "out", out, 1, &r.job.out);
    return run_checked(&r, operation, 2);
}

int fastsoftmax_softmax_backward(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *grad_output,
                                 const fastsoftmax_input *output, const fastsoftmax_output *out,
                                 const fastsoftmax_options *options) {
    return backward(FSM_OPERATION_softmax_backward, dtype, shape, grad_output, output, out, options);
}

int fastsoftmax_log_softmax_backward(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *grad_output,
                                     const fastsoftmax_input *output, const fastsoftmax_output *out,
                                     const fastsoftmax_options *options) {
    return backward(FSM_OPERATION_log_softmax_backward, dtype, shape, grad_output, output, out, options);
}

/* What a call of fastsoftmax_cross_entropy wants. */
struct results {
    double *loss;
    void *mean_grad;
};

/* A mean over nothing has no gradient, but each sample has a loss. */
static void give_nothing(struct fsm_request *r, const struct results *results) {
    struct fsm_job *job = &r->job;
    const size_t item = fsm_storage_bytes(job->storage);
    if (job->losses.data != NULL) {
        struct fsm_request of_losses = *r;
        of_losses.job.out.data = NULL;
        run(&of_losses, FSM_OPERATION_cross_entropy, NULL, NULL);
        fsm_request_refuse(r, of_losses.status, NULL, -1);
        if (r->status != FASTSOFTMAX_OK) return;
    }
    for (size_t i = 0; job->out.data != NULL && i < r->samples; i++) {
        char *row = job->out.data + (ptrdiff_t)(i / job->inner) * job->out.outer +
                    (ptrdiff_t)(i % job->inner) * job->out.inner;
        for (size_t k = 0; k < job->classes; k++) memset(row + (ptrdiff_t)k * job->out.classes, 0, item);
    }
    if (results->loss != NULL) *results->loss = r->options.reduction == FASTSOFTMAX_MEAN ? NAN : 0;
    if (results->mean_grad != NULL) memset(results->mean_grad, 0, job->classes * item);
}

static void give(struct fsm_request *r, const struct results *results) {
    double small[FSM_SMALL_MEAN_GRAD], loss;
    double *sums = NULL;
    if (results->mean_grad != NULL && (sums = fsm_open_mean_grad(&r->job, results->mean_grad, small)) == NULL) {
        fsm_request_refuse(r, FASTSOFTMAX_ERROR_MEMORY, NULL, -1);
        return;
    }
    run(r, FSM_OPERATION_cross_entropy, &loss, sums);
    if (r->status == FASTSOFTMAX_OK && results->loss != NULL) *results->loss = loss;
    fsm_close_mean_grad(&r->job, results->mean_grad, sums, small, r->status == FASTSOFTMAX_OK);
}

int fastsoftmax_cross_entropy(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                              const fastsoftmax_targets *targets, double *loss, const fastsoftmax_output *losses,
                              const fastsoftmax_output *grad, void *mean_grad, const fastsoftmax_options *options) {
    struct fsm_request r;
    const struct results results = {loss, mean_grad};
    fsm_request_open(&r, dtype, shape, options, FSM_TAKES_SAMPLE_WEIGHT | FSM_TAKES_LOSS_OPTIONS);
    fsm_request_input(&r, "logits", logits, &r.job.input);
    fsm_request_targets(&r, targets);
    if (grad != NULL) fsm_request_output(&r, "grad", grad, 1, &r.job.out);
    const int in_place = grad != NULL; /* what is first among the outputs then */
    if (losses != NULL) fsm_request_output(&r, "losses", losses, 0, &r.job.losses);
    fsm_request_output_vector(&r, "mean_grad", mean_grad, r.job.classes, fsm_storage_bytes(r.job.storage));
    fsm_request_output_vector(&r, "loss", loss, 1, sizeof *loss);
    const double total = fsm_request_check(&r, in_place);
    if (r.status != FASTSOFTMAX_OK) return fsm_request_close(&r);
    if (r.options.reduction == FASTSOFTMAX_MEAN) r.job.divisor = total;
    r.job.want_loss = loss != NULL || losses != NULL;
    if (r.samples == 0 || r.job.divisor == 0) {
        r.job.divisor = 1;
        give_nothing(&r, &results);
    } else if (r.job.want_loss || grad != NULL || mean_grad != NULL) {
        give(&r, &results);
    }
    return fsm_request_close(&r);
}

int fastsoftmax_grad_hess(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                          const fastsoftmax_targets *targets, const fastsoftmax_output *grad,
                          const fastsoftmax_output *hess, const fastsoftmax_options *options) {
    struct fsm_request r;
    fsm_request_open(&r, dtype, shape, options, FSM_TAKES_SAMPLE_WEIGHT | FSM_TAKES_HESSIAN);
    fsm_request_input(&r, "logits", logits, &r.job.input);
    fsm_request_targets(&r, targets);
    fsm_request_output(&r, "grad", grad, 1, &r.job.out);
    fsm_request_output(&r, "hess", hess, 1, &r.job.hess);
    return run_checked(&r, FSM_OPERATION_grad_hess, 1);
}

size_t fastsoftmax_num_threads(void) { return fsm_default_threads(); }

const char *fastsoftmax_instruction_set(void) { return fsm_setup() < 0 ? NULL : fsm_instruction_set_in_use()->name; }
