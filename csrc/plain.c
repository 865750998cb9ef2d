#include "plain.h"

#include "arrays.h"
#include "call.h"
#include "environment.h"

#include <numpy/arrayscalars.h>

enum {
    MOST_THREADS = 1024, /* more are for the full way to cut down */
    SMALL_VECTOR = 256   /* float64 entries on the stack */
};

/* The job that a plain call makes, and its inputs: the logits, or whatever else comes first, says shape and dtype. */
struct plain {
    struct fsm_job job;
    size_t threads;
    struct fsm_array first, second;
    int is_mean;    /* the loss is, of those of the samples */
    int in_library; /* results are arrays of the library that the first is from */
};

static PyObject *not_plain(void) { return Py_NewRef(Py_None); }

/* The end of every call: the result passes through. */
static PyObject *done(struct plain *call, PyObject *result) {
    fsm_leave_array(&call->first);
    fsm_leave_array(&call->second);
    return result;
}

/* Takes the reference to a tuple and returns one to its first entry, or NULL where there is none. */
static PyObject *first_of(PyObject *tuple) {
    PyObject *first = NULL;
    if (tuple != NULL && PyTuple_Check(tuple) && PyTuple_GET_SIZE(tuple) > 0)
        first = Py_NewRef(PyTuple_GET_ITEM(tuple, 0));
    Py_XDECREF(tuple);
    return first;
}

/* The value in effect for one of _control.SETTINGS: the innermost block's, else the process's. A new reference; NULL
   where a default is yet to be found, or with an error. */
static PyObject *in_effect(PyObject *setting) {
    PyObject *block;
    if (!PyTuple_Check(setting) || PyTuple_GET_SIZE(setting) != 3) return NULL;
    if (PyContextVar_Get(PyTuple_GET_ITEM(setting, 1), NULL, &block) < 0) return NULL;
    if (block != Py_None) return first_of(block);
    Py_DECREF(block);
    return first_of(fsm_entry_of(PyTuple_GET_ITEM(setting, 2), PyTuple_GET_ITEM(setting, 0)));
}

/* The option if one was given, else what is in effect; the same references and errors. */
static PyObject *option_or_setting(PyObject *option, PyObject *settings, Py_ssize_t number) {
    if (option != Py_None) return Py_NewRef(option);
    PyObject *setting = PyTuple_GetItem(settings, number);
    return setting == NULL ? NULL : in_effect(setting);
}

/* Whether the call is for this backend, and with how many threads. Anything out of the ordinary says no. */
static int is_ours(PyObject *backend, PyObject *num_threads, PyObject *settings, size_t *threads) {
    Py_ssize_t count = 0;
    PyObject *name = option_or_setting(backend, settings, 0);
    PyObject *number = NULL;
    if (name != NULL && PyUnicode_CheckExact(name) && PyUnicode_CompareWithASCIIString(name, "c") == 0)
        number = option_or_setting(num_threads, settings, 1);
    if (number != NULL && PyLong_CheckExact(number)) count = PyLong_AsSsize_t(number);
    Py_XDECREF(name);
    Py_XDECREF(number);
    *threads = (size_t)count;
    if (count >= 1 && count <= MOST_THREADS) return 1;
    PyErr_Clear(); /* whatever it was, the full way meets it again */
    return 0;
}

/* Samples in C order, one after another: with classes, or one entry each. */
static struct fsm_view samples_of(const struct plain *call, void *data, ptrdiff_t itemsize, int has_classes) {
    const ptrdiff_t step = has_classes ? (ptrdiff_t)call->job.classes * itemsize : itemsize;
    return (struct fsm_view){data, (ptrdiff_t)call->job.inner * step, step, has_classes ? itemsize : 0};
}

/* The first array: its classes on the last axis, and nothing of length 0. */
static int take_first(struct plain *call, PyObject *object, PyObject *axis) {
    struct fsm_array *array = &call->first;
    if (!fsm_take_array(object, array) || (array->type != NPY_FLOAT && array->type != NPY_DOUBLE) || array->ndim < 1)
        return 0;
    if (!PyLong_CheckExact(axis)) return 0;
    int overflow;
    const long position = PyLong_AsLongAndOverflow(axis, &overflow);
    if (overflow || (position != -1 && position != array->ndim - 1)) return 0;
    if (array->size == 0) return 0;
    call->job.storage = array->type == NPY_FLOAT ? FSM_FLOAT32 : FSM_FLOAT64;
    call->job.outer = 1;
    call->job.classes = (size_t)array->shape[array->ndim - 1];
    call->job.inner = (size_t)array->size / call->job.classes;
    call->job.input = samples_of(call, array->data, array->itemsize, 1);
    return 1;
}

