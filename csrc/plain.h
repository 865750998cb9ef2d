/* Plain calls: the public functions' arguments as their caller gave them, where there is nothing to prepare. */
#ifndef FSM_PLAIN_H
#define FSM_PLAIN_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Each returns what the public function of that name returns, or None where a call is not plain or not for this
   backend; nothing has been written then, and the package goes its full way. */
#define FSM_PLAIN_FUNCTION(name) PyObject *fsm_plain_##name(PyObject *self, PyObject *const *args, Py_ssize_t count)

/* (x, axis, where, out, backend, num_threads, settings); logsumexp has keepdims after axis. The settings are
   _control.SETTINGS. */
FSM_PLAIN_FUNCTION(softmax);
FSM_PLAIN_FUNCTION(log_softmax);
FSM_PLAIN_FUNCTION(logsumexp);

/* (grad_output, output, axis, out, backend, num_threads, settings) */
FSM_PLAIN_FUNCTION(softmax_backward);
FSM_PLAIN_FUNCTION(log_softmax_backward);

/* (logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing, reduction, out, backend, num_threads,
   settings) */
FSM_PLAIN_FUNCTION(cross_entropy);
FSM_PLAIN_FUNCTION(cross_entropy_grad);
FSM_PLAIN_FUNCTION(cross_entropy_mean_grad);
FSM_PLAIN_FUNCTION(cross_entropy_value_and_grad);
FSM_PLAIN_FUNCTION(cross_entropy_value_and_mean_grad);

/* The same for logits of a library that exchanges arrays by DLPack's table of C functions: loss and gradient are
   arrays of that library too. After the settings comes a tuple of functions; where one of them returns what is true,
   the library is to know of every step, and the call is not plain. */
FSM_PLAIN_FUNCTION(exchanged_cross_entropy);
FSM_PLAIN_FUNCTION(exchanged_cross_entropy_value_and_grad);

#endif
