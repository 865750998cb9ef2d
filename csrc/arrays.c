#include "arrays.h"

#include <stdlib.h>

#include "pages.h"

enum {
    ALIGNMENT = 64,           /* bytes, of new elements */
    HUGE_PAGES_FROM = 1 << 22 /* bytes: from here on NumPy asks for them too */
};

static PyObject *table_name, *is_negated_name;

int fsm_arrays_setup(void) {
    if (table_name == NULL) table_name = PyUnicode_InternFromString(DLPACK_TABLE);
    if (is_negated_name == NULL) is_negated_name = PyUnicode_InternFromString("is_neg");
    return table_name == NULL || is_negated_name == NULL ? -1 : 0;
}

/* NumPy's array itself and no subclass. */
static int take_numpy(PyObject *object, struct fsm_array *array) {
    PyArrayObject *numpy = (PyArrayObject *)object;
    if (!PyArray_ISCARRAY_RO(numpy) || PyArray_NDIM(numpy) > FSM_MOST_DIMS) return 0;
    array->data = PyArray_BYTES(numpy);
    array->type = PyArray_TYPE(numpy);
    array->ndim = PyArray_NDIM(numpy);
    for (int i = 0; i < array->ndim; i++) array->shape[i] = PyArray_DIM(numpy, i);
    array->size = PyArray_SIZE(numpy);
    array->itemsize = (ptrdiff_t)PyArray_ITEMSIZE(numpy);
    array->library = NULL;
    return 1;
}

PyObject *fsm_entry_of(PyObject *dict, PyObject *key) {
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *entry;
    return PyDict_GetItemRef(dict, key, &entry) < 0 ? NULL : entry;
#else
    return Py_XNewRef(PyDict_GetItemWithError(dict, key));
#endif
}

/* The table of the object's type, or NULL. It must be the type's own: a subclass may mean its elements differently.
 */
static const struct dlpack_table *table_of(PyObject *object) {
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *dict = PyType_GetDict(Py_TYPE(object));
#else
    PyObject *dict = Py_XNewRef(Py_TYPE(object)->tp_dict);
#endif
    PyObject *capsule = dict == NULL ? NULL : fsm_entry_of(dict, table_name);
    const struct dlpack_table *table = NULL;
    if (capsule != NULL && PyCapsule_CheckExact(capsule)) table = PyCapsule_GetPointer(capsule, DLPACK_TABLE_CAPSULE);
    Py_XDECREF(capsule); /* the table is the library's and stays */
    Py_XDECREF(dict);
    while (table != NULL && table->version.major > DLPACK_MAJOR) table = table->older;
    return table != NULL && table->version.major == DLPACK_MAJOR ? table : NULL;
}

/* NumPy's number of a dtype that there is a kernel for, or -1. */
static int type_of(struct dlpack_dtype dtype) {
    if (dtype.lanes != 1 || (dtype.bits != 32 && dtype.bits != 64)) return -1;
    if (dtype.kind == DLPACK_FLOAT) return dtype.bits == 32 ? NPY_FLOAT : NPY_DOUBLE;
    if (dtype.kind == DLPACK_INT) return dtype.bits == 32 ? NPY_INT32 : NPY_INT64;
    return -1;
}

/* Returns whether the elements are in C order, and as many as memory can hold. */
static int take_shape(const struct dlpack_tensor *tensor, struct fsm_array *array) {
    const npy_intp most = NPY_MAX_INTP / 16;
    if (tensor->ndim < 0 || tensor->ndim > FSM_MOST_DIMS) return 0;
    array->ndim = tensor->ndim;
    array->size = 1;
    for (int i = tensor->ndim - 1; i >= 0; i--) {
        const int64_t length = tensor->shape[i];
        if (length < 0 || (length > 0 && array->size > most / length)) return 0;
        if (tensor->strides != NULL && length > 1 && tensor->strides[i] != array->size) return 0;
        array->shape[i] = (npy_intp)length;
        array->size *= array->shape[i];
    }
    return 1;
}

