/* The extension module: Python in, pointers and strides out; nothing numeric.

   The arrays come from the package, which has checked them for the user. What is checked again here, in few
   words, is whatever could make a kernel read or write outside an array. */
#define FSM_IMPORTS_NUMPY
#include "numpy_api.h"

#include "arrays.h"
#include "c_api.h"
#include "call.h"
#include "dispatch.h"
#include "plain.h"
#include "setup.h"
#include "xla.h"

static int refuse(const char *name, const char *what) {
    PyErr_Format(PyExc_TypeError, "%s: %s", name, what);
    return -1;
}

/* An array of `ndim` dimensions whose elements can be read (and written) where they lie. */
static PyArrayObject *plain_array(PyObject *object, const char *name, int ndim, int writeable) {
    if (!PyArray_Check(object)) return refuse(name, "not an array"), NULL;
    PyArrayObject *array = (PyArrayObject *)object;
    if (PyArray_NDIM(array) != ndim) return refuse(name, "wrong number of dimensions"), NULL;
    if (!PyArray_ISALIGNED(array) || PyArray_ISBYTESWAPPED(array))
        return refuse(name, "not aligned and in native byte order"), NULL;
    if (writeable && !PyArray_ISWRITEABLE(array)) return refuse(name, "read-only"), NULL;
    return array;
}

/* The storage of logits-like arrays. bfloat16 has no type number of its own: it is the one dtype defined outside
   NumPy that the package lets through, and has two bytes. */
static int storage_of(PyArrayObject *array, enum fsm_storage *storage) {
    const int type = PyArray_TYPE(array);
    if (type == NPY_FLOAT)
        *storage = FSM_FLOAT32;
    else if (type == NPY_DOUBLE)
        *storage = FSM_FLOAT64;
    else if (type == NPY_HALF)
        *storage = FSM_FLOAT16;
    else if (PyTypeNum_ISUSERDEF(type) && PyArray_ITEMSIZE(array) == 2)
        *storage = FSM_BFLOAT16;
    else
        return refuse("logits", "of a dtype without a kernel");
    return 0;
}

/* The step along an axis: where its length is 1, NumPy's may be any number. */
static ptrdiff_t step_of(PyArrayObject *array, int axis) {
    return PyArray_DIM(array, axis) == 1 ? (ptrdiff_t)PyArray_ITEMSIZE(array) : PyArray_STRIDE(array, axis);
}

static struct fsm_view view_of(PyArrayObject *array, int has_classes) {
    return (struct fsm_view){PyArray_BYTES(array), step_of(array, 0), step_of(array, 1),
                             has_classes ? step_of(array, 2) : 0};
}

/* The job's first array, which says its shape and storage; the others of its dtype have *type too. */
static int take_first(struct fsm_job *job, PyObject *object, const char *name, struct fsm_view *view, int *type) {
    PyArrayObject *array = plain_array(object, name, 3, 0);
    if (array == NULL || storage_of(array, &job->storage) < 0) return -1;
    if (PyArray_SIZE(array) == 0) return refuse(name, "empty");
    job->outer = (size_t)PyArray_DIM(array, 0);
    job->inner = (size_t)PyArray_DIM(array, 1);
    job->classes = (size_t)PyArray_DIM(array, 2);
    *view = view_of(array, 1);
    *type = PyArray_TYPE(array);
    return 0;
}

/* A further array of the job's samples, with classes (ndim 3) or without (2); None where it may be left out. */
static int take(const struct fsm_job *job, PyObject *object, const char *name, int ndim, int type, int writeable,
                struct fsm_view *view) {
    if (object == Py_None) return 0;
    PyArrayObject *array = plain_array(object, name, ndim, writeable);
    if (array == NULL) return -1;
    if (PyArray_TYPE(array) != type) return refuse(name, "of the wrong dtype");
    if ((size_t)PyArray_DIM(array, 0) != job->outer || (size_t)PyArray_DIM(array, 1) != job->inner ||
        (ndim == 3 && (size_t)PyArray_DIM(array, 2) != job->classes))
        return refuse(name, "of the wrong shape");
    *view = view_of(array, ndim == 3);
    return 0;
}

/* A contiguous vector of float64 with one entry a class, or NULL for None. */
static int take_class_vector(const struct fsm_job *job, PyObject *object, const char *name, int writeable,
                             double **data) {
    *data = NULL;
    if (object == Py_None) return 0;
    PyArrayObject *array = plain_array(object, name, 1, writeable);
    if (array == NULL) return -1;
    if (PyArray_TYPE(array) != NPY_DOUBLE || !PyArray_IS_C_CONTIGUOUS(array))
        return refuse(name, "not contiguous float64");
    if ((size_t)PyArray_DIM(array, 0) != job->classes) return refuse(name, "of the wrong length");
    *data = PyArray_DATA(array);
    return 0;
}

