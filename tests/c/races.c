/* Many threads at once: races [--rounds N]

   They share inputs, outputs of which each writes other samples, the pool of threads, the instruction set in use and
   what is found out at first; and processes fork in the middle. Whatever comes of it must have the bits that one
   thread alone gives. Exits with 1 where it has not; what a sanitizer for threads finds is its own to say. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dispatch.h"
#include "fastsoftmax.h"
#include "shared_calls.h"
#include "threads.h"

enum { THREADS = 6, MOST_SETS = 8, FIRST_CHILDREN = 24, FORKS = 6, WATCHDOG = 300 /* seconds */ };

/* The sanitizer starts no threads in a process that came from one with several. */
#if defined(__SANITIZE_THREAD__)
#define CHILD_IS_ALONE 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHILD_IS_ALONE 1
#endif
#endif
#ifndef CHILD_IS_ALONE
#define CHILD_IS_ALONE 0
#endif

/* By instruction set: what one thread alone writes. */
static char *expected[MOST_SETS][SHARED_CALLS];
static atomic_size_t calls_made, wrong;
static size_t rounds = 3;
static int is_alone; /* calls have one thread each */

static void must(int holds, const char *what) {
    if (holds) return;
    perror(what);
    exit(2);
}

static char *new_results(size_t number) {
    char *results = calloc(1, result_bytes(&shared_calls[number]));
    must(results != NULL, "memory");
    return results;
}

static void fail(const char *phase, const char *what) {
    fprintf(stderr, "%s: %s: WRONG\n", phase, what);
    atomic_fetch_add(&wrong, 1);
}

/* --- threads that begin together -------------------------------------------------------------- */

struct thread {
    void (*body)(size_t number, void *context);
    size_t number;
    void *context;
    pthread_barrier_t *begin;
};

static void *begin_together(void *argument) {
    const struct thread *thread = argument;
    pthread_barrier_wait(thread->begin);
    thread->body(thread->number, thread->context);
    return NULL;
}

static void at_once(size_t count, void (*body)(size_t number, void *context), void *context) {
    pthread_barrier_t begin;
    pthread_t started[THREADS];
    struct thread threads[THREADS];
    must(pthread_barrier_init(&begin, NULL, (unsigned)count) == 0, "barrier");
    for (size_t i = 0; i < count; i++) {
        threads[i] = (struct thread){body, i, context, &begin};
        must(pthread_create(&started[i], NULL, begin_together, &threads[i]) == 0, "thread");
    }
    for (size_t i = 0; i < count; i++) pthread_join(started[i], NULL);
    pthread_barrier_destroy(&begin);
}

/* --- the bits of one thread alone ------------------------------------------------------------- */

static void use(size_t set) {
    must(fsm_use_instruction_set(fsm_instruction_set_at(set)->name) == 0, "instruction set");
}

static int is_supported(size_t set) { return fsm_instruction_set_at(set)->supported(); }

static size_t best_set(void) {
    for (size_t set = 0;; set++)
        if (is_supported(set)) return set;
}

static void find_expected(void) {
    must(fsm_instruction_set_count() <= MOST_SETS, "room for the instruction sets");
    for (size_t set = 0; set < fsm_instruction_set_count(); set++) {
        if (!is_supported(set)) continue;
        use(set);
        for (size_t i = 0; i < SHARED_CALLS; i++) {
            expected[set][i] = new_results(i);
            must(make_shared_call(i, 0, shared_calls[i].samples, 1, expected[set][i]) == 0, shared_calls[i].name);
        }
    }
    use(best_set());
}

/* A whole call into `results`, compared with one set's or, where all may be in use, with any one's. */
static void check_call(const char *phase, size_t number, size_t threads, int any_set, char *results) {
    const struct shared_call *call = &shared_calls[number];
    const size_t bytes = result_bytes(call), first = best_set();
    int is_right = 0;
    memset(results, 0xff, bytes);
    if (make_shared_call(number, 0, call->samples, threads, results) != 0) fail(phase, "a status");
    for (size_t set = first; set < (any_set ? fsm_instruction_set_count() : first + 1); set++)
        is_right |= expected[set][number] != NULL && memcmp(results, expected[set][number], bytes) == 0;
    if (!is_right) fail(phase, call->name);
    atomic_fetch_add(&calls_made, 1);
}

