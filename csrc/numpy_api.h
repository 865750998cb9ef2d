/* NumPy's C API, which the files of the extension module share: module.c alone defines FSM_IMPORTS_NUMPY. */
#ifndef FSM_NUMPY_API_H
#define FSM_NUMPY_API_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL fsm_numpy_api
#ifndef FSM_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#endif
