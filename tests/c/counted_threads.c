#include "counted_threads.h"

#define fsm_parallel parallel_uncounted
#include "threads.c"
#undef fsm_parallel

static size_t offered;

size_t offered_items(void) { return offered; }

void fsm_parallel(fsm_task *task, void *context, size_t items, size_t threads);
void fsm_parallel(fsm_task *task, void *context, size_t items, size_t threads) {
    if (threads > 1 && items > 1) offered += items;
    parallel_uncounted(task, context, items, threads);
}
