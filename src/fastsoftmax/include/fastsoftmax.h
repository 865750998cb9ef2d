/* fastsoftmax: softmax, cross-entropy and their gradients on the CPU, as C functions.

   For programs in C and C++, and whatever can call C: no Python, no GIL, and no memory that the caller would have to
   free. Everything is declared in this one file; docs/trainers/c.md has programs and build commands.

   Arrays. Every array is seen as samples by classes, and the samples as (outer, inner): a pointer to the first
   element and three strides in bytes, which may be of any sign, or 0 in an input. A matrix in C order of m rows by K
   columns of float is {1, m, K} with the strides {0, K * sizeof(float), sizeof(float)}. For matrices like this there
   are the functions at the end, whose names end in the dtype, which take pointers alone.

   Errors. Functions return FASTSOFTMAX_OK or the number of an error. All arguments are checked before anything is
   written, labels and weights one by one: after an error the outputs are as they were. With options->error set, the
   argument's name and, for a label or a weight, its number are there too.

   Without samples (outer or inner 0) a call is valid: pointers to elements may be NULL, and what is reduced over the
   samples is the mean (NaN) or the sum (0) of nothing. Without classes it is an error.

   Threads. Any function may be called from several threads at once. A call uses options->num_threads threads of one
   pool for the process, which sleep when idle; 0 stands for the environment variable FASTSOFTMAX_NUM_THREADS or,
   without it, for the CPUs that the process may use. Small problems use one. Results have the same bits for any
   number of threads. After fork a child has a pool of its own. FASTSOFTMAX_ISA in the environment lowers the
   instruction set: avx512, avx2, sse2 or neon; scalar where there are no others, or where it was built with them.

   Accuracy is that of the Python functions, of which these give the same bits: probabilities within 2 units in the
   last place, losses and gradients within 4. NaN or +inf among a row's logits gives NaN, and so does a row of -inf
   alone. */
#ifndef FASTSOFTMAX_H
#define FASTSOFTMAX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#if defined(FASTSOFTMAX_BUILDS_LIBRARY)
#define FASTSOFTMAX_API __declspec(dllexport)
#else
#define FASTSOFTMAX_API __declspec(dllimport)
#endif
#elif defined(FASTSOFTMAX_BUILDS_LIBRARY)
#define FASTSOFTMAX_API __attribute__((visibility("default")))
#else
#define FASTSOFTMAX_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when something that was compiled against an earlier header would no longer work. New functions, and new
   options at the end of their struct, leave it alone. */
#define FASTSOFTMAX_ABI_VERSION 1

/* FASTSOFTMAX_ABI_VERSION of the library at hand. */
FASTSOFTMAX_API int fastsoftmax_abi_version(void);

/* What functions return. */
enum {
    FASTSOFTMAX_OK = 0,
    FASTSOFTMAX_ERROR_NULL = 1,      /* a pointer that is needed is NULL */
    FASTSOFTMAX_ERROR_DTYPE = 2,     /* no such dtype, or kind of targets */
    FASTSOFTMAX_ERROR_CLASSES = 3,   /* 0 classes */
    FASTSOFTMAX_ERROR_SIZE = 4,      /* more elements than memory can hold */
    FASTSOFTMAX_ERROR_ALIGNMENT = 5, /* an address or a stride is no multiple of what the dtype needs */
    FASTSOFTMAX_ERROR_OVERLAP = 6,   /* an output overlaps itself, another output, or an input other than in place */
    FASTSOFTMAX_ERROR_LABEL = 7,     /* a label is neither a class nor ignored */
    FASTSOFTMAX_ERROR_WEIGHT = 8,    /* a weight is negative or NaN */
    FASTSOFTMAX_ERROR_OPTION = 9,    /* an option is unknown, out of range, or has no meaning for the function */
    FASTSOFTMAX_ERROR_ENVIRONMENT = 10, /* FASTSOFTMAX_NUM_THREADS or FASTSOFTMAX_ISA is not a valid value */
    FASTSOFTMAX_ERROR_MEMORY = 11       /* no memory for intermediate results */
};

/* A sentence that says what a status means; for any number. */
FASTSOFTMAX_API const char *fastsoftmax_status_message(int status);

