/* Linked with --wrap for each of these functions, so that the library's calls come here. */
#include "refusals.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static struct {
    atomic_int requests, first, on;
} order;
static struct requests counts[2]; /* refused, granted */

static void start(int first, int on) {
    memset(counts, 0, sizeof counts);
    order.requests = 0;
    order.first = first;
    order.on = on;
}

void refuse_from(int first, int on) { start(first, on); }
void refuse_nothing(void) { start(0, 0); }
struct requests refused(void) { return counts[0]; }
struct requests granted(void) { return counts[1]; }

static int is_granted(ptrdiff_t kind) {
    const int number = ++order.requests, first = order.first;
    const int grant = first == 0 || (order.on ? number < first : number != first);
    ++*(int *)((char *)&counts[grant] + kind);
    return grant;
}

#define MEMORY offsetof(struct requests, memory)
#define FILES offsetof(struct requests, files)
#define CPU_SETS offsetof(struct requests, cpu_sets)
#define THREADS offsetof(struct requests, threads)
#define FORK_HANDLERS offsetof(struct requests, fork_handlers)

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes) { return is_granted(MEMORY) ? __real_malloc(bytes) : NULL; }

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes) { return is_granted(MEMORY) ? __real_calloc(count, bytes) : NULL; }

void *__real_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes) { return is_granted(MEMORY) ? __real_realloc(old, bytes) : NULL; }

void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return is_granted(MEMORY) ? __real_aligned_alloc(alignment, bytes) : NULL;
}

int __real_posix_memalign(void **memory, size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes) {
    return is_granted(MEMORY) ? __real_posix_memalign(memory, alignment, bytes) : 12; /* ENOMEM */
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode) { return is_granted(FILES) ? __real_fopen(path, mode) : NULL; }

/* What CPU_ALLOC calls. */
cpu_set_t *__real___sched_cpualloc(size_t cpus);
cpu_set_t *__wrap___sched_cpualloc(size_t cpus);
cpu_set_t *__wrap___sched_cpualloc(size_t cpus) {
    return is_granted(CPU_SETS) ? __real___sched_cpualloc(cpus) : NULL;
}

typedef void *thread_start(void *argument);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, thread_start *start, void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, thread_start *start, void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, thread_start *start, void *argument) {
    return is_granted(THREADS) ? __real_pthread_create(thread, attributes, start, argument) : 11; /* EAGAIN */
}

typedef void fork_handler(void);
int __real_pthread_atfork(fork_handler *before, fork_handler *in_parent, fork_handler *in_child);
int __wrap_pthread_atfork(fork_handler *before, fork_handler *in_parent, fork_handler *in_child);
int __wrap_pthread_atfork(fork_handler *before, fork_handler *in_parent, fork_handler *in_child) {
    return is_granted(FORK_HANDLERS) ? __real_pthread_atfork(before, in_parent, in_child) : 12;
}
