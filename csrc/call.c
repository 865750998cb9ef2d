#include "call.h"

#include "environment.h"

int fsm_count_is(Py_ssize_t given, Py_ssize_t wanted) {
    if (given == wanted) return 0;
    PyErr_Format(PyExc_TypeError, "takes %zd arguments, got %zd", wanted, given);
    return -1;
}

/* Elements, or labels to check: below this, a few microseconds' work, others may wait. Giving the GIL up and taking
   it back would cost a small problem more than the work does, and much more where another thread gets in between. */
enum { WORTH_THE_GIL = 4096 };

int fsm_call(struct fsm_job *job, enum fsm_operation operation, size_t threads, double *loss, double *mean_grad) {
    int status;
    if (job->outer * job->inner * job->classes < WORTH_THE_GIL) {
        status = fsm_run(job, operation, threads, loss, mean_grad);
    } else {
        Py_BEGIN_ALLOW_THREADS
        status = fsm_run(job, operation, threads, loss, mean_grad);
        Py_END_ALLOW_THREADS
    }
    if (status < 0) PyErr_NoMemory();
    return status;
}

struct fsm_label_summary fsm_call_check_labels(const struct fsm_job *job) {
    struct fsm_label_summary summary;
    if (job->outer * job->inner < WORTH_THE_GIL) return fsm_check_labels(job);
    Py_BEGIN_ALLOW_THREADS
    summary = fsm_check_labels(job);
    Py_END_ALLOW_THREADS
    return summary;
}

PyObject *fsm_call_in_default_environment(PyObject *self, PyObject *const *args, Py_ssize_t count,
                                          PyObject *keywords) {
    (void)self;
    if (count < 1) return PyErr_SetString(PyExc_TypeError, "nothing to call"), NULL;
    const struct fsm_environment found = fsm_enter_environment();
    PyObject *result = PyObject_Vectorcall(args[0], args + 1, (size_t)(count - 1), keywords);
    fsm_leave_environment(found);
    return result;
}
