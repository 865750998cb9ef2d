/* Functions of the forms that SciPy calls without Python, as scipy.LowLevelCallable: scipy.integrate's integrands and
   scipy.ndimage's filters. They work in the calling thread. */
#ifndef FSM_CALLBACKS_H
#define FSM_CALLBACKS_H

#include <stdint.h>

#define FSM_OF_VECTOR "double (int, double *, void *)"
#define FSM_FILTER "int (double *, intptr_t, double *, void *)"
#define FSM_FILTER1D "int (double *, intptr_t, double *, intptr_t, void *)"

/* Of a vector of n logits; NaN where that has no value. The label is *(int64_t *)user_data, or 0 without it. */
double fsm_vector_logsumexp(int n, double *x, void *user_data);
double fsm_vector_cross_entropy(int n, double *x, void *user_data);

/* For generic_filter and generic_filter1d; 1, or 0 on an error. Along a line, logsumexp of each window of
   n - out_n + 1 numbers; softmax of the first out_n numbers, which are all with filter_size=1. */
int fsm_filter_logsumexp(double *window, intptr_t n, double *out, void *user_data);
int fsm_filter1d_logsumexp(double *line, intptr_t n, double *out, intptr_t out_n, void *user_data);
int fsm_filter1d_softmax(double *line, intptr_t n, double *out, intptr_t out_n, void *user_data);
int fsm_filter1d_log_softmax(double *line, intptr_t n, double *out, intptr_t out_n, void *user_data);

#endif
