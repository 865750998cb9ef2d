/* Shards that have all classes: their state, and what it makes of the logits. */
#ifndef FSM_TEST_SHARDS_H
#define FSM_TEST_SHARDS_H

#include "calls.h"
#include "job.h"

int is_of_shards(const struct task *task);

/* Runs a job whose state is that of all classes; losses go to the results. As fsm_run, or ENVIRONMENT_CHANGED. */
int run_shard(const struct fsm_job *job, const struct task *task, const struct call *call,
              const struct format *format, struct results *results);

#endif
