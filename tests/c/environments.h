/* Calls of the kernels from threads that have chosen another floating-point environment than the default. */
#ifndef FSM_TEST_ENVIRONMENTS_H
#define FSM_TEST_ENVIRONMENTS_H

#include "run.h"

enum { ENVIRONMENT_CHANGED = 2 };

/* fsm_run in environment number `number`, of which 0 is the default and any larger one stands for another: a rounding
   mode, or subnormal numbers flushed to 0. As fsm_run, or ENVIRONMENT_CHANGED where it was not as before afterwards.
 */
int run_in_environment(size_t number, struct fsm_job *job, enum fsm_operation operation, size_t threads, double *loss,
                       double *mean_grad);

#endif
