/* The public C functions as capsules: one for all of them, and one each as Cython and SciPy look for them. */
#include "c_api.h"

#include "callbacks.h"
#include "fastsoftmax.h"

#define C_API_NAME "fastsoftmax.c_api.C_API"

static const fastsoftmax_api c_api = {
    sizeof c_api,
    fastsoftmax_abi_version,
    fastsoftmax_status_message,
    fastsoftmax_softmax,
    fastsoftmax_log_softmax,
    fastsoftmax_logsumexp,
    fastsoftmax_softmax_backward,
    fastsoftmax_log_softmax_backward,
    fastsoftmax_cross_entropy,
    fastsoftmax_grad_hess,
    fastsoftmax_num_threads,
    fastsoftmax_instruction_set,
    fastsoftmax_softmax_f32,
    fastsoftmax_softmax_f64,
    fastsoftmax_log_softmax_f32,
    fastsoftmax_log_softmax_f64,
    fastsoftmax_softmax_backward_f32,
    fastsoftmax_softmax_backward_f64,
    fastsoftmax_log_softmax_backward_f32,
    fastsoftmax_log_softmax_backward_f64,
    fastsoftmax_logsumexp_f32,
    fastsoftmax_logsumexp_f64,
    fastsoftmax_cross_entropy_f32_i32,
    fastsoftmax_cross_entropy_f32_i64,
    fastsoftmax_cross_entropy_f64_i32,
    fastsoftmax_cross_entropy_f64_i64,
};

typedef void any_function(void);

