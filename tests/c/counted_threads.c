#include "counted_threads.h"

#define fsm_parallel parallel_uncounted
#define fsm_threads_are_near threads_are_near_by_the_clock
#include "threads.c"
#undef fsm_parallel
#undef fsm_threads_are_near

static size_t offered;

size_t offered_items(void) { return offered; }

void fsm_parallel(fsm_task *task, void *context, size_t items, size_t threads);
void fsm_parallel(fsm_task *task, void *context, size_t items, size_t threads) {
    if (threads > 1 && items > 1) offered += items;
    parallel_uncounted(task, context, items, threads);
}

/* What is shared must not depend on when the call before was. */
int fsm_threads_are_near(void);
int fsm_threads_are_near(void) { return 1; }
