/* Arrays as plain calls take them: NumPy's, or those of a library with DLPack's table of C functions. */
#ifndef FSM_ARRAYS_H
#define FSM_ARRAYS_H

#include "numpy_api.h"

#include <stddef.h>

#include "dlpack.h"

enum { FSM_MOST_DIMS = 8 }; /* of an array in a plain call */

/* Elements in C order, aligned and in native byte order. The shape is a copy: whoever has the array too may give it
   another one, and free the old, as soon as the GIL is released. */
struct fsm_array {
    char *data;
    int type, ndim; /* the dtype by NumPy's number */
    npy_intp shape[FSM_MOST_DIMS];
    npy_intp size;
    ptrdiff_t itemsize;
    const struct dlpack_table *library; /* NULL for NumPy */
    struct dlpack_managed *managed;
};

/* A new reference to a dictionary's entry, or NULL, maybe with an error. */
PyObject *fsm_entry_of(PyObject *dict, PyObject *key);

/* What has to be done once, before anything else here. 0, or -1 with an error raised. */
int fsm_arrays_setup(void);

/* Returns 1, or 0 where the object is no such array; no error is raised. Whatever was taken is to be left again; an
   array that is all zeros has not been taken. */
int fsm_take_array(PyObject *object, struct fsm_array *array);
void fsm_leave_array(struct fsm_array *array);

/* A new array of the library that `like` is from, with its dtype, and where its elements are; NULL with an error. */
PyObject *fsm_new_array(const struct fsm_array *like, int ndim, const npy_intp *shape, char **data);

#endif
