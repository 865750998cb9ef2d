#include "threads.h"

#if defined(_WIN32)

void fsm_parallel(fsm_task *task, void *context, size_t items, size_t threads) {
    (void)threads;
    for (size_t item = 0; item < items; item++) task(context, item, 0);
}

void fsm_threads_note_end(void) {}

int fsm_threads_are_near(void) { return 0; }

void fsm_thread_yield(void) {}

void fsm_threads_setup(void) {}

#else

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "affinity.h"
#include "environment.h"

/* In nanoseconds: a thread looks for something to do for so long before it sleeps, as waking it takes some tens of
   microseconds, and where calls follow each other so closely it pays to have it awake for the next one. */
enum { LOOKING = 200000, JUST_BEFORE = 100000 };

enum { MOST_WORKERS = 255 };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t work_is_there, work_is_done;
    size_t workers;           /* started */
    atomic_size_t generation; /* counts the calls, so that a worker joins each once */
    size_t wanted;            /* workers with a number up to this may join the call */
    atomic_size_t joined;     /* workers in the call now */
    atomic_size_t looking;    /* workers awake without work */
    int open;                 /* whether the call may still be joined */
    atomic_int caller_cpu;
    fsm_task *task;
    void *context;
    size_t items;
    atomic_size_t next_item;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER,
          .work_is_there = PTHREAD_COND_INITIALIZER,
          .work_is_done = PTHREAD_COND_INITIALIZER};

static atomic_flag pool_is_taken = ATOMIC_FLAG_INIT;

/* Until then there are no workers: a forked process would wait for some that it does not have. */
static atomic_int forks_are_handled;

static void do_items(fsm_task *task, void *context, size_t items, size_t worker) {
    for (;;) {
        size_t item = atomic_fetch_add_explicit(&pool.next_item, 1, memory_order_relaxed);
        if (item >= items) return;
        task(context, item, worker);
    }
}

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static int64_t nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* While whether the value is `other` is as said, but not forever. */
static void look_while(atomic_size_t *value, int is, size_t other) {
    enum { BETWEEN = 64 }; /* looks to one at the clock */
    const int64_t end = nanoseconds() + LOOKING;
    do {
        for (int i = 0; i < BETWEEN; i++) {
            if ((atomic_load_explicit(value, memory_order_relaxed) == other) != is) return;
            pause_briefly();
        }
    } while (nanoseconds() < end);
}

/* Looks for the next call for a while. Where a system wakes a thread on the CPU of the one that calls it, it would
   wait there until that one has done all the work: so it is kept off that CPU while it sleeps. */
static void look_for_work(size_t seen) {
    atomic_fetch_add_explicit(&pool.looking, 1, memory_order_relaxed);
    look_while(&pool.generation, 1, seen);
    atomic_fetch_sub_explicit(&pool.looking, 1, memory_order_relaxed);
    if (pool.generation == seen) fsm_keep_off(pool.caller_cpu);
}

static void *worker_main(void *argument) {
    const size_t number = (size_t)(uintptr_t)argument;
    size_t seen = 0;
    (void)fsm_enter_environment(); /* for good: it has that of the thread that started it */
    pthread_mutex_lock(&pool.mutex);
    for (;;) {
        while (!pool.open || pool.generation == seen || number > pool.wanted)
            pthread_cond_wait(&pool.work_is_there, &pool.mutex);
        seen = pool.generation;
        pool.joined++;
        fsm_task *task = pool.task;
        void *context = pool.context;
        size_t items = pool.items;
        pthread_mutex_unlock(&pool.mutex);
        fsm_come_back();
        do_items(task, context, items, number);
        pthread_mutex_lock(&pool.mutex);
        if (--pool.joined == 0) pthread_cond_signal(&pool.work_is_done);
        pthread_mutex_unlock(&pool.mutex);
        look_for_work(seen);
        pthread_mutex_lock(&pool.mutex);
    }
    return NULL;
}

/* Signals are for the program's own threads, but for those of what a thread itself has done: blocked, they would end
   the process without the handler that says where, or that puts the page there. */
static void block_signals(sigset_t *before) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t others;
    sigfillset(&others);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&others, own[i]);
    pthread_sigmask(SIG_BLOCK, &others, before);
}

/* With the mutex held: starts workers up to `wanted`, or as many as the system allows. */
static void start_workers(size_t wanted) {
    sigset_t before;
    if (pool.workers >= wanted) return;
    fsm_threads_setup(); /* again, if there was no memory for it before */
    if (!forks_are_handled) return;
    block_signals(&before);
    while (pool.workers < wanted) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker_main, (void *)(uintptr_t)(pool.workers + 1)) != 0) break;
        pthread_detach(thread);
        pool.workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Until those who have joined are done. A thread that was cancelled here would leave the pool taken for ever. */
static void wait_for_workers(void) {
    int cancelable, unused;
    look_while(&pool.joined, 0, 0);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelable);
    pthread_mutex_lock(&pool.mutex);
    while (pool.joined > 0) pthread_cond_wait(&pool.work_is_done, &pool.mutex);
    pthread_mutex_unlock(&pool.mutex);
    pthread_setcancelstate(cancelable, &unused);
}

void fsm_parallel(fsm_task *task, void *context, size_t items, size_t threads) {
    if (threads > items) threads = items;
    if (threads > MOST_WORKERS + 1) threads = MOST_WORKERS + 1;
    if (threads <= 1 || atomic_flag_test_and_set(&pool_is_taken)) {
        for (size_t item = 0; item < items; item++) task(context, item, 0);
        return;
    }
    pthread_mutex_lock(&pool.mutex);
    start_workers(threads - 1);
    pool.task = task;
    pool.context = context;
    pool.items = items;
    atomic_store(&pool.next_item, 0);
    pool.wanted = threads - 1;
    pool.open = 1;
    pool.caller_cpu = fsm_this_cpu();
    pool.generation++;
    pthread_cond_broadcast(&pool.work_is_there);
    pthread_mutex_unlock(&pool.mutex);

    do_items(task, context, items, 0);

    pthread_mutex_lock(&pool.mutex);
    pool.open = 0; /* a worker that wakes up only now finds nothing left */
    pthread_mutex_unlock(&pool.mutex);
    wait_for_workers();
    atomic_flag_clear(&pool_is_taken);
}

static _Atomic int64_t last_end;

void fsm_threads_note_end(void) { atomic_store_explicit(&last_end, nanoseconds(), memory_order_relaxed); }

int fsm_threads_are_near(void) {
    if (atomic_load_explicit(&pool.looking, memory_order_relaxed) > 0) return 1;
    return nanoseconds() - atomic_load_explicit(&last_end, memory_order_relaxed) < JUST_BEFORE;
}

void fsm_thread_yield(void) { sched_yield(); }

/* fork copies only the calling thread: the child starts with an empty pool, and the mutex is held across
   the fork so that it is not copied in the middle of a change. */
static void before_fork(void) { pthread_mutex_lock(&pool.mutex); }
static void after_fork_in_parent(void) { pthread_mutex_unlock(&pool.mutex); }
static void after_fork_in_child(void) {
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_cond_init(&pool.work_is_there, NULL);
    pthread_cond_init(&pool.work_is_done, NULL);
    pool.workers = 0;
    pool.joined = 0;
    pool.looking = 0;
    pool.open = 0;
    atomic_flag_clear(&pool_is_taken);
}

void fsm_threads_setup(void) {
    static atomic_flag begun = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&begun)) return;
    if (pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0)
        forks_are_handled = 1;
    else
        atomic_flag_clear(&begun);
}

#endif
