#include "setup.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "cpu_count.h"
#include "dispatch.h"
#include "threads.h"

const char *fsm_build(void) { return FSM_BUILD; }

/* Threads that come here at once all do the same, and one that comes late does not undo what others have chosen. */
int fsm_setup(void) {
    static atomic_int done;
    if (atomic_load_explicit(&done, memory_order_acquire)) return 0;
    const char *name = getenv("FASTSOFTMAX_ISA");
    if (name != NULL && *name != 0 && fsm_use_instruction_set_at_first(name) < 0) return -1;
    fsm_threads_setup();
    atomic_store_explicit(&done, 1, memory_order_release);
    return 0;
}

enum { MOST_THREADS = 1024 }; /* more are never started, whatever is asked for */

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* A number of at least 1 without a sign, maybe between spaces; else 0. */
static size_t number_in(const char *text) {
    size_t number = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        number = 10 * number + (size_t)(*text - '0');
        if (number > MOST_THREADS) number = MOST_THREADS;
    }
    while (is_space(*text)) text++;
    return *text == 0 ? number : 0;
}

static size_t find_default_threads(void) {
    const char *text = getenv("FASTSOFTMAX_NUM_THREADS");
    while (text != NULL && is_space(*text)) text++;
    return text != NULL && *text != 0 ? number_in(text) : fsm_usable_cpus();
}

size_t fsm_default_threads(void) {
    static atomic_size_t found;
    size_t threads = atomic_load_explicit(&found, memory_order_relaxed);
    if (threads == 0) {
        threads = find_default_threads();
        atomic_store_explicit(&found, threads, memory_order_relaxed);
    }
    return threads;
}
