# cython: language_level=3
from libc.stdint cimport int64_t
from fastsoftmax.c_api cimport (
    FASTSOFTMAX_LABELS_INT64, FASTSOFTMAX_FLOAT32, FASTSOFTMAX_SUM, cross_entropy,
    fastsoftmax_default_options, fastsoftmax_input, fastsoftmax_options, fastsoftmax_output,
    fastsoftmax_shape, fastsoftmax_targets, softmax_f64, status_message,
)


def softmax(double[:, ::1] x, double[:, ::1] out):
    cdef int status
    with nogil:
        status = softmax_f64(&x[0, 0], x.shape[0], x.shape[1], &out[0, 0])
    if status:
        raise ValueError(status_message(status).decode())


def loss_and_grad(float[:, :] x, int64_t[:] labels, float[:, :] grad, double smoothing):
    cdef double loss = 0
    cdef int status
    cdef fastsoftmax_shape shape
    cdef fastsoftmax_input logits
    cdef fastsoftmax_targets targets
    cdef fastsoftmax_output out
    cdef fastsoftmax_options options
    with nogil:
        shape.outer, shape.inner, shape.classes = 1, x.shape[0], x.shape[1]
        logits.data, logits.outer = &x[0, 0], 0
        logits.inner, logits.classes = x.strides[0], x.strides[1]
        targets.data, targets.outer, targets.inner = &labels[0], 0, labels.strides[0]
        targets.classes, targets.kind = 0, FASTSOFTMAX_LABELS_INT64
        out.data, out.outer = &grad[0, 0], 0
        out.inner, out.classes = grad.strides[0], grad.strides[1]
        options = fastsoftmax_default_options()
        options.label_smoothing = smoothing
        options.reduction = FASTSOFTMAX_SUM
        status = cross_entropy(
            FASTSOFTMAX_FLOAT32, &shape, &logits, &targets, &loss, NULL, &out, NULL, &options)
    if status:
        raise ValueError(status_message(status).decode())
    return loss