/* Each thread begins with another call, and has another number of threads each time; 0 is the default. */
static void check_calls(const char *phase, size_t thread, int any_set) {
    static const size_t wanted[] = {2, 3, 0, 1, 7};
    for (size_t i = 0; i < SHARED_CALLS; i++) {
        const size_t number = (i + 5 * thread) % SHARED_CALLS;
        char *results = new_results(number);
        check_call(phase, number, is_alone ? 1 : wanted[(i + thread) % 5], any_set, results);
        free(results);
    }
}

/* --- what is shared --------------------------------------------------------------------------- */

static void share_inputs(size_t thread, void *unused) {
    (void)unused;
    for (size_t i = 0; i < rounds; i++) check_calls("shared inputs", thread, 0);
}

struct shared_output {
    size_t number;
    char *results;
};

/* Threads take turns by pieces of samples, which end anywhere in a line of the caches, and in a vector. */
static void share_output(size_t thread, void *context) {
    const struct shared_output *shared = context;
    const size_t samples = shared_calls[shared->number].samples, piece = samples / 40 + 1;
    for (size_t begin = thread * piece; begin < samples; begin += THREADS * piece) {
        const size_t count = samples - begin < piece ? samples - begin : piece;
        if (make_shared_call(shared->number, begin, count, 1 + thread % 3, shared->results) != 0)
            fail("shared outputs", "a status");
    }
}

static void share_outputs(void) {
    for (size_t i = 0; i < SHARED_CALLS; i++) {
        struct shared_output shared = {i, new_results(i)};
        if (is_by_sample(&shared_calls[i])) {
            at_once(THREADS, share_output, &shared);
            if (memcmp(shared.results, expected[best_set()][i], result_bytes(&shared_calls[i])) != 0)
                fail("shared outputs", shared_calls[i].name);
            atomic_fetch_add(&calls_made, 1);
        }
        free(shared.results);
    }
}

/* The first two threads switch as fast as they can, until the others are done. */
static void share_instruction_sets(size_t thread, void *context) {
    atomic_size_t *left = context;
    if (thread >= 2) {
        for (size_t i = 0; i < rounds; i++) check_calls("instruction sets switched", thread, 1);
        atomic_fetch_sub(left, 1);
        return;
    }
    for (size_t i = thread; atomic_load(left) > 0; i++) {
        if (is_supported(i % fsm_instruction_set_count())) use(i % fsm_instruction_set_count());
        if (fastsoftmax_instruction_set() == NULL) fail("instruction sets switched", "no name");
        sched_yield();
    }
}

/* --- the pool itself -------------------------------------------------------------------------- */

enum { MOST_ITEMS = 300, INNER_ITEMS = 5 };

struct counted {
    unsigned done[MOST_ITEMS];
    size_t threads;
    atomic_size_t inner;
};

static void count_inner(void *context, size_t item, size_t worker) {
    (void)item, (void)worker;
    atomic_fetch_add((atomic_size_t *)context, 1);
}

/* Not atomic: each item is one thread's, once. Calls within calls, and a worker's number that nobody else has. */
static void count_item(void *context, size_t item, size_t worker) {
    struct counted *counted = context;
    counted->done[item]++;
    if (worker >= counted->threads) fail("items", "a worker's number");
    if (item % 7 == 0) fsm_parallel(count_inner, &counted->inner, INNER_ITEMS, 4);
}

static void count_items(size_t thread, void *unused) {
    (void)unused;
    for (size_t i = 0; i < 40 * rounds; i++) {
        const size_t items = (37 * i + 101 * thread) % MOST_ITEMS;
        struct counted counted = {{0}, 1 + (i + thread) % 5, 0};
        fsm_parallel(count_item, &counted, items, counted.threads);
        for (size_t k = 0; k < MOST_ITEMS; k++)
            if (counted.done[k] != (k < items)) fail("items", "not once each");
        if (counted.inner != (items + 6) / 7 * INNER_ITEMS) fail("items", "calls within calls");
        atomic_fetch_add(&calls_made, 1);
    }
}

