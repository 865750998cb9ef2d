/* Memory that begins with a cache line. */
#ifndef FSM_ALIGNED_H
#define FSM_ALIGNED_H

#include <stddef.h>
#include <stdlib.h>

enum { FSM_CACHE_LINE = 64 };

#if defined(_WIN32)

#include <malloc.h>

static inline void *fsm_new_lines(size_t bytes) { return _aligned_malloc(bytes, FSM_CACHE_LINE); }
static inline void fsm_free_lines(void *memory) { _aligned_free(memory); }

#else

/* `bytes` are whole lines. */
static inline void *fsm_new_lines(size_t bytes) { return aligned_alloc(FSM_CACHE_LINE, bytes); }
static inline void fsm_free_lines(void *memory) { free(memory); }

#endif

#endif
