/* Runs a job on behalf of Python: with or without the GIL, errors raised. */
#ifndef FSM_CALL_H
#define FSM_CALL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "labels.h"
#include "run.h"

/* 0, or -1 with TypeError raised where the number of arguments is wrong. */
int fsm_count_is(Py_ssize_t given, Py_ssize_t wanted);

/* fsm_run; where that returns -1, MemoryError is raised. */
int fsm_call(struct fsm_job *job, enum fsm_operation operation, size_t threads, double *loss, double *mean_grad);

struct fsm_label_summary fsm_call_check_labels(const struct fsm_job *job);

/* Calls the first argument with all that follow it, in the default floating-point environment. */
PyObject *fsm_call_in_default_environment(PyObject *self, PyObject *const *args, Py_ssize_t count,
                                          PyObject *keywords);

#endif
