/* Runs an operation over all samples of a job: cuts them into chunks, gives each thread its memory, adds up. */
#ifndef FSM_RUN_H
#define FSM_RUN_H

#include "dispatch.h"

/* Returns 0, or -1 where there is no memory, in which case nothing was written. *loss (unless NULL) receives the
   sum of the losses divided by the divisor, mean_grad (unless NULL) the gradient's sum over the samples. The caller's
   floating-point environment may be any, and is as before afterwards. */
FSM_SHARED int fsm_run(struct fsm_job *job, enum fsm_operation operation, size_t threads, double *loss,
                       double *mean_grad);

/* The same, for callers that have entered the default environment already. */
FSM_SHARED int fsm_run_in_default_environment(struct fsm_job *job, enum fsm_operation operation, size_t threads,
                                              double *loss, double *mean_grad);

#endif