/* A second input, with the shape of the first or with its leading axes. */
static int take_second(struct plain *call, PyObject *object, int ndim) {
    return fsm_take_array(object, &call->second) && call->second.ndim == ndim &&
           PyArray_CompareLists(call->second.shape, call->first.shape, ndim);
}

static int take_labels(struct plain *call, PyObject *object) {
    if (!take_second(call, object, call->first.ndim - 1)) return 0;
    const struct fsm_array *array = &call->second;
    if (!PyTypeNum_ISSIGNED(array->type) || (array->itemsize != 4 && array->itemsize != 8)) return 0;
    call->job.labels_are_64_bit = array->itemsize == 8;
    call->job.labels = samples_of(call, array->data, array->itemsize, 0);
    return 1;
}

/* Whether results may go to `out` as it is, or to a new array if it is None. */
static int is_plain_out(const struct plain *call, PyObject *out, int ndim, const npy_intp *shape) {
    if (out == Py_None) return 1;
    if (!PyArray_CheckExact(out) || !PyArray_ISCARRAY((PyArrayObject *)out)) return 0;
    PyArrayObject *array = (PyArrayObject *)out;
    return PyArray_TYPE(array) == call->first.type && PyArray_NDIM(array) == ndim &&
           PyArray_CompareLists(PyArray_DIMS(array), shape, ndim);
}

/* Whether writing to `out` leaves an input alone, or, with in_place, writes it where it was read. */
static int is_apart(PyObject *out, const struct fsm_array *input, int in_place) {
    if (out == Py_None) return 1;
    const char *a = PyArray_BYTES((PyArrayObject *)out), *b = input->data;
    if (in_place && a == b) return 1;
    return a >= b + input->size * input->itemsize || b >= a + PyArray_NBYTES((PyArrayObject *)out);
}

/* A new reference to `out`, or to a new array if it is None, and a view of it in *view. */
static PyObject *results(const struct plain *call, PyObject *out, int ndim, const npy_intp *shape, int has_classes,
                         struct fsm_view *view) {
    char *data = NULL;
    PyObject *array;
    if (out == Py_None && call->in_library) {
        array = fsm_new_array(&call->first, ndim, shape, &data);
    } else {
        array = out == Py_None ? PyArray_SimpleNew(ndim, shape, call->first.type) : Py_NewRef(out);
        if (array != NULL) data = PyArray_BYTES((PyArrayObject *)array);
    }
    *view = samples_of(call, data, call->first.itemsize, has_classes);
    return array;
}

/* Runs the operation and returns the array, the reference to which it takes. */
static PyObject *fill(struct plain *call, enum fsm_operation operation, PyObject *array) {
    if (fsm_call(&call->job, operation, call->threads, NULL, NULL) == 0) return array;
    Py_DECREF(array);
    return NULL;
}

static PyObject *probabilities(PyObject *const *args, Py_ssize_t count, enum fsm_operation operation) {
    struct plain call = {0};
    if (fsm_count_is(count, 7) < 0) return NULL;
    PyObject *out = args[3];
    if (args[2] != Py_None || !take_first(&call, args[0], args[1]) ||
        !is_plain_out(&call, out, call.first.ndim, call.first.shape) || !is_apart(out, &call.first, 1) ||
        !is_ours(args[4], args[5], args[6], &call.threads))
        return done(&call, not_plain());
    PyObject *array = results(&call, out, call.first.ndim, call.first.shape, 1, &call.job.out);
    return done(&call, array == NULL ? NULL : fill(&call, operation, array));
}

FSM_PLAIN_FUNCTION(softmax) {
    (void)self;
    return probabilities(args, count, FSM_OPERATION_softmax);
}
FSM_PLAIN_FUNCTION(log_softmax) {
    (void)self;
    return probabilities(args, count, FSM_OPERATION_log_softmax);
}

FSM_PLAIN_FUNCTION(logsumexp) {
    struct plain call = {0};
    (void)self;
    if (fsm_count_is(count, 8) < 0) return NULL;
    PyObject *out = args[4];
    if (args[2] != Py_False || args[3] != Py_None || !take_first(&call, args[0], args[1]) ||
        !is_plain_out(&call, out, call.first.ndim - 1, call.first.shape) || !is_apart(out, &call.first, 0) ||
        !is_ours(args[5], args[6], args[7], &call.threads))
        return done(&call, not_plain());
    PyObject *array = results(&call, out, call.first.ndim - 1, call.first.shape, 0, &call.job.losses);
    PyObject *filled = array == NULL ? NULL : fill(&call, FSM_OPERATION_logsumexp, array);
    /* Without an axis left, a new array is a scalar. */
    if (filled != NULL && filled != out) filled = PyArray_Return((PyArrayObject *)filled);
    return done(&call, filled);
}