/* How an element of the logits, and of all arrays of their dtype, is stored. The halves are computed in float32 and
   rounded once. */
enum { FASTSOFTMAX_FLOAT32 = 0, FASTSOFTMAX_FLOAT64 = 1, FASTSOFTMAX_FLOAT16 = 2, FASTSOFTMAX_BFLOAT16 = 3 };

/* The numbers of samples, outer times inner, and of classes. */
typedef struct fastsoftmax_shape {
    size_t outer, inner, classes;
} fastsoftmax_shape;

/* An array that is read. Strides are in bytes; arrays without a class axis have no use for the third. */
typedef struct fastsoftmax_input {
    const void *data;
    ptrdiff_t outer, inner, classes;
} fastsoftmax_input;

/* An array that is written, which must not overlap itself. */
typedef struct fastsoftmax_output {
    void *data;
    ptrdiff_t outer, inner, classes;
} fastsoftmax_output;

/* What the elements of targets are: labels from 0 to classes - 1, without a class axis, or probabilities, of the
   dtype of the logits, whose sum need not be 1. */
enum { FASTSOFTMAX_LABELS_INT32 = 0, FASTSOFTMAX_LABELS_INT64 = 1, FASTSOFTMAX_PROBABILITIES = 2 };

typedef struct fastsoftmax_targets {
    const void *data;
    ptrdiff_t outer, inner, classes;
    int kind;
} fastsoftmax_targets;

enum { FASTSOFTMAX_MEAN = 0, FASTSOFTMAX_SUM = 1 };
enum { FASTSOFTMAX_HESSIAN_EXACT = 0, FASTSOFTMAX_HESSIAN_XGBOOST = 1, FASTSOFTMAX_HESSIAN_LIGHTGBM = 2 };

/* More on an error. */
typedef struct fastsoftmax_error {
    const char *argument; /* its name in this file, or that of an environment variable; never to be freed */
    ptrdiff_t index;      /* of the first bad sample, outer * shape.inner + inner, or class; else -1 */
} fastsoftmax_error;

/* Options, all 0 by default: begin with fastsoftmax_default_options(). An option that has no meaning for a function
   has to be left at 0. */
typedef struct fastsoftmax_options {
    size_t size;              /* sizeof(fastsoftmax_options) of the caller */
    size_t num_threads;       /* at most; 0 for the default */
    fastsoftmax_error *error; /* receives more on an error; may be NULL */

    /* softmax, log_softmax, logsumexp */
    fastsoftmax_input where; /* a byte an element, 0 leaves the class out */

    /* cross_entropy; sample_weight and hessian: grad_hess */
    fastsoftmax_input sample_weight; /* float64, without a class axis; not negative */
    const double *class_weight;      /* one for each class; not negative */
    double label_smoothing;          /* the share of each target, in [0, 1], that is spread over all classes */
    int64_t ignore_index;            /* if has_ignore_index: samples with this label do not count */
    int has_ignore_index;
    int reduction; /* FASTSOFTMAX_MEAN or FASTSOFTMAX_SUM */
    int hessian;   /* FASTSOFTMAX_HESSIAN_... */
} fastsoftmax_options;

static inline fastsoftmax_options fastsoftmax_default_options(void) {
    fastsoftmax_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    return options;
}

/* Softmax and its logarithm. `out` may be `logits` itself: the same address and strides. `options` may be NULL here
   and everywhere. */
FASTSOFTMAX_API int fastsoftmax_softmax(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                                        const fastsoftmax_output *out, const fastsoftmax_options *options);
FASTSOFTMAX_API int fastsoftmax_log_softmax(int dtype, const fastsoftmax_shape *shape,
                                            const fastsoftmax_input *logits, const fastsoftmax_output *out,
                                            const fastsoftmax_options *options);

/* The logarithm of the sum of exponentials; `out` has no class axis. */
FASTSOFTMAX_API int fastsoftmax_logsumexp(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                                          const fastsoftmax_output *out, const fastsoftmax_options *options);

/* Gradients with respect to the logits from those with respect to what softmax or log_softmax put out: p (g - sum g
   p) and g - p sum g. `out` may be `grad_output` or `output` itself. */
