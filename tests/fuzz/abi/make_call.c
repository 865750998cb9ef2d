#include "call.h"

#include <stdlib.h>
#include <string.h>

static fastsoftmax_input input_of(const struct array *a) {
    return (fastsoftmax_input){a->has_data ? a->data : NULL, a->stride[0], a->stride[1], a->stride[2]};
}
static fastsoftmax_output output_of(const struct array *a) {
    return (fastsoftmax_output){a->has_data ? a->data : NULL, a->stride[0], a->stride[1], a->stride[2]};
}
static void *pointer_of(const struct array *a) { return a->described && a->has_data ? a->data : NULL; }

static int call_plain_float32(const struct call *c) {
    const size_t m = c->shape.inner, k = c->shape.classes;
    const float *x = pointer_of(&c->array[INPUT]), *y = pointer_of(&c->array[OTHER]);
    float *out = pointer_of(&c->array[c->function == LOGSUMEXP ? LOSSES : OUT]);
    const void *t = pointer_of(&c->array[TARGETS]);
    double *loss = pointer_of(&c->array[LOSS]);
    float *mean = pointer_of(&c->array[MEAN_GRAD]);
    switch (c->function) {
    case SOFTMAX: return fastsoftmax_softmax_f32(x, m, k, out);
    case LOG_SOFTMAX: return fastsoftmax_log_softmax_f32(x, m, k, out);
    case LOGSUMEXP: return fastsoftmax_logsumexp_f32(x, m, k, out);
    case SOFTMAX_BACKWARD: return fastsoftmax_softmax_backward_f32(x, y, m, k, out);
    case LOG_SOFTMAX_BACKWARD: return fastsoftmax_log_softmax_backward_f32(x, y, m, k, out);
    default:
        if (c->kind == FASTSOFTMAX_LABELS_INT64)
            return fastsoftmax_cross_entropy_f32_i64(x, t, m, k, loss, out, mean);
        return fastsoftmax_cross_entropy_f32_i32(x, t, m, k, loss, out, mean);
    }
}

static int call_plain_float64(const struct call *c) {
    const size_t m = c->shape.inner, k = c->shape.classes;
    const double *x = pointer_of(&c->array[INPUT]), *y = pointer_of(&c->array[OTHER]);
    double *out = pointer_of(&c->array[c->function == LOGSUMEXP ? LOSSES : OUT]);
    const void *t = pointer_of(&c->array[TARGETS]);
    double *loss = pointer_of(&c->array[LOSS]), *mean = pointer_of(&c->array[MEAN_GRAD]);
    switch (c->function) {
    case SOFTMAX: return fastsoftmax_softmax_f64(x, m, k, out);
    case LOG_SOFTMAX: return fastsoftmax_log_softmax_f64(x, m, k, out);
    case LOGSUMEXP: return fastsoftmax_logsumexp_f64(x, m, k, out);
    case SOFTMAX_BACKWARD: return fastsoftmax_softmax_backward_f64(x, y, m, k, out);
    case LOG_SOFTMAX_BACKWARD: return fastsoftmax_log_softmax_backward_f64(x, y, m, k, out);
    default:
        if (c->kind == FASTSOFTMAX_LABELS_INT64)
            return fastsoftmax_cross_entropy_f64_i64(x, t, m, k, loss, out, mean);
        return fastsoftmax_cross_entropy_f64_i32(x, t, m, k, loss, out, mean);
    }
}

/* As many bytes as the options say that they have, and no more. */
static fastsoftmax_options *make_options(const struct call *c, fastsoftmax_error *error) {
    fastsoftmax_options o = c->options;
    const size_t bytes = c->options_bytes, room = bytes < sizeof o.size ? sizeof o.size : bytes;
    char *const memory = calloc(1, room);
    if (memory == NULL) abort();
    o.size = bytes;
    o.error = error;
    if (c->array[WHERE].described) o.where = input_of(&c->array[WHERE]);
    if (c->array[SAMPLE_WEIGHT].described) o.sample_weight = input_of(&c->array[SAMPLE_WEIGHT]);
    o.class_weight = pointer_of(&c->array[CLASS_WEIGHT]);
    memcpy(memory, &o, room < sizeof o ? room : sizeof o);
    if (bytes > sizeof o) memory[bytes - 1] = (char)c->beyond;
    return (fastsoftmax_options *)memory;
}

static int call_with_options(const struct call *c, const fastsoftmax_options *options) {
    const struct array *a = c->array, *t = &a[TARGETS];
    const fastsoftmax_shape *shape = c->has_shape ? &c->shape : NULL;
    const fastsoftmax_input x = input_of(&a[INPUT]), y = input_of(&a[OTHER]);
    const fastsoftmax_targets targets = {t->has_data ? t->data : NULL, t->stride[0], t->stride[1], t->stride[2],
                                         c->kind};
    const fastsoftmax_output o = output_of(&a[OUT]), h = output_of(&a[HESS]), l = output_of(&a[LOSSES]);
    const fastsoftmax_input *in = a[INPUT].described ? &x : NULL, *other = a[OTHER].described ? &y : NULL;
    const fastsoftmax_targets *goal = t->described ? &targets : NULL;
    const fastsoftmax_output *out = a[OUT].described ? &o : NULL, *hess = a[HESS].described ? &h : NULL;
    const fastsoftmax_output *losses = a[LOSSES].described ? &l : NULL;
    switch (c->function) {
    case SOFTMAX: return fastsoftmax_softmax(c->dtype, shape, in, out, options);
    case LOG_SOFTMAX: return fastsoftmax_log_softmax(c->dtype, shape, in, out, options);
    case LOGSUMEXP: return fastsoftmax_logsumexp(c->dtype, shape, in, losses, options);
    case SOFTMAX_BACKWARD: return fastsoftmax_softmax_backward(c->dtype, shape, in, other, out, options);
    case LOG_SOFTMAX_BACKWARD: return fastsoftmax_log_softmax_backward(c->dtype, shape, in, other, out, options);
    case CROSS_ENTROPY:
        return fastsoftmax_cross_entropy(c->dtype, shape, in, goal, pointer_of(&a[LOSS]), losses, out,
                                         pointer_of(&a[MEAN_GRAD]), options);
    default: return fastsoftmax_grad_hess(c->dtype, shape, in, goal, out, hess, options);
    }
}

int make_call(const struct call *call, fastsoftmax_error *error) {
    if (call->plain) return call->dtype == FASTSOFTMAX_FLOAT64 ? call_plain_float64(call) : call_plain_float32(call);
    if (!call->has_options) return call_with_options(call, NULL);
    fastsoftmax_options *const options = make_options(call, error);
    const int status = call_with_options(call, options);
    free(options);
    return status;
}