static PyObject *backward(PyObject *const *args, Py_ssize_t count, enum fsm_operation operation) {
    struct plain call = {0};
    if (fsm_count_is(count, 7) < 0) return NULL;
    PyObject *out = args[3];
    if (!take_first(&call, args[0], args[2]) || !take_second(&call, args[1], call.first.ndim) ||
        call.second.type != call.first.type || !is_plain_out(&call, out, call.first.ndim, call.first.shape) ||
        !is_apart(out, &call.first, 1) || !is_apart(out, &call.second, 1) ||
        !is_ours(args[4], args[5], args[6], &call.threads))
        return done(&call, not_plain());
    call.job.other = samples_of(&call, call.second.data, call.second.itemsize, 1);
    PyObject *array = results(&call, out, call.first.ndim, call.first.shape, 1, &call.job.out);
    return done(&call, array == NULL ? NULL : fill(&call, operation, array));
}

FSM_PLAIN_FUNCTION(softmax_backward) {
    (void)self;
    return backward(args, count, FSM_OPERATION_softmax_backward);
}
FSM_PLAIN_FUNCTION(log_softmax_backward) {
    (void)self;
    return backward(args, count, FSM_OPERATION_log_softmax_backward);
}

static int take_ignore_index(struct fsm_job *job, PyObject *ignore_index) {
    int overflow = 0;
    if (ignore_index == Py_None) return 1;
    if (!PyLong_CheckExact(ignore_index)) return 0;
    job->ignore_index = PyLong_AsLongLongAndOverflow(ignore_index, &overflow);
    job->has_ignore_index = 1;
    return !overflow;
}

/* Any options but weights, and but the losses one by one. */
static int take_options(struct plain *call, PyObject *const *options) {
    PyObject *smoothing = options[3], *reduction = options[4];
    if (options[0] != Py_None || options[1] != Py_None || !take_ignore_index(&call->job, options[2]) ||
        !PyFloat_CheckExact(smoothing) || !PyUnicode_CheckExact(reduction))
        return 0;
    call->job.label_smoothing = PyFloat_AS_DOUBLE(smoothing);
    call->is_mean = PyUnicode_CompareWithASCIIString(reduction, "mean") == 0;
    return call->job.label_smoothing >= 0 && call->job.label_smoothing <= 1 &&
           (call->is_mean || PyUnicode_CompareWithASCIIString(reduction, "sum") == 0);
}

/* Runs the job with the mean gradient going to an array of its dtype. */
static int run_to_mean_grad(struct plain *call, double *loss, void *mean_grad) {
    double small[SMALL_VECTOR];
    const size_t classes = call->job.classes;
    if (call->first.type == NPY_DOUBLE)
        return fsm_call(&call->job, FSM_OPERATION_cross_entropy, call->threads, loss, mean_grad);
    double *sums = classes <= SMALL_VECTOR ? small : PyMem_Malloc(classes * sizeof *sums);
    if (sums == NULL) return PyErr_NoMemory(), -1;
    const int status = fsm_call(&call->job, FSM_OPERATION_cross_entropy, call->threads, loss, sums);
    float *rounded = mean_grad;
    for (size_t k = 0; status == 0 && k < classes; k++) rounded[k] = (float)sums[k];
    if (sums != small) PyMem_Free(sums);
    return status;
}

/* A loss as a NumPy scalar, or an array without axes of the library of the results. */
static PyObject *scalar_of(const struct plain *call, double value) {
    const int is_float = call->first.type == NPY_FLOAT;
    PyObject *scalar;
    char *data;
    if (call->in_library) {
        scalar = fsm_new_array(&call->first, 0, NULL, &data);
        if (scalar != NULL && is_float) *(float *)(void *)data = (float)value;
        if (scalar != NULL && !is_float) *(double *)(void *)data = value;
    } else if (is_float) {
        scalar = PyArrayScalar_New(Float);
        if (scalar != NULL) PyArrayScalar_ASSIGN(scalar, Float, (float)value);
    } else {
        scalar = PyArrayScalar_New(Double);
        if (scalar != NULL) PyArrayScalar_ASSIGN(scalar, Double, value);
    }
    return scalar;
}

/* The loss, the array, or both as a tuple; takes the reference to the array. */
static PyObject *loss_and_array(const struct plain *call, double loss, PyObject *array) {
    if (!call->job.want_loss) return array;
    PyObject *scalar = scalar_of(call, loss);
    if (array == NULL) return scalar;
    PyObject *both = scalar == NULL ? NULL : PyTuple_Pack(2, scalar, array);
    Py_XDECREF(scalar);
    Py_DECREF(array);
    return both;
}

enum gradient { NO_GRAD, GRAD, MEAN_GRAD };