FASTSOFTMAX_API int fastsoftmax_softmax_backward(int dtype, const fastsoftmax_shape *shape,
                                                 const fastsoftmax_input *grad_output,
                                                 const fastsoftmax_input *output, const fastsoftmax_output *out,
                                                 const fastsoftmax_options *options);
FASTSOFTMAX_API int fastsoftmax_log_softmax_backward(int dtype, const fastsoftmax_shape *shape,
                                                     const fastsoftmax_input *grad_output,
                                                     const fastsoftmax_input *output, const fastsoftmax_output *out,
                                                     const fastsoftmax_options *options);

/* Cross-entropy, in one pass. Each result may be NULL; if all are, the arguments are checked and that is all.

   loss       the losses reduced, in float64. The mean divides their sum by the total of the class weights of the
   labels times the sample weights, for probabilities by the total of the sample weights: without weights by the
              number of samples that count.
   losses     one a sample, of the logits' dtype, without a class axis: times its weight, never divided
   grad       the gradient with respect to the logits, divided like the loss; may be `logits` itself. With
              FASTSOFTMAX_SUM it is p - t.
   mean_grad  the same, added up over the samples: `classes` numbers of the logits' dtype, one after another

   The mean over nothing is NaN, and its gradients are 0. */
FASTSOFTMAX_API int fastsoftmax_cross_entropy(int dtype, const fastsoftmax_shape *shape,
                                              const fastsoftmax_input *logits, const fastsoftmax_targets *targets,
                                              double *loss, const fastsoftmax_output *losses,
                                              const fastsoftmax_output *grad, void *mean_grad,
                                              const fastsoftmax_options *options);

/* The gradient p - t and the diagonal of the Hessian, times the sample weights, not reduced. `grad` may be `logits`
   itself. The Hessian is p (1 - p), max(2 p (1 - p), 1e-16) as XGBoost has it, or K / (K - 1) p (1 - p) as LightGBM
   has it, for K > 1 classes. */
FASTSOFTMAX_API int fastsoftmax_grad_hess(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                                          const fastsoftmax_targets *targets, const fastsoftmax_output *grad,
                                          const fastsoftmax_output *hess, const fastsoftmax_options *options);

/* The number of threads that num_threads = 0 stands for, or 0 if the environment has no valid number. */
FASTSOFTMAX_API size_t fastsoftmax_num_threads(void);

/* The name of the instruction set in use, or NULL if the environment asks for one that is not there. */
FASTSOFTMAX_API const char *fastsoftmax_instruction_set(void);

/* Matrices in C order, `samples` by `classes`, without options. `out` may be an input. */
FASTSOFTMAX_API int fastsoftmax_softmax_f32(const float *logits, size_t samples, size_t classes, float *out);
FASTSOFTMAX_API int fastsoftmax_softmax_f64(const double *logits, size_t samples, size_t classes, double *out);
FASTSOFTMAX_API int fastsoftmax_log_softmax_f32(const float *logits, size_t samples, size_t classes, float *out);
FASTSOFTMAX_API int fastsoftmax_log_softmax_f64(const double *logits, size_t samples, size_t classes, double *out);
FASTSOFTMAX_API int fastsoftmax_softmax_backward_f32(const float *grad_output, const float *output, size_t samples,
                                                     size_t classes, float *out);
FASTSOFTMAX_API int fastsoftmax_softmax_backward_f64(const double *grad_output, const double *output, size_t samples,
                                                     size_t classes, double *out);
FASTSOFTMAX_API int fastsoftmax_log_softmax_backward_f32(const float *grad_output, const float *output,
                                                         size_t samples, size_t classes, float *out);
FASTSOFTMAX_API int fastsoftmax_log_softmax_backward_f64(const double *grad_output, const double *output,
                                                         size_t samples, size_t classes, double *out);

/* `out` has one number for each sample, and is apart from `logits`. */
FASTSOFTMAX_API int fastsoftmax_logsumexp_f32(const float *logits, size_t samples, size_t classes, float *out);
FASTSOFTMAX_API int fastsoftmax_logsumexp_f64(const double *logits, size_t samples, size_t classes, double *out);

/* The mean loss, its gradient (samples by classes; may be `logits`) and mean gradient (classes); any of which may be
   NULL. Labels of 32 and of 64 bits. */