static int take_labels(struct fsm_job *job, PyObject *object) {
    if (object == Py_None) return 0;
    PyArrayObject *array = plain_array(object, "labels", 2, 0);
    if (array == NULL) return -1;
    if (!PyArray_ISSIGNED(array) || (PyArray_ITEMSIZE(array) != 4 && PyArray_ITEMSIZE(array) != 8))
        return refuse("labels", "not int32 or int64");
    job->labels_are_64_bit = PyArray_ITEMSIZE(array) == 8;
    return take(job, object, "labels", 2, PyArray_TYPE(array), 0, &job->labels);
}

static int take_ignore_index(struct fsm_job *job, PyObject *object) {
    if (object == Py_None) return 0;
    job->ignore_index = PyLong_AsLongLong(object);
    job->has_ignore_index = 1;
    return job->ignore_index == -1 && PyErr_Occurred() ? -1 : 0;
}

static int take_double(PyObject *object, double *value) {
    *value = PyFloat_AsDouble(object);
    return *value == -1 && PyErr_Occurred() ? -1 : 0;
}

static int take_threads(PyObject *object, size_t *threads) {
    Py_ssize_t value = PyLong_AsSsize_t(object);
    if (value == -1 && PyErr_Occurred()) return -1;
    *threads = value < 1 ? 1 : (size_t)value;
    return 0;
}

/* softmax, log_softmax (x, where, out, num_threads) and logsumexp, whose out has no class axis. */
static PyObject *probabilities(PyObject *const *args, Py_ssize_t count, enum fsm_operation operation) {
    const int reduces = operation == FSM_OPERATION_logsumexp;
    struct fsm_job job = {0};
    size_t threads;
    int type;
    if (fsm_count_is(count, 4) < 0 || take_first(&job, args[0], "x", &job.input, &type) < 0 ||
        take(&job, args[1], "where", 3, NPY_BOOL, 0, &job.where) < 0 ||
        take(&job, args[2], "out", reduces ? 2 : 3, type, 1, reduces ? &job.losses : &job.out) < 0 ||
        take_threads(args[3], &threads) < 0)
        return NULL;
    if (job.losses.data == NULL && job.out.data == NULL) return refuse("out", "missing"), NULL;
    if (fsm_call(&job, operation, threads, NULL, NULL) < 0) return NULL;
    Py_RETURN_NONE;
}

