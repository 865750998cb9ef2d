"""The C functions of fastsoftmax.h for Cython, without linking: see docs/trainers/c.md.

The C compiler needs the header, whose directory is ``fastsoftmax.get_include()``.
"""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, intptr_t

cdef extern from "fastsoftmax.h" nogil:
    enum:
        FASTSOFTMAX_ABI_VERSION
        FASTSOFTMAX_OK
        FASTSOFTMAX_ERROR_NULL
        FASTSOFTMAX_ERROR_DTYPE
        FASTSOFTMAX_ERROR_CLASSES
        FASTSOFTMAX_ERROR_SIZE
        FASTSOFTMAX_ERROR_ALIGNMENT
        FASTSOFTMAX_ERROR_OVERLAP
        FASTSOFTMAX_ERROR_LABEL
        FASTSOFTMAX_ERROR_WEIGHT
        FASTSOFTMAX_ERROR_OPTION
        FASTSOFTMAX_ERROR_ENVIRONMENT
        FASTSOFTMAX_ERROR_MEMORY
        FASTSOFTMAX_FLOAT32
        FASTSOFTMAX_FLOAT64
        FASTSOFTMAX_FLOAT16
        FASTSOFTMAX_BFLOAT16
        FASTSOFTMAX_LABELS_INT32
        FASTSOFTMAX_LABELS_INT64
        FASTSOFTMAX_PROBABILITIES
        FASTSOFTMAX_MEAN
        FASTSOFTMAX_SUM
        FASTSOFTMAX_HESSIAN_EXACT
        FASTSOFTMAX_HESSIAN_XGBOOST
        FASTSOFTMAX_HESSIAN_LIGHTGBM

    ctypedef struct fastsoftmax_shape:
        size_t outer, inner, classes

    ctypedef struct fastsoftmax_input:
        const void *data
        ptrdiff_t outer, inner, classes

    ctypedef struct fastsoftmax_output:
        void *data
        ptrdiff_t outer, inner, classes

    ctypedef struct fastsoftmax_targets:
        const void *data
        ptrdiff_t outer, inner, classes
        int kind

    ctypedef struct fastsoftmax_error:
        const char *argument
        ptrdiff_t index

    ctypedef struct fastsoftmax_options:
        size_t size, num_threads
        fastsoftmax_error *error
        fastsoftmax_input where, sample_weight
        const double *class_weight
        double label_smoothing
        int64_t ignore_index
        int has_ignore_index, reduction, hessian

    fastsoftmax_options fastsoftmax_default_options()

cdef int abi_version() noexcept nogil
cdef const char *status_message(int status) noexcept nogil
cdef int softmax(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits, const fastsoftmax_output *out, const fastsoftmax_options *options) noexcept nogil
cdef int log_softmax(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits, const fastsoftmax_output *out, const fastsoftmax_options *options) noexcept nogil
cdef int logsumexp(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits, const fastsoftmax_output *out, const fastsoftmax_options *options) noexcept nogil
cdef int softmax_backward(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *grad_output, const fastsoftmax_input *output, const fastsoftmax_output *out, const fastsoftmax_options *options) noexcept nogil
cdef int log_softmax_backward(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *grad_output, const fastsoftmax_input *output, const fastsoftmax_output *out, const fastsoftmax_options *options) noexcept nogil
cdef int cross_entropy(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits, const fastsoftmax_targets *targets, double *loss, const fastsoftmax_output *losses, const fastsoftmax_output *grad, void *mean_grad, const fastsoftmax_options *options) noexcept nogil
cdef int grad_hess(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits, const fastsoftmax_targets *targets, const fastsoftmax_output *grad, const fastsoftmax_output *hess, const fastsoftmax_options *options) noexcept nogil
cdef size_t num_threads() noexcept nogil
cdef const char *instruction_set() noexcept nogil
cdef int softmax_f32(const float *logits, size_t samples, size_t classes, float *out) noexcept nogil
cdef int softmax_f64(const double *logits, size_t samples, size_t classes, double *out) noexcept nogil
cdef int log_softmax_f32(const float *logits, size_t samples, size_t classes, float *out) noexcept nogil
cdef int log_softmax_f64(const double *logits, size_t samples, size_t classes, double *out) noexcept nogil
cdef int softmax_backward_f32(const float *grad_output, const float *output, size_t samples, size_t classes, float *out) noexcept nogil
cdef int softmax_backward_f64(const double *grad_output, const double *output, size_t samples, size_t classes, double *out) noexcept nogil
cdef int log_softmax_backward_f32(const float *grad_output, const float *output, size_t samples, size_t classes, float *out) noexcept nogil
cdef int log_softmax_backward_f64(const double *grad_output, const double *output, size_t samples, size_t classes, double *out) noexcept nogil
cdef int logsumexp_f32(const float *logits, size_t samples, size_t classes, float *out) noexcept nogil
cdef int logsumexp_f64(const double *logits, size_t samples, size_t classes, double *out) noexcept nogil
cdef int cross_entropy_f32_i32(const float *logits, const int32_t *labels, size_t samples, size_t classes, double *loss, float *grad, float *mean_grad) noexcept nogil
cdef int cross_entropy_f32_i64(const float *logits, const int64_t *labels, size_t samples, size_t classes, double *loss, float *grad, float *mean_grad) noexcept nogil
cdef int cross_entropy_f64_i32(const double *logits, const int32_t *labels, size_t samples, size_t classes, double *loss, double *grad, double *mean_grad) noexcept nogil
cdef int cross_entropy_f64_i64(const double *logits, const int64_t *labels, size_t samples, size_t classes, double *loss, double *grad, double *mean_grad) noexcept nogil

cdef double vector_logsumexp(int n, double *x, void *user_data) noexcept nogil
cdef double vector_cross_entropy(int n, double *x, void *user_data) noexcept nogil
cdef int filter_logsumexp(double *window, intptr_t n, double *out, void *user_data) noexcept nogil
cdef int filter1d_logsumexp(double *line, intptr_t n, double *out, intptr_t out_n, void *user_data) noexcept nogil
cdef int filter1d_softmax(double *line, intptr_t n, double *out, intptr_t out_n, void *user_data) noexcept nogil
cdef int filter1d_log_softmax(double *line, intptr_t n, double *out, intptr_t out_n, void *user_data) noexcept nogil