FASTSOFTMAX_API int fastsoftmax_cross_entropy_f32_i32(const float *logits, const int32_t *labels, size_t samples,
                                                      size_t classes, double *loss, float *grad, float *mean_grad);
FASTSOFTMAX_API int fastsoftmax_cross_entropy_f32_i64(const float *logits, const int64_t *labels, size_t samples,
                                                      size_t classes, double *loss, float *grad, float *mean_grad);
FASTSOFTMAX_API int fastsoftmax_cross_entropy_f64_i32(const double *logits, const int32_t *labels, size_t samples,
                                                      size_t classes, double *loss, double *grad, double *mean_grad);
FASTSOFTMAX_API int fastsoftmax_cross_entropy_f64_i64(const double *logits, const int64_t *labels, size_t samples,
                                                      size_t classes, double *loss, double *grad, double *mean_grad);

/* All of these as pointers, for code that gets them from a running Python and links nothing: the capsule C_API of the
   module fastsoftmax.c_api, whose name is "fastsoftmax.c_api.C_API", points to one. */
typedef struct fastsoftmax_api {
    size_t size; /* what lies beyond it is not there: new functions go to the end */
    int (*abi_version)(void);
    const char *(*status_message)(int status);
    int (*softmax)(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                   const fastsoftmax_output *out, const fastsoftmax_options *options);
    int (*log_softmax)(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                       const fastsoftmax_output *out, const fastsoftmax_options *options);
    int (*logsumexp)(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                     const fastsoftmax_output *out, const fastsoftmax_options *options);
    int (*softmax_backward)(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *grad_output,
                            const fastsoftmax_input *output, const fastsoftmax_output *out,
                            const fastsoftmax_options *options);
    int (*log_softmax_backward)(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *grad_output,
                                const fastsoftmax_input *output, const fastsoftmax_output *out,
                                const fastsoftmax_options *options);
    int (*cross_entropy)(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                         const fastsoftmax_targets *targets, double *loss, const fastsoftmax_output *losses,
                         const fastsoftmax_output *grad, void *mean_grad, const fastsoftmax_options *options);
    int (*grad_hess)(int dtype, const fastsoftmax_shape *shape, const fastsoftmax_input *logits,
                     const fastsoftmax_targets *targets, const fastsoftmax_output *grad,
                     const fastsoftmax_output *hess, const fastsoftmax_options *options);
    size_t (*num_threads)(void);
    const char *(*instruction_set)(void);
    int (*softmax_f32)(const float *logits, size_t samples, size_t classes, float *out);
    int (*softmax_f64)(const double *logits, size_t samples, size_t classes, double *out);
    int (*log_softmax_f32)(const float *logits, size_t samples, size_t classes, float *out);
    int (*log_softmax_f64)(const double *logits, size_t samples, size_t classes, double *out);
    int (*softmax_backward_f32)(const float *grad_output, const float *output, size_t samples, size_t classes,
                                float *out);
    int (*softmax_backward_f64)(const double *grad_output, const double *output, size_t samples, size_t classes,
                                double *out);
    int (*log_softmax_backward_f32)(const float *grad_output, const float *output, size_t samples, size_t classes,
                                    float *out);
    int (*log_softmax_backward_f64)(const double *grad_output, const double *output, size_t samples, size_t classes,
                                    double *out);
    int (*logsumexp_f32)(const float *logits, size_t samples, size_t classes, float *out);
    int (*logsumexp_f64)(const double *logits, size_t samples, size_t classes, double *out);
    int (*cross_entropy_f32_i32)(const float *logits, const int32_t *labels, size_t samples, size_t classes,
                                 double *loss, float *grad, float *mean_grad);
    int (*cross_entropy_f32_i64)(const float *logits, const int64_t *labels, size_t samples, size_t classes,
                                 double *loss, float *grad, float *mean_grad);
    int (*cross_entropy_f64_i32)(const double *logits, const int32_t *labels, size_t samples, size_t classes,
                                 double *loss, double *grad, double *mean_grad);
    int (*cross_entropy_f64_i64)(const double *logits, const int64_t *labels, size_t samples, size_t classes,
                                 double *loss, double *grad, double *mean_grad);
} fastsoftmax_api;

#ifdef __cplusplus
}
#endif

#endif
