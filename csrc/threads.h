/* A small pool of threads that sleep between calls. */
#ifndef FSM_THREADS_H
#define FSM_THREADS_H

#include <stddef.h>

/* Does item number `item`; `worker` is below the number of threads and no two threads share it. */
typedef void fsm_task(void *context, size_t item, size_t worker);

/* Does items 0 ... items - 1, each once, on up to `threads` threads of which the caller is one, and returns when all
   are done. Where the pool is at work for another caller, or no thread can be started, the caller does
   them all. */
void fsm_parallel(fsm_task *task, void *context, size_t items, size_t threads);

/* Whether handing out work costs little: threads of the pool are looking for it, or work that they could have shared
   ended just before, so that they will be when the next comes. */
int fsm_threads_are_near(void);
void fsm_threads_note_end(void);

/* Lets others run, in a loop that waits for another thread of the pool. */
void fsm_thread_yield(void);

/* Registers what keeps the pool whole across fork, before the first fsm_parallel. It is done when any call returns.
 */
void fsm_threads_setup(void);

#endif