/* Signatures are what Cython writes for the declarations in c_api.pxd. */
static const struct {
    const char *name, *signature;
    any_function *function;
} functions[] = {
    {"abi_version", "int (void)", (any_function *)fastsoftmax_abi_version},
    {"status_message", "char const *(int)", (any_function *)fastsoftmax_status_message},
    {"softmax",
     "int (int, fastsoftmax_shape const *, fastsoftmax_input const *, fastsoftmax_output const *, "
     "fastsoftmax_options const *)",
     (any_function *)fastsoftmax_softmax},
    {"log_softmax",
     "int (int, fastsoftmax_shape const *, fastsoftmax_input const *, fastsoftmax_output const *, "
     "fastsoftmax_options const *)",
     (any_function *)fastsoftmax_log_softmax},
    {"logsumexp",
     "int (int, fastsoftmax_shape const *, fastsoftmax_input const *, fastsoftmax_output const *, "
     "fastsoftmax_options const *)",
     (any_function *)fastsoftmax_logsumexp},
    {"softmax_backward",
     "int (int, fastsoftmax_shape const *, fastsoftmax_input const *, fastsoftmax_input const *, fastsoftmax_output "
     "const *, fastsoftmax_options const *)",
     (any_function *)fastsoftmax_softmax_backward},
    {"log_softmax_backward",
     "int (int, fastsoftmax_shape const *, fastsoftmax_input const *, fastsoftmax_input const *, fastsoftmax_output "
     "const *, fastsoftmax_options const *)",
     (any_function *)fastsoftmax_log_softmax_backward},
    {"cross_entropy",
     "int (int, fastsoftmax_shape const *, fastsoftmax_input const *, fastsoftmax_targets const *, double *, "
     "fastsoftmax_output const *, fastsoftmax_output const *, void *, fastsoftmax_options const *)",
     (any_function *)fastsoftmax_cross_entropy},
    {"grad_hess",
     "int (int, fastsoftmax_shape const *, fastsoftmax_input const *, fastsoftmax_targets const *, "
     "fastsoftmax_output const *, fastsoftmax_output const *, fastsoftmax_options const *)",
     (any_function *)fastsoftmax_grad_hess},
    {"num_threads", "size_t (void)", (any_function *)fastsoftmax_num_threads},
    {"instruction_set", "char const *(void)", (any_function *)fastsoftmax_instruction_set},
    {"softmax_f32", "int (float const *, size_t, size_t, float *)", (any_function *)fastsoftmax_softmax_f32},
    {"softmax_f64", "int (double const *, size_t, size_t, double *)", (any_function *)fastsoftmax_softmax_f64},
    {"log_softmax_f32", "int (float const *, size_t, size_t, float *)", (any_function *)fastsoftmax_log_softmax_f32},
    {"log_softmax_f64", "int (double const *, size_t, size_t, double *)",
     (any_function *)fastsoftmax_log_softmax_f64},
    {"softmax_backward_f32", "int (float const *, float const *, size_t, size_t, float *)",
     (any_function *)fastsoftmax_softmax_backward_f32},
    {"softmax_backward_f64", "int (double const *, double const *, size_t, size_t, double *)",
     (any_function *)fastsoftmax_softmax_backward_f64},
    {"log_softmax_backward_f32", "int (float const *, float const *, size_t, size_t, float *)",
     (any_function *)fastsoftmax_log_softmax_backward_f32},
    {"log_softmax_backward_f64", "int (double const *, double const *, size_t, size_t, double *)",
     (any_function *)fastsoftmax_log_softmax_backward_f64},
    {"logsumexp_f32", "int (float const *, size_t, size_t, float *)", (any_function *)fastsoftmax_logsumexp_f32},
    {"logsumexp_f64", "int (double const *, size_t, size_t, double *)", (any_function *)fastsoftmax_logsumexp_f64},
    {"cross_entropy_f32_i32", "int (float const *, int32_t const *, size_t, size_t, double *, float *, float *)",
     (any_function *)fastsoftmax_cross_entropy_f32_i32},
    {"cross_entropy_f32_i64", "int (float const *, int64_t const *, size_t, size_t, double *, float *, float *)",
     (any_function *)fastsoftmax_cross_entropy_f32_i64},
    {"cross_entropy_f64_i32", "int (double const *, int32_t const *, size_t, size_t, double *, double *, double *)",
     (any_function *)fastsoftmax_cross_entropy_f64_i32},
    {"cross_entropy_f64_i64", "int (double const *, int64_t const *, size_t, size_t, double *, double *, double *)",
     (any_function *)fastsoftmax_cross_entropy_f64_i64},
    {"vector_logsumexp", FSM_OF_VECTOR, (any_function *)fsm_vector_logsumexp},
    {"vector_cross_entropy", FSM_OF_VECTOR, (any_function *)fsm_vector_cross_entropy},
    {"filter_logsumexp", FSM_FILTER, (any_function *)fsm_filter_logsumexp},
    {"filter1d_logsumexp", FSM_FILTER1D, (any_function *)fsm_filter1d_logsumexp},
    {"filter1d_softmax", FSM_FILTER1D, (any_function *)fsm_filter1d_softmax},
    {"filter1d_log_softmax", FSM_FILTER1D, (any_function *)fsm_filter1d_log_softmax},
};

/* Puts a new capsule into a dictionary. Capsules hold pointers to data; where there is Python, pointers to functions
   fit into these. */
static int put(PyObject *dict, const char *key, void *pointer, const char *name) {
    PyObject *capsule = PyCapsule_New(pointer, name, NULL);
    const int status = capsule == NULL ? -1 : PyDict_SetItemString(dict, key, capsule);
    Py_XDECREF(capsule);
    return status;
}

int fsm_add_c_api(PyObject *module) {
    PyObject *dict = PyDict_New();
    int status = dict == NULL ? -1 : 0;
    for (size_t i = 0; status == 0 && i < sizeof functions / sizeof *functions; i++) {
        void *pointer;
        memcpy(&pointer, &functions[i].function, sizeof pointer);
        status = put(dict, functions[i].name, pointer, functions[i].signature);
    }
    if (status == 0) status = PyModule_AddObjectRef(module, "__pyx_capi__", dict);
    Py_XDECREF(dict);
    return status < 0 ? -1 : put(PyModule_GetDict(module), "C_API", (void *)(uintptr_t)&c_api, C_API_NAME);
}
