#include "callbacks.h"

#include <math.h>

#include "fastsoftmax.h"

static fastsoftmax_options in_this_thread(void) {
    fastsoftmax_options options = fastsoftmax_default_options();
    options.num_threads = 1;
    return options;
}

/* `rows` windows of n numbers, each one number further. */
static int logsumexp_of_windows(const double *x, size_t rows, size_t n, double *out) {
    const fastsoftmax_options options = in_this_thread();
    const fastsoftmax_shape shape = {1, rows, n};
    const fastsoftmax_input windows = {x, 0, sizeof(double), sizeof(double)};
    const fastsoftmax_output results = {out, 0, sizeof(double), 0};
    return fastsoftmax_logsumexp(FASTSOFTMAX_FLOAT64, &shape, &windows, &results, &options);
}

double fsm_vector_logsumexp(int n, double *x, void *user_data) {
    double result;
    (void)user_data;
    return n > 0 && logsumexp_of_windows(x, 1, (size_t)n, &result) == FASTSOFTMAX_OK ? result : NAN;
}

double fsm_vector_cross_entropy(int n, double *x, void *user_data) {
    const fastsoftmax_options options = in_this_thread();
    const int64_t label = user_data == NULL ? 0 : *(const int64_t *)user_data;
    const fastsoftmax_shape shape = {1, 1, n > 0 ? (size_t)n : 0};
    const fastsoftmax_input logits = {x, 0, 0, sizeof(double)};
    const fastsoftmax_targets targets = {&label, 0, 0, 0, FASTSOFTMAX_LABELS_INT64};
    double loss;
    const int status =
        fastsoftmax_cross_entropy(FASTSOFTMAX_FLOAT64, &shape, &logits, &targets, &loss, NULL, NULL, NULL, &options);
    return status == FASTSOFTMAX_OK ? loss : NAN;
}

int fsm_filter_logsumexp(double *window, intptr_t n, double *out, void *user_data) {
    (void)user_data;
    return logsumexp_of_windows(window, 1, (size_t)n, out) == FASTSOFTMAX_OK;
}

int fsm_filter1d_logsumexp(double *line, intptr_t n, double *out, intptr_t out_n, void *user_data) {
    (void)user_data;
    return logsumexp_of_windows(line, (size_t)out_n, (size_t)(n - out_n + 1), out) == FASTSOFTMAX_OK;
}

typedef int from_logits(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                        const fastsoftmax_output *out, const fastsoftmax_options *options);

static int along_line(from_logits *function, const double *line, double *out, intptr_t out_n) {
    const fastsoftmax_options options = in_this_thread();
    const fastsoftmax_shape shape = {1, 1, (size_t)out_n};
    const fastsoftmax_input logits = {line, 0, 0, sizeof(double)};
    const fastsoftmax_output results = {out, 0, 0, sizeof(double)};
    return function(FASTSOFTMAX_FLOAT64, &shape, &logits, &results, &options) == FASTSOFTMAX_OK;
}

int fsm_filter1d_softmax(double *line, intptr_t n, double *out, intptr_t out_n, void *user_data) {
    (void)n, (void)user_data;
    return along_line(fastsoftmax_softmax, line, out, out_n);
}

int fsm_filter1d_log_softmax(double *line, intptr_t n, double *out, intptr_t out_n, void *user_data) {
    (void)n, (void)user_data;
    return along_line(fastsoftmax_log_softmax, line, out, out_n);
}
