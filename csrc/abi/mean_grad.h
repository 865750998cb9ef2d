/* The mean gradient is summed in float64, and rounded once to where the caller wants it. */
#ifndef FSM_MEAN_GRAD_H
#define FSM_MEAN_GRAD_H

#include "job.h"

enum { FSM_SMALL_MEAN_GRAD = 256 };

size_t fsm_storage_bytes(enum fsm_storage storage);

/* Where to put the sums: the caller's memory if it is of float64, else `small` or new memory; NULL if there is none.
 */
double *fsm_open_mean_grad(const struct fsm_job *job, void *mean_grad, double *small);

/* Rounds the sums to the caller's memory, if they are `valid`, and frees what was allocated. */
void fsm_close_mean_grad(const struct fsm_job *job, void *mean_grad, double *sums, double *small, int valid);

#endif