/* (grad_output, output, out, num_threads) */
static PyObject *backward(PyObject *const *args, Py_ssize_t count, enum fsm_operation operation) {
    struct fsm_job job = {0};
    size_t threads;
    int type;
    if (fsm_count_is(count, 4) < 0 || take_first(&job, args[0], "grad_output", &job.input, &type) < 0 ||
        take(&job, args[1], "output", 3, type, 0, &job.other) < 0 ||
        take(&job, args[2], "out", 3, type, 1, &job.out) < 0 || take_threads(args[3], &threads) < 0)
        return NULL;
    if (job.other.data == NULL || job.out.data == NULL) return refuse("output or out", "missing"), NULL;
    if (fsm_call(&job, operation, threads, NULL, NULL) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *py_softmax(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    (void)self;
    return probabilities(args, count, FSM_OPERATION_softmax);
}
static PyObject *py_log_softmax(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    (void)self;
    return probabilities(args, count, FSM_OPERATION_log_softmax);
}
static PyObject *py_logsumexp(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    (void)self;
    return probabilities(args, count, FSM_OPERATION_logsumexp);
}
static PyObject *py_softmax_backward(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    (void)self;
    return backward(args, count, FSM_OPERATION_softmax_backward);
}
static PyObject *py_log_softmax_backward(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    (void)self;
    return backward(args, count, FSM_OPERATION_log_softmax_backward);
}

/* logits, then one of labels and probabilities. */
static int take_targets(struct fsm_job *job, PyObject *logits, PyObject *labels, PyObject *probabilities,
                        PyObject *ignore_index, int *type) {
    if (take_first(job, logits, "logits", &job->input, type) < 0 || take_labels(job, labels) < 0 ||
        take(job, probabilities, "probabilities", 3, *type, 0, &job->other) < 0 ||
        take_ignore_index(job, ignore_index) < 0)
        return -1;
    if ((job->labels.data == NULL) == (job->other.data == NULL))
        return refuse("targets", "either labels or probabilities are needed");
    return 0;
}

/* (labels, num_classes, ignore_index, weight, sample_weight) -> (first_bad, counted, total_weight) */
static PyObject *py_check_labels(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    struct fsm_job job = {0};
    double *weight;
    (void)self;
    if (fsm_count_is(count, 5) < 0) return NULL;
    PyArrayObject *labels = plain_array(args[0], "labels", 2, 0);
    Py_ssize_t classes = PyLong_AsSsize_t(args[1]);
    if (labels == NULL || PyErr_Occurred()) return NULL;
    if (classes < 1) return refuse("num_classes", "less than 1"), NULL;
    job.outer = (size_t)PyArray_DIM(labels, 0);
    job.inner = (size_t)PyArray_DIM(labels, 1);
    job.classes = (size_t)classes;
    if (take_labels(&job, args[0]) < 0 || take_ignore_index(&job, args[2]) < 0 ||
        take_class_vector(&job, args[3], "weight", 0, &weight) < 0 ||
        take(&job, args[4], "sample_weight", 2, NPY_DOUBLE, 0, &job.sample_weight) < 0)
        return NULL;
    job.class_weight = weight;
    const struct fsm_label_summary summary = fsm_call_check_labels(&job);
    return Py_BuildValue("nnd", (Py_ssize_t)summary.first_bad, (Py_ssize_t)summary.counted, summary.total_weight);
}

/* (logits, labels, probabilities, weight, sample_weight, ignore_index, label_smoothing, divisor, losses, grad,
   mean_grad, want_loss, num_threads) -> loss */
static PyObject *py_cross_entropy(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    struct fsm_job job = {0};
    double *weight, *mean_grad, loss = 0;
    size_t threads;
    int type;
    (void)self;
    if (fsm_count_is(count, 13) < 0 || take_targets(&job, args[0], args[1], args[2], args[5], &type) < 0 ||
        take_class_vector(&job, args[3], "weight", 0, &weight) < 0 ||
        take(&job, args[4], "sample_weight", 2, NPY_DOUBLE, 0, &job.sample_weight) < 0 ||
        take_double(args[6], &job.label_smoothing) < 0 || take_double(args[7], &job.divisor) < 0 ||
        take(&job, args[8], "losses", 2, type, 1, &job.losses) < 0 ||
        take(&job, args[9], "grad", 3, type, 1, &job.out) < 0 ||
        take_class_vector(&job, args[10], "mean_grad", 1, &mean_grad) < 0 ||
        (job.want_loss = PyObject_IsTrue(args[11])) < 0 || take_threads(args[12], &threads) < 0)
        return NULL;
    job.class_weight = weight;
    if (job.losses.data != NULL) job.want_loss = 1;
    if (fsm_call(&job, FSM_OPERATION_cross_entropy, threads, &loss, mean_grad) < 0) return NULL;
    return PyFloat_FromDouble(loss);
}

/* (logits, labels, probabilities, sample_weight, hessian, grad, hess, num_threads) */
static PyObject *py_grad_hess(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    struct fsm_job job = {.divisor = 1};
    size_t threads;
    int type;
    (void)self;
    if (fsm_count_is(count, 8) < 0 || take_targets(&job, args[0], args[1], args[2], Py_None, &type) < 0 ||
        take(&job, args[3], "sample_weight", 2, NPY_DOUBLE, 0, &job.sample_weight) < 0 ||
        take(&job, args[5], "grad", 3, type, 1, &job.out) < 0 ||
        take(&job, args[6], "hess", 3, type, 1, &job.hess) < 0 || take_threads(args[7], &threads) < 0)
        return NULL;
    if (job.out.data == NULL || job.hess.data == NULL) return refuse("grad or hess", "missing"), NULL;
    const char *hessian = PyUnicode_AsUTF8(args[4]);
    if (hessian == NULL) return NULL;
    if (strcmp(hessian, "xgboost") == 0)
        job.hessian = FSM_HESSIAN_XGBOOST;
    else if (strcmp(hessian, "lightgbm") == 0)
        job.hessian = FSM_HESSIAN_LIGHTGBM;
    else if (strcmp(hessian, "exact") != 0)
        return refuse("hessian", "unknown"), NULL;
    if (fsm_call(&job, FSM_OPERATION_grad_hess, threads, NULL, NULL) < 0) return NULL;
    Py_RETURN_NONE;
}

/* A few float64 a sample. */
static int take_numbers(struct fsm_job *job, PyObject *object, const char *name, npy_intp count, int writeable) {
    PyArrayObject *array = plain_array(object, name, 3, writeable);
    if (array == NULL) return -1;
    if (PyArray_TYPE(array) != NPY_DOUBLE) return refuse(name, "not float64");
    if ((size_t)PyArray_DIM(array, 0) != job->outer || (size_t)PyArray_DIM(array, 1) != job->inner ||
        PyArray_DIM(array, 2) != count)
        return refuse(name, "of the wrong shape");
    job->numbers = view_of(array, 1);
    return 0;
}

/* (x, targets, state, num_threads) */
static PyObject *py_partial_state(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    struct fsm_job job = {.want_loss = 1};
    size_t threads;
    int type;
    (void)self;
    if (fsm_count_is(count, 4) < 0 || take_first(&job, args[0], "x", &job.input, &type) < 0 ||
        take(&job, args[1], "targets", 3, type, 0, &job.other) < 0 ||
        take_numbers(&job, args[2], "state", 8, 1) < 0 || take_threads(args[3], &threads) < 0)
        return NULL;
    if (fsm_call(&job, FSM_OPERATION_partial_state, threads, NULL, NULL) < 0) return NULL;
    Py_RETURN_NONE;
}

/* (x, targets, rows, out, num_threads) */
static PyObject *py_shard_exponentials(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    struct fsm_job job = {0};
    size_t threads;
    int type;
    (void)self;
    if (fsm_count_is(count, 5) < 0 || take_first(&job, args[0], "x", &job.input, &type) < 0 ||
        take(&job, args[1], "targets", 3, type, 0, &job.other) < 0 || take_numbers(&job, args[2], "rows", 5, 0) < 0 ||
        take(&job, args[3], "out", 3, type, 1, &job.out) < 0 || take_threads(args[4], &threads) < 0)
        return NULL;
    if (job.out.data == NULL) return refuse("out", "missing"), NULL;
    if (fsm_call(&job, FSM_OPERATION_shard_exponentials, threads, NULL, NULL) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *instruction_sets(int only_supported) {
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < fsm_instruction_set_count(); i++) {
        const struct fsm_instruction_set *set = fsm_instruction_set_at(i);
        if (only_supported && !set->supported()) continue;
        PyObject *name = PyUnicode_FromString(set->name);
        if (name == NULL || PyList_Append(list, name) < 0) Py_CLEAR(list);
        Py_XDECREF(name);
    }
    PyObject *tuple = list == NULL ? NULL : PyList_AsTuple(list);
    Py_XDECREF(list);
    return tuple;
}

static PyObject *py_instruction_sets(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    return instruction_sets(1);
}
static PyObject *py_built_instruction_sets(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    return instruction_sets(0);
}
static PyObject *py_instruction_set(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    return PyUnicode_FromString(fsm_instruction_set_in_use()->name);
}

/* The build says them; whoever only looks at this file need not. */
#ifndef FSM_COMPILER
#define FSM_COMPILER "unknown"
#endif
#ifndef FSM_FLAGS
#define FSM_FLAGS ""
#endif
static PyObject *py_build(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    return Py_BuildValue("{s:s,s:s}", "compiler", FSM_COMPILER, "flags", FSM_FLAGS);
}

static PyObject *py_use_instruction_set(PyObject *self, PyObject *argument) {
    const char *previous = fsm_instruction_set_in_use()->name;
    const char *name = PyUnicode_AsUTF8(argument);
    (void)self;
    if (name == NULL) return NULL;
    if (fsm_use_instruction_set(name) < 0) {
        PyObject *known = instruction_sets(1);
        if (known != NULL)
            PyErr_Format(PyExc_ValueError, "instruction set %R is not one that this build and CPU have: %R", argument,
                         known);
        Py_XDECREF(known);
        return NULL;
    }
    return PyUnicode_FromString(previous);
}

/* Handlers as jax.ffi.register_ffi_target takes them, by name. */
static PyObject *py_xla_targets(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < fsm_xla_target_count; i++) {
        PyObject *capsule = PyCapsule_New((void *)(uintptr_t)fsm_xla_targets[i].handler, NULL, NULL);
        if (capsule == NULL || PyDict_SetItemString(dict, fsm_xla_targets[i].name, capsule) < 0) Py_CLEAR(dict);
        Py_XDECREF(capsule);
    }
    return dict;
}

#define FASTCALL(name, doc) {#name, (PyCFunction)(void (*)(void))py_##name, METH_FASTCALL, doc}
#define PLAIN(name)                                                                                                  \
    {"plain_" #name, (PyCFunction)(void (*)(void))fsm_plain_##name, METH_FASTCALL,                                   \
     "The public function's result where its arguments are plain, else None; see plain.h."}

static PyMethodDef methods[] = {
    FASTCALL(softmax, "softmax(x, where, out, num_threads)"),
    FASTCALL(log_softmax, "log_softmax(x, where, out, num_threads)"),
    FASTCALL(logsumexp, "logsumexp(x, where, out, num_threads)"),
    FASTCALL(softmax_backward, "softmax_backward(grad_output, output, out, num_threads)"),
    FASTCALL(log_softmax_backward, "log_softmax_backward(grad_output, output, out, num_threads)"),
    FASTCALL(check_labels, "check_labels(labels, num_classes, ignore_index, weight, sample_weight)"),
    FASTCALL(cross_entropy, "cross_entropy(logits, labels, probabilities, weight, sample_weight, ignore_index, "
                            "label_smoothing, divisor, losses, grad, mean_grad, want_loss, num_threads)"),
    FASTCALL(grad_hess, "grad_hess(logits, labels, probabilities, sample_weight, hessian, grad, hess, num_threads)"),
    FASTCALL(partial_state, "partial_state(x, targets, state, num_threads)"),
    FASTCALL(shard_exponentials, "shard_exponentials(x, targets, rows, out, num_threads)"),
    PLAIN(softmax),
    PLAIN(log_softmax),
    PLAIN(logsumexp),
    PLAIN(softmax_backward),
    PLAIN(log_softmax_backward),
    PLAIN(cross_entropy),
    PLAIN(cross_entropy_grad),
    PLAIN(cross_entropy_mean_grad),
    PLAIN(cross_entropy_value_and_grad),
    PLAIN(cross_entropy_value_and_mean_grad),
    PLAIN(exchanged_cross_entropy),
    PLAIN(exchanged_cross_entropy_value_and_grad),
    {"instruction_sets", py_instruction_sets, METH_NOARGS, "Names of those built in that this CPU runs, best first."},
    {"built_instruction_sets", py_built_instruction_sets, METH_NOARGS, "Names of those built in, best first."},
    {"instruction_set", py_instruction_set, METH_NOARGS, "Name of the one in use."},
    {"build", py_build, METH_NOARGS,
     "The compiler, and the flags of all files: those of instruction sets are others."},
    {"use_instruction_set", py_use_instruction_set, METH_O,
     "Sets the one in use; returns the name of the one before."},
    {"in_default_environment", (PyCFunction)(void (*)(void))fsm_call_in_default_environment,
     METH_FASTCALL | METH_KEYWORDS,
     "in_default_environment(function, *args, **kwargs): what it returns, called in the default floating-point "
     "environment."},
    {"xla_targets", py_xla_targets, METH_NOARGS, "The custom calls for XLA, by name; see xla.h."},
    {NULL, NULL, 0, NULL}};

/* A library that is loaded already is taken for every module that names it, also from another copy of the package. */
static int check_library(void) {
    if (strcmp(fsm_build(), FSM_BUILD) == 0) return 0;
    PyErr_SetString(PyExc_ImportError,
                    "this process has loaded another version of the library fastsoftmax already, of another copy of "
                    "this package or for a program that is linked with it: have a single version of it installed");
    return -1;
}

static int execute(PyObject *module) {
    if (check_library() < 0) return -1;
    if (PyArray_ImportNumPyAPI() < 0 || fsm_arrays_setup() < 0 || fsm_add_c_api(module) < 0) return -1;
    if (fsm_setup() == 0) return 0;
    PyObject *known = instruction_sets(1);
    if (known != NULL)
        PyErr_Format(PyExc_ValueError,
                     "FASTSOFTMAX_ISA=%s is not an instruction set that this build and CPU have: %R",
                     getenv("FASTSOFTMAX_ISA"), known);
    Py_XDECREF(known);
    return -1;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute},
#ifdef Py_MOD_PER_INTERPRETER_GIL_SUPPORTED
                                   {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#ifdef Py_MOD_GIL_NOT_USED
                                   {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
                                   {0, NULL}};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "fastsoftmax._c",
    .m_doc = "The C kernels on checked arrays.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__c(void);
PyMODINIT_FUNC PyInit__c(void) { return PyModuleDef_Init(&definition); }
