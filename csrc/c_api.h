/* The public C functions for those who come by way of Python. */
#ifndef FSM_C_API_H
#define FSM_C_API_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Adds C_API and __pyx_capi__ to a module; -1 with an error raised. */
int fsm_add_c_api(PyObject *module);

#endif
