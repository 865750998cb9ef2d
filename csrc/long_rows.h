/* Few long rows: the threads share each of them, part by part. */
#ifndef FSM_LONG_ROWS_H
#define FSM_LONG_ROWS_H

#include "dispatch.h"

struct fsm_long_rows {
    const struct fsm_job *job;
    const struct fsm_kernels *kernels;
    enum fsm_operation operation;
    size_t samples, threads;
    void *memory; /* fsm_long_rows_size(...) bytes */
    double *mean; /* hi and lo of the total and of a chunk, if there is a mean gradient */
};

/* Whether the threads are to share rows. The bits are the same either way. job->chunk_samples is known. */
int fsm_shares_rows(const struct fsm_job *job, enum fsm_operation operation, size_t samples, size_t threads);

size_t fsm_long_rows_size(const struct fsm_job *job, const struct fsm_kernels *kernels, size_t samples);

/* All of the operation but the totals over the chunks' losses. */
void fsm_run_long_rows(const struct fsm_long_rows *rows);

#endif