static int take_tensor(const struct dlpack_tensor *tensor, struct fsm_array *array) {
    array->type = type_of(tensor->dtype);
    array->itemsize = tensor->dtype.bits / 8;
    array->data = (char *)tensor->data + tensor->byte_offset;
    return array->type >= 0 && tensor->device.type == DLPACK_CPU && take_shape(tensor, array) &&
           (array->size == 0 || tensor->data != NULL) && (uintptr_t)array->data % (size_t)array->itemsize == 0;
}

/* Whether the elements stand for their negatives: PyTorch has such views, of the imaginary part of conjugates. */
static int is_negated(PyObject *object) {
    PyObject *answer = PyObject_CallMethodNoArgs(object, is_negated_name);
    const int negated = answer == NULL ? !PyErr_ExceptionMatches(PyExc_AttributeError) : answer != Py_False;
    Py_XDECREF(answer);
    return negated;
}

int fsm_take_array(PyObject *object, struct fsm_array *array) {
    if (PyArray_CheckExact(object)) return take_numpy(object, array);
    const struct dlpack_table *table = table_of(object);
    struct dlpack_managed *managed = NULL; /* after a failure it may point anywhere */
    if (table != NULL && table->export_object(object, &managed) == 0 && managed != NULL) {
        array->library = table;
        array->managed = managed;
        if (take_tensor(&array->managed->tensor, array) &&
            (PyTypeNum_ISINTEGER(array->type) || !is_negated(object))) {
            PyErr_Clear();
            return 1;
        }
        fsm_leave_array(array);
    }
    PyErr_Clear();
    return 0;
}

void fsm_leave_array(struct fsm_array *array) {
    struct dlpack_managed *managed = array->managed;
    array->managed = NULL;
    if (managed != NULL && managed->deleter != NULL) managed->deleter(managed);
}

/* A tensor of ours, with its lengths and steps and, further on in the same piece of memory, its elements. */
struct own_tensor {
    struct dlpack_managed managed; /* first: the two have the same address */
    int64_t shape[FSM_MOST_DIMS], strides[FSM_MOST_DIMS];
};

static void free_tensor(struct dlpack_managed *managed) { free(managed); }

static struct dlpack_managed *new_tensor(const struct dlpack_tensor *like, int ndim, const npy_intp *shape) {
    const size_t size = (size_t)PyArray_MultiplyList(shape, ndim), bytes = size * (like->dtype.bits / 8u);
    struct own_tensor *own = malloc(sizeof *own + ALIGNMENT + bytes);
    if (own == NULL) return PyErr_NoMemory(), NULL;
    const uintptr_t data = ((uintptr_t)(own + 1) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes >= HUGE_PAGES_FROM) fsm_ask_for_huge_pages((void *)data, bytes);
    own->managed = (struct dlpack_managed){.version = {DLPACK_MAJOR, DLPACK_MINOR},
                                           .deleter = free_tensor,
                                           .tensor = {.data = (void *)data,
                                                      .device = like->device,
                                                      .ndim = ndim,
                                                      .dtype = like->dtype,
                                                      .shape = own->shape,
                                                      .strides = own->strides}};
    int64_t step = 1;
    for (int i = ndim - 1; i >= 0; i--) {
        own->shape[i] = shape[i];
        own->strides[i] = step;
        step *= shape[i];
    }
    return &own->managed;
}

PyObject *fsm_new_array(const struct fsm_array *like, int ndim, const npy_intp *shape, char **data) {
    if (like->library == NULL) {
        PyObject *array = PyArray_SimpleNew(ndim, shape, like->type);
        if (array != NULL) *data = PyArray_BYTES((PyArrayObject *)array);
        return array;
    }
    struct dlpack_managed *managed = new_tensor(&like->managed->tensor, ndim, shape);
    if (managed == NULL) return NULL;
    void *object;
    *data = managed->tensor.data;
    return like->library->to_object(managed, &object) == 0 ? object : NULL;
}