/* --- processes -------------------------------------------------------------------------------- */

static int status_of(pid_t child) {
    int status;
    must(waitpid(child, &status, 0) == child, "child");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What a thread has chosen, no other undoes that only comes to find out what there is. */
static void use_first(size_t thread, void *context) {
    const size_t last = fsm_instruction_set_count() - 1;
    char *results = context;
    if (thread == 0) {
        if (fastsoftmax_instruction_set() == NULL) fail("first use", "no instruction set");
        use(last);
        if (fsm_instruction_set_in_use() != fsm_instruction_set_at(last)) fail("first use", "undone");
    } else if (thread < 4) {
        if (fastsoftmax_instruction_set() == NULL || fastsoftmax_num_threads() != 3) fail("first use", "settings");
    } else if (make_shared_call(0, 0, shared_calls[0].samples, 0,
                                results + (thread - 4) * result_bytes(&shared_calls[0])) != 0) {
        fail("first use", "a status");
    }
}

/* In a process that has called nothing yet, half of them with an instruction set named in the environment. */
static void use_first_in_children(void) {
    const size_t bytes = result_bytes(&shared_calls[0]), last = fsm_instruction_set_count() - 1;
    for (size_t i = 0; i < FIRST_CHILDREN * rounds; i++) {
        const pid_t child = fork();
        must(child >= 0, "fork");
        if (child > 0) {
            if (status_of(child) != 0) fail("first use", "a child");
            atomic_fetch_add(&calls_made, THREADS);
            continue;
        }
        alarm(WATCHDOG);
        if (i % 2) setenv("FASTSOFTMAX_ISA", fsm_instruction_set_at(best_set())->name, 1);
        char *results = malloc((THREADS - 4) * bytes);
        must(results != NULL, "memory");
        at_once(THREADS, use_first, results);
        if (fsm_instruction_set_in_use() != fsm_instruction_set_at(last)) fail("first use", "undone");
        free(results);
        exit(wrong > 0);
    }
}

static void fork_meanwhile(size_t thread, void *context) {
    atomic_size_t *left = context;
    if (thread > 0) {
        while (atomic_load(left) > 0) check_calls("while others fork", thread, 0);
        return;
    }
    for (size_t i = 0; i < FORKS * rounds; i++) {
        const pid_t child = fork();
        must(child >= 0, "fork");
        if (child == 0) {
            alarm(WATCHDOG);
            atomic_store(&wrong, 0);
            is_alone = CHILD_IS_ALONE;
            check_calls("in a child", i, 0);
            _exit(atomic_load(&wrong) > 0);
        }
        if (status_of(child) != 0) fail("while others fork", "a child");
    }
    atomic_store(left, 0);
}

/* --- all of it -------------------------------------------------------------------------------- */

static void report(const char *phase) {
    printf("%-28s %6zu calls, %zu wrong\n", phase, atomic_exchange(&calls_made, 0), atomic_load(&wrong));
}

static void run_all(void) {
    atomic_size_t left = THREADS - 2, forking = 1;
    use_first_in_children();
    report("first use");
    find_expected();
    share_inputs(0, NULL);
    report("one caller");
    at_once(THREADS, share_inputs, NULL);
    report("shared inputs");
    for (size_t i = 0; i < rounds; i++) share_outputs();
    report("shared outputs");
    at_once(THREADS, share_instruction_sets, &left);
    use(best_set());
    report("instruction sets switched");
    at_once(THREADS, count_items, NULL);
    report("items of the pool");
    at_once(3, fork_meanwhile, &forking);
    report("while others fork");
}

int main(int count, char **arguments) {
    if (count == 3 && strcmp(arguments[1], "--rounds") == 0) rounds = strtoul(arguments[2], NULL, 10);
    if ((count != 1 && count != 3) || rounds == 0) {
        fprintf(stderr, "usage: %s [--rounds N]\n", arguments[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    setenv("FASTSOFTMAX_NUM_THREADS", "3", 1);
    unsetenv("FASTSOFTMAX_ISA");
    must(make_inputs() == 0, "memory");
    run_all();
    printf(wrong == 0 ? "all passed\n" : "FAILED\n");
    return wrong == 0 ? 0 : 1;
}