static int take_cross_entropy(struct plain *call, PyObject *const *args, enum gradient gradient) {
    PyObject *out = args[8];
    if (!take_options(call, args + 3) || !take_first(call, args[0], args[2]) || !take_labels(call, args[1])) return 0;
    const int ndim = gradient == MEAN_GRAD ? 1 : call->first.ndim;
    if (!is_plain_out(call, out, ndim, call->first.shape + call->first.ndim - ndim) ||
        !is_apart(out, &call->first, gradient == GRAD) || !is_apart(out, &call->second, 0) ||
        !is_ours(args[9], args[10], args[11], &call->threads) || (call->in_library && call->first.library == NULL))
        return 0;
    const struct fsm_label_summary labels = fsm_call_check_labels(&call->job);
    call->job.divisor = call->is_mean ? (double)labels.counted : 1;
    return labels.first_bad < 0 && call->job.divisor > 0;
}

static PyObject *run_cross_entropy(struct plain *call, PyObject *out, enum gradient gradient) {
    const int ndim = gradient == MEAN_GRAD ? 1 : call->first.ndim;
    const npy_intp *shape = call->first.shape + call->first.ndim - ndim;
    struct fsm_view view;
    PyObject *array = NULL;
    double loss = 0;
    if (gradient != NO_GRAD && (array = results(call, out, ndim, shape, 1, &view)) == NULL) return NULL;
    if (gradient == GRAD) call->job.out = view;
    const int status = gradient == MEAN_GRAD
                           ? run_to_mean_grad(call, &loss, view.data)
                           : fsm_call(&call->job, FSM_OPERATION_cross_entropy, call->threads, &loss, NULL);
    if (status == 0) return loss_and_array(call, loss, array);
    Py_XDECREF(array);
    return NULL;
}

/* In the default environment, since sums are rounded to results after the kernels are done. */
static PyObject *take_and_run_cross_entropy(struct plain *call, PyObject *const *args, enum gradient gradient) {
    const struct fsm_environment found = fsm_enter_environment();
    const int is_plain = take_cross_entropy(call, args, gradient);
    PyObject *result = is_plain ? run_cross_entropy(call, args[8], gradient) : not_plain();
    fsm_leave_environment(found);
    return done(call, result);
}

static PyObject *cross_entropy(PyObject *const *args, Py_ssize_t count, int want_loss, enum gradient gradient) {
    struct plain call = {.job = {.want_loss = want_loss}};
    return fsm_count_is(count, 12) < 0 ? NULL : take_and_run_cross_entropy(&call, args, gradient);
}

FSM_PLAIN_FUNCTION(cross_entropy) {
    (void)self;
    return cross_entropy(args, count, 1, NO_GRAD);
}
FSM_PLAIN_FUNCTION(cross_entropy_grad) {
    (void)self;
    return cross_entropy(args, count, 0, GRAD);
}
FSM_PLAIN_FUNCTION(cross_entropy_mean_grad) {
    (void)self;
    return cross_entropy(args, count, 0, MEAN_GRAD);
}
FSM_PLAIN_FUNCTION(cross_entropy_value_and_grad) {
    (void)self;
    return cross_entropy(args, count, 1, GRAD);
}
FSM_PLAIN_FUNCTION(cross_entropy_value_and_mean_grad) {
    (void)self;
    return cross_entropy(args, count, 1, MEAN_GRAD);
}

/* 1 if one of these functions without arguments returns what is true, 0 if none does, -1 with an error. */
static int any_is_true(PyObject *functions) {
    int is_true = PyTuple_Check(functions) ? 0 : 1;
    for (Py_ssize_t i = 0; is_true == 0 && i < PyTuple_GET_SIZE(functions); i++) {
        PyObject *answer = PyObject_CallNoArgs(PyTuple_GET_ITEM(functions, i));
        is_true = answer == NULL ? -1 : PyObject_IsTrue(answer);
        Py_XDECREF(answer);
    }
    return is_true;
}

static PyObject *exchanged_cross_entropy(PyObject *const *args, Py_ssize_t count, enum gradient gradient) {
    struct plain call = {.job = {.want_loss = 1}, .in_library = 1};
    if (fsm_count_is(count, 13) < 0) return NULL;
    const int is_watched = any_is_true(args[12]);
    if (is_watched < 0) return NULL;
    return is_watched ? not_plain() : take_and_run_cross_entropy(&call, args, gradient);
}

FSM_PLAIN_FUNCTION(exchanged_cross_entropy) {
    (void)self;
    return exchanged_cross_entropy(args, count, NO_GRAD);
}
FSM_PLAIN_FUNCTION(exchanged_cross_entropy_value_and_grad) {
    (void)self;
    return exchanged_cross_entropy(args, count, GRAD);
}
