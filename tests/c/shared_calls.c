#include "shared_calls.h"

#include <stdint.h>
#include <stdlib.h>

#include "fastsoftmax.h"
#include "kernel/halves.h"
#include "random.h"

/* Chunks of rows for several threads, long rows that they share, sums that they merge in order, and what one does. */
const struct shared_call shared_calls[SHARED_CALLS] = {
    {"softmax", SOFTMAX, FASTSOFTMAX_FLOAT32, 7000, 40, ROWS},
    {"softmax, long rows", SOFTMAX, FASTSOFTMAX_FLOAT32, 5, 70001, ROWS},
    {"softmax, few", SOFTMAX, FASTSOFTMAX_FLOAT64, 50, 10, ROWS},
    {"softmax, float16", SOFTMAX, FASTSOFTMAX_FLOAT16, 4000, 70, ROWS},
    {"log_softmax, columns", LOG_SOFTMAX, FASTSOFTMAX_FLOAT32, 3000, 100, COLUMNS},
    {"logsumexp, float64", LOGSUMEXP, FASTSOFTMAX_FLOAT64, 2000, 150, ROWS},
    {"softmax_backward", BACKWARD, FASTSOFTMAX_FLOAT32, 1500, 200, ROWS},
    {"log_softmax_backward, columns", LOG_BACKWARD, FASTSOFTMAX_FLOAT64, 9000, 30, COLUMNS},
    {"cross_entropy", LOSSES, FASTSOFTMAX_FLOAT32, 7000, 40, ROWS},
    {"cross_entropy, soft, columns", SOFT_LOSSES, FASTSOFTMAX_FLOAT32, 3000, 90, COLUMNS},
    {"mean gradient", MEAN, FASTSOFTMAX_FLOAT32, 9000, 33, ROWS},
    {"mean gradient, long rows", MEAN, FASTSOFTMAX_FLOAT64, 6, 66000, ROWS},
    {"mean gradient, soft", SOFT_MEAN, FASTSOFTMAX_FLOAT32, 1200, 250, ROWS},
    {"grad_hess", HESS, FASTSOFTMAX_FLOAT32, 3000, 90, ROWS},
};

static struct input {
    char *logits, *other; /* `other` is not negative */
    int32_t *labels;
} inputs[SHARED_CALLS];

static size_t item_of(const struct shared_call *call) {
    return call->dtype == FASTSOFTMAX_FLOAT64   ? sizeof(double)
           : call->dtype == FASTSOFTMAX_FLOAT32 ? sizeof(float)
                                                : 2;
}

static void put(const struct shared_call *call, char *array, size_t i, double value) {
    if (call->dtype == FASTSOFTMAX_FLOAT64)
        ((double *)(void *)array)[i] = value;
    else if (call->dtype == FASTSOFTMAX_FLOAT32)
        ((float *)(void *)array)[i] = (float)value;
    else
        ((uint16_t *)(void *)array)[i] = float16_from_float((float)value);
}

int make_inputs(void) {
    struct generator g = {1};
    for (size_t number = 0; number < SHARED_CALLS; number++) {
        const struct shared_call *call = &shared_calls[number];
        const size_t elements = call->samples * call->classes, bytes = elements * item_of(call);
        struct input *input = &inputs[number];
        *input = (struct input){malloc(bytes), malloc(bytes), malloc(call->samples * sizeof(int32_t))};
        if (input->logits == NULL || input->other == NULL || input->labels == NULL) return -1;
        for (size_t i = 0; i < elements; i++) put(call, input->logits, i, 4 * random_normal(&g));
        for (size_t i = 0; i < elements; i++) put(call, input->other, i, random_unit(&g) / (double)call->classes);
        for (size_t i = 0; i < call->samples; i++) input->labels[i] = (int32_t)random_below(&g, call->classes);
    }
    return 0;
}

/* How many numbers of the call's dtype a sample has in its results, and all of them have together; then float64. */
static void count_results(const struct shared_call *call, size_t *matrices, size_t *vectors, size_t *totals,
                          size_t *losses) {
    const enum function f = call->function;
    const int has_mean = f == MEAN || f == SOFT_MEAN;
    *matrices = f == LOGSUMEXP || has_mean ? 0 : f == HESS ? 2 : 1;
    *vectors = f == LOGSUMEXP || f == LOSSES || f == SOFT_LOSSES;
    *totals = has_mean ? call->classes : 0;
    *losses = has_mean;
}

