/* The public functions on matrices in C order: see include/fastsoftmax.h. */
#include "fastsoftmax.h"

/* A matrix of a dtype, as the functions on any strides see it. */
struct matrix {
    int dtype;
    size_t item;
    fastsoftmax_shape shape;
};

static struct matrix float32_matrix(size_t samples, size_t classes) {
    return (struct matrix){FASTSOFTMAX_FLOAT32, sizeof(float), {1, samples, classes}};
}
static struct matrix float64_matrix(size_t samples, size_t classes) {
    return (struct matrix){FASTSOFTMAX_FLOAT64, sizeof(double), {1, samples, classes}};
}

/* Strides of a matrix too large for memory do not matter: its shape is refused first. */
static fastsoftmax_input input_of(const struct matrix *m, const void *data) {
    const size_t row = m->shape.classes * m->item;
    return (fastsoftmax_input){data, 0, (ptrdiff_t)row, (ptrdiff_t)m->item};
}
static fastsoftmax_output output_of(const struct matrix *m, void *data) {
    const size_t row = m->shape.classes * m->item;
    return (fastsoftmax_output){data, 0, (ptrdiff_t)row, (ptrdiff_t)m->item};
}

typedef int from_logits(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                        const fastsoftmax_output *out, const fastsoftmax_options *options);

static int call_from_logits(from_logits *function, const struct matrix *m, const void *logits, void *out) {
    const fastsoftmax_input x = input_of(m, logits);
    const fastsoftmax_output y = output_of(m, out);
    return function(m->dtype, &m->shape, &x, &y, NULL);
}

int fastsoftmax_softmax_f32(const float *logits, size_t samples, size_t classes, float *out) {
    const struct matrix m = float32_matrix(samples, classes);
    return call_from_logits(fastsoftmax_softmax, &m, logits, out);
}
int fastsoftmax_softmax_f64(const double *logits, size_t samples, size_t classes, double *out) {
    const struct matrix m = float64_matrix(samples, classes);
    return call_from_logits(fastsoftmax_softmax, &m, logits, out);
}
int fastsoftmax_log_softmax_f32(const float *logits, size_t samples, size_t classes, float *out) {
    const struct matrix m = float32_matrix(samples, classes);
    return call_from_logits(fastsoftmax_log_softmax, &m, logits, out);
}
int fastsoftmax_log_softmax_f64(const double *logits, size_t samples, size_t classes, double *out) {
    const struct matrix m = float64_matrix(samples, classes);
    return call_from_logits(fastsoftmax_log_softmax, &m, logits, out);
}

static int call_logsumexp(const struct matrix *m, const void *logits, void *out) {
    const fastsoftmax_input x = input_of(m, logits);
    const fastsoftmax_output y = {out, 0, (ptrdiff_t)m->item, 0};
    return fastsoftmax_logsumexp(m->dtype, &m->shape, &x, &y, NULL);
}

int fastsoftmax_logsumexp_f32(const float *logits, size_t samples, size_t classes, float *out) {
    const struct matrix m = float32_matrix(samples, classes);
    return call_logsumexp(&m, logits, out);
}
int fastsoftmax_logsumexp_f64(const double *logits, size_t samples, size_t classes, double *out) {
    const struct matrix m = float64_matrix(samples, classes);
    return call_logsumexp(&m, logits, out);
}

typedef int backward(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *grad_output,
                     const fastsoftmax_input *output, const fastsoftmax_output *out,
                     const fastsoftmax_options *options);

static int call_backward(backward *function, const struct matrix *m, const void *grad_output, const void *output,
                         void *out) {
    const fastsoftmax_input g = input_of(m, grad_output), y = input_of(m, output);
    const fastsoftmax_output x = output_of(m, out);
    return function(m->dtype, &m->shape, &g, &y, &x, NULL);
}

int fastsoftmax_softmax_backward_f32(const float *grad_output, const float *output, size_t samples, size_t classes,
                                     float *out) {
    const struct matrix m = float32_matrix(samples, classes);
    return call_backward(fastsoftmax_softmax_backward, &m, grad_output, output, out);
}
int fastsoftmax_softmax_backward_f64(const double *grad_output, const double *output, size_t samples, size_t classes,
                                     double *out) {
    const struct matrix m = float64_matrix(samples, classes);
    return call_backward(fastsoftmax_softmax_backward, &m, grad_output, output, out);
}
int fastsoftmax_log_softmax_backward_f32(const float *grad_output, const float *output, size_t samples,
                                         size_t classes, float *out) {
    const struct matrix m = float32_matrix(samples, classes);
    return call_backward(fastsoftmax_log_softmax_backward, &m, grad_output, output, out);
}
int fastsoftmax_log_softmax_backward_f64(const double *grad_output, const double *output, size_t samples,
                                         size_t classes, double *out) {
    const struct matrix m = float64_matrix(samples, classes);
    return call_backward(fastsoftmax_log_softmax_backward, &m, grad_output, output, out);
}

static int call_cross_entropy(const struct matrix *m, const void *logits, const void *labels, int kind, double *loss,
                              void *grad, void *mean_grad) {
    const ptrdiff_t label = kind == FASTSOFTMAX_LABELS_INT64 ? sizeof(int64_t) : sizeof(int32_t);
    const fastsoftmax_input x = input_of(m, logits);
    const fastsoftmax_targets t = {labels, 0, label, 0, kind};
    const fastsoftmax_output g = output_of(m, grad);
    return fastsoftmax_cross_entropy(m->dtype, &m->shape, &x, &t, loss, NULL, grad == NULL ? NULL : &g, mean_grad,
                                     NULL);
}

int fastsoftmax_cross_entropy_f32_i32(const float *logits, const int32_t *labels, size_t samples, size_t classes,
                                      double *loss, float *grad, float *mean_grad) {
    const struct matrix m = float32_matrix(samples, classes);
    return call_cross_entropy(&m, logits, labels, FASTSOFTMAX_LABELS_INT32, loss, grad, mean_grad);
}
int fastsoftmax_cross_entropy_f32_i64(const float *logits, const int64_t *labels, size_t samples, size_t classes,
                                      double *loss, float *grad, float *mean_grad) {
    const struct matrix m = float32_matrix(samples, classes);
    return call_cross_entropy(&m, logits, labels, FASTSOFTMAX_LABELS_INT64, loss, grad, mean_grad);
}
int fastsoftmax_cross_entropy_f64_i32(const double *logits, const int32_t *labels, size_t samples, size_t classes,
                                      double *loss, double *grad, double *mean_grad) {
    const struct matrix m = float64_matrix(samples, classes);
    return call_cross_entropy(&m, logits, labels, FASTSOFTMAX_LABELS_INT32, loss, grad, mean_grad);
}
int fastsoftmax_cross_entropy_f64_i64(const double *logits, const int64_t *labels, size_t samples, size_t classes,
                                      double *loss, double *grad, double *mean_grad) {
    const struct matrix m = float64_matrix(samples, classes);
    return call_cross_entropy(&m, logits, labels, FASTSOFTMAX_LABELS_INT64, loss, grad, mean_grad);
}
