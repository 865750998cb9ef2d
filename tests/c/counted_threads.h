/* csrc/threads.c, which is part of it, with a count. */
#ifndef FSM_TEST_COUNTED_THREADS_H
#define FSM_TEST_COUNTED_THREADS_H

#include <stddef.h>

/* How many items fsm_parallel has offered to several threads so far. */
size_t offered_items(void);

#endif