size_t result_bytes(const struct shared_call *call) {
    size_t matrices, vectors, totals, losses;
    count_results(call, &matrices, &vectors, &totals, &losses);
    const size_t numbers = call->samples * (matrices * call->classes + vectors) + totals;
    return losses * sizeof(double) + numbers * item_of(call);
}

int is_by_sample(const struct shared_call *call) { return call->function != MEAN && call->function != SOFT_MEAN; }

/* The samples at hand, and where their results go. */
struct part {
    const struct shared_call *call;
    fastsoftmax_shape shape;
    fastsoftmax_options options;
    fastsoftmax_input logits, other;
    fastsoftmax_targets labels, probabilities;
    fastsoftmax_output matrix, second, vector;
};

static struct part part_of(size_t number, size_t first, size_t count, size_t threads, char *results) {
    const struct shared_call *call = &shared_calls[number];
    const struct input *input = &inputs[number];
    const size_t item = item_of(call), matrix = call->samples * call->classes * item;
    const ptrdiff_t sample = (ptrdiff_t)(call->layout == ROWS ? call->classes * item : item);
    const ptrdiff_t along = (ptrdiff_t)(call->layout == ROWS ? item : call->samples * item);
    const ptrdiff_t skip = (ptrdiff_t)first * sample;
    char *vectors = results + (call->function == LOGSUMEXP ? 0 : matrix);
    struct part p = {.call = call,
                     .shape = {1, count, call->classes},
                     .options = fastsoftmax_default_options(),
                     .logits = {input->logits + skip, 0, sample, along},
                     .other = {input->other + skip, 0, sample, along},
                     .labels = {input->labels + first, 0, sizeof(int32_t), 0, FASTSOFTMAX_LABELS_INT32},
                     .probabilities = {input->other + skip, 0, sample, along, FASTSOFTMAX_PROBABILITIES},
                     .matrix = {results + skip, 0, sample, along},
                     .second = {results + matrix + skip, 0, sample, along},
                     .vector = {vectors + first * item, 0, (ptrdiff_t)item, 0}};
    p.options.num_threads = threads;
    if (call->function == LOSSES || call->function == SOFT_LOSSES) p.options.reduction = FASTSOFTMAX_SUM;
    return p;
}

int make_shared_call(size_t number, size_t first, size_t count, size_t threads, char *results) {
    const struct part p = part_of(number, first, count, threads, results);
    const int dtype = p.call->dtype;
    double *loss = (double *)(void *)results;
    switch (p.call->function) {
    case SOFTMAX: return fastsoftmax_softmax(dtype, &p.shape, &p.logits, &p.matrix, &p.options);
    case LOG_SOFTMAX: return fastsoftmax_log_softmax(dtype, &p.shape, &p.logits, &p.matrix, &p.options);
    case LOGSUMEXP: return fastsoftmax_logsumexp(dtype, &p.shape, &p.logits, &p.vector, &p.options);
    case BACKWARD: return fastsoftmax_softmax_backward(dtype, &p.shape, &p.logits, &p.other, &p.matrix, &p.options);
    case LOG_BACKWARD:
        return fastsoftmax_log_softmax_backward(dtype, &p.shape, &p.logits, &p.other, &p.matrix, &p.options);
    case LOSSES:
        return fastsoftmax_cross_entropy(dtype, &p.shape, &p.logits, &p.labels, NULL, &p.vector, &p.matrix, NULL,
                                         &p.options);
    case SOFT_LOSSES:
        return fastsoftmax_cross_entropy(dtype, &p.shape, &p.logits, &p.probabilities, NULL, &p.vector, &p.matrix,
                                         NULL, &p.options);
    case MEAN:
        return fastsoftmax_cross_entropy(dtype, &p.shape, &p.logits, &p.labels, loss, NULL, NULL, loss + 1,
                                         &p.options);
    case SOFT_MEAN:
        return fastsoftmax_cross_entropy(dtype, &p.shape, &p.logits, &p.probabilities, loss, NULL, NULL, loss + 1,
                                         &p.options);
    default: return fastsoftmax_grad_hess(dtype, &p.shape, &p.logits, &p.labels, &p.matrix, &p.second, &p.options);
    }
}
