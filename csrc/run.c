#include "run.h"

#include <math.h>
#include <stdatomic.h>
#include <stdint.h>

#include "aligned.h"
#include "environment.h"
#include "long_rows.h"
#include "pages.h"
#include "threads.h"
#include "two_sum.h"

enum {
    CHUNK_ELEMENTS = 16384, /* a chunk's logits stay in cache between their kernel's passes */
    MEAN_ROWS = 64,         /* of long rows to a chunk with a mean gradient, which costs a row's time to add up */
    MEAN_CHUNKS = 8,        /* but no fewer chunks than these for its sake, */
    FEWEST_MEAN_ROWS = 4,   /* unless their rows would be fewer than these */
    WORTH_A_THREAD = 65536, /* elements: below this another thread costs more than it saves, */
    WORTH_WAKING = 1 << 18, /* and below this if it has to be woken first */
    ROWS_ACROSS = 16,       /* chunks of whole blocks, where rows lie across the lanes */
    LONGEST_ACROSS = 192,   /* at most, classes side by side */
    COLUMNS = 128,          /* chunks of whole groups of blocks, where samples lie side by side */
    STREAMED = 1 << 22,     /* elements of an output that is written past the caches, */
    FITS_NEAR = 1 << 24,    /* unless no cache would hold a row of what is on its way there */
    SMALL_MEMORY = 16384
};

#if defined(_MSC_VER)
#define APART __declspec(noinline)
#else
#define APART __attribute__((noinline))
#endif

/* hi and lo of fsm_mean_pitch(classes) sums. */
struct mean {
    double *hi, *lo;
};

struct run {
    struct fsm_job *job;
    const struct fsm_kernels *kernels;
    enum fsm_operation operation;
    size_t samples, chunks, threads;
    int shares_rows; /* the threads have parts of rows, not chunks */
    char *scratch;
    size_t scratch_bytes;    /* a thread, if it has chunks */
    double *mean;            /* the total, and after it a thread's own each, if there is a mean gradient */
    atomic_size_t next_mean; /* the chunk whose mean gradient is to be added now */
};

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t chunk_samples(const struct fsm_job *job, size_t samples) {
    size_t chunk = CHUNK_ELEMENTS / job->classes + 1;
    const int classes_lie_along = job->input.classes == 4 || job->input.classes == 8;
    if (job->want_mean_grad)
        chunk = larger(chunk, smaller(MEAN_ROWS, larger(samples / MEAN_CHUNKS, FEWEST_MEAN_ROWS)));
    if (!classes_lie_along) chunk = round_up(chunk, COLUMNS);
    if (job->classes <= LONGEST_ACROSS) chunk = round_up(chunk, ROWS_ACROSS);
    return chunk;
}

/* An output that no cache will hold is written past the caches. Not so where its memory is new: the system puts zeros
   there first, which are in the caches then. */
static int is_to_be_streamed(const struct fsm_job *job) {
    const struct fsm_view *out = &job->out;
    if (job->outer * job->inner * job->classes < STREAMED || job->classes > FITS_NEAR) return 0;
    if (job->where.data != NULL || out->data == NULL) return 0;
    return fsm_is_in_memory(out->data + (ptrdiff_t)(job->outer / 2) * out->outer +
                            (ptrdiff_t)(job->inner / 2) * out->inner + (ptrdiff_t)(job->classes / 2) * out->classes);
}

static int is_worth_threads(const struct run *run, size_t threads) {
    return threads > 1 && run->samples * run->job->classes >= WORTH_A_THREAD;
}

static size_t threads_that_pay(const struct run *run, size_t threads) {
    if (!is_worth_threads(run, threads)) return 1;
    return run->samples * run->job->classes < WORTH_WAKING && !fsm_threads_are_near() ? 1 : threads;
}

static struct mean mean_at(const struct run *run, size_t place) {
    const size_t pitch = fsm_mean_pitch(run->job->classes);
    double *hi = run->mean + 2 * place * pitch;
    return (struct mean){hi, hi + pitch};
}

/* In the order of the chunks, whichever threads did them, so that the bits do not depend on it. The first is the
   total already. */
static void add_mean(struct run *run, const struct fsm_range *range) {
    const struct mean total = mean_at(run, 0);
    while (atomic_load_explicit(&run->next_mean, memory_order_acquire) != range->chunk) fsm_thread_yield();
    if (range->mean_hi != total.hi) run->kernels->merge_mean(range, 0, run->job->classes, total.hi, total.lo);
    atomic_store_explicit(&run->next_mean, range->chunk + 1, memory_order_release);
}

static void run_chunk(void *context, size_t chunk, size_t worker) {
    struct run *run = context;
    const struct fsm_job *job = run->job;
    size_t begin = chunk * job->chunk_samples, end = smaller(begin + job->chunk_samples, run->samples);
    struct fsm_range range = {begin, end, chunk, NULL, NULL};
    if (job->want_mean_grad) {
        const struct mean own = mean_at(run, chunk > 0 ? worker + 1 : 0);
        range.mean_hi = own.hi;
        range.mean_lo = own.lo;
    }
    run->kernels->run[run->operation](job, range, run->scratch + worker * run->scratch_bytes);
    if (job->want_mean_grad && run->chunks > 1) add_mean(run, &range);
}

static void add_to(struct fsm_sum *total, double hi, double lo) {
    double sum = total->hi + hi;
    total->lo = isfinite(sum) ? total->lo + (fsm_sum_error(total->hi, hi, sum) + lo) : 0;
    total->hi = sum;
}

static double total_loss(const struct fsm_job *job, size_t chunks) {
    struct fsm_loss total = {{0, 0}, {0, 0}};
    for (size_t i = 0; i < chunks; i++) {
        const struct fsm_loss *part = &job->chunk_loss[i];
        add_to(&total.common, part->common.hi, part->common.lo);
        add_to(&total.huge, part->huge.hi, part->huge.lo);
    }
    double huge = total.huge.hi + total.huge.lo, common = total.common.hi + total.common.lo;
    return huge == 0 ? common / job->divisor : common / job->divisor + huge * (0x1p64 / job->divisor);
}

static size_t mean_bytes(const struct run *run) {
    if (!run->job->want_mean_grad) return 0;
    const size_t means = run->chunks == 1 ? 1 : run->shares_rows ? 2 : run->threads + 1;
    return 2 * means * fsm_mean_pitch(run->job->classes) * sizeof(double);
}

struct rounding {
    const struct run *run;
    double *mean_grad;
};

static void round_part(void *context, size_t part, size_t worker) {
    const struct rounding *r = context;
    const struct mean total = mean_at(r->run, 0);
    const size_t begin = part * FSM_PART, end = smaller(begin + FSM_PART, r->run->job->classes);
    (void)worker;
    for (size_t k = begin; k < end; k++) r->mean_grad[k] = total.hi[k] + total.lo[k];
}

static void do_all(struct run *run, double *loss, double *mean_grad) {
    const struct fsm_job *job = run->job;
    if (run->shares_rows) {
        const struct fsm_long_rows rows = {job,          run->kernels, run->operation, run->samples,
                                           run->threads, run->scratch, run->mean};
        fsm_run_long_rows(&rows);
    } else {
        fsm_parallel(run_chunk, run, run->chunks, run->threads);
    }
    if (loss) *loss = total_loss(job, run->chunks);
    if (mean_grad) {
        struct rounding rounding = {run, mean_grad};
        fsm_parallel(round_part, &rounding, fsm_count_parts(job->classes), run->shares_rows ? run->threads : 1);
    }
}

/* Of rows that threads share the exponentials wait in the output, so that it is not streamed. */
static void plan(struct run *run, size_t threads) {
    struct fsm_job *job = run->job;
    threads = threads_that_pay(run, threads);
    job->chunk_samples = chunk_samples(job, run->samples);
    run->chunks = (run->samples + job->chunk_samples - 1) / job->chunk_samples;
    run->shares_rows = fsm_shares_rows(job, run->operation, run->samples, threads);
    run->threads = run->shares_rows ? threads : smaller(threads, run->chunks);
    job->streams = !run->shares_rows && is_to_be_streamed(job);
    run->scratch_bytes =
        run->shares_rows ? fsm_long_rows_size(job, run->kernels, run->samples) : run->kernels->scratch_size(job);
}

/* Whether all that the threads need can be counted in bytes: the most is below 256 a class and thread. */
static int is_countable(const struct fsm_job *job, size_t threads) {
    return job->classes <= (size_t)PTRDIFF_MAX / 256 / threads;
}

/* By itself, so that no arithmetic is moved to where the environment is not yet, or no longer, the default one. */
APART int fsm_run_in_default_environment(struct fsm_job *job, enum fsm_operation operation, size_t threads,
                                         double *loss, double *mean_grad) {
    struct run run = {.job = job, .kernels = fsm_kernels_for(job->storage), .operation = operation};
    run.samples = job->outer * job->inner;
    job->want_mean_grad = mean_grad != NULL;
    job->rows_end_in_a_loss = operation == FSM_OPERATION_log_softmax || operation == FSM_OPERATION_logsumexp ||
                              operation == FSM_OPERATION_cross_entropy || operation == FSM_OPERATION_grad_hess ||
                              operation == FSM_OPERATION_partial_state;
    plan(&run, threads);
    if (!is_countable(job, run.threads)) return -1;

    /* One piece of memory in whole cache lines, on the stack where it is small, as the problem then is too: each
       thread's scratch, the mean gradients, the losses. */
    _Alignas(FSM_CACHE_LINE) char small[SMALL_MEMORY];
    const size_t scratch = (run.shares_rows ? 1 : run.threads) * run.scratch_bytes, means = mean_bytes(&run);
    const size_t bytes = scratch + means + round_up(run.chunks * sizeof(struct fsm_loss), FSM_CACHE_LINE);
    char *memory = bytes <= sizeof small ? small : fsm_new_lines(bytes);
    if (memory == NULL) return -1;
    run.scratch = memory;
    run.mean = (double *)(memory + scratch);
    job->chunk_loss = (struct fsm_loss *)(memory + scratch + means);
    do_all(&run, loss, mean_grad);
    if (is_worth_threads(&run, threads)) fsm_threads_note_end();
    if (memory != small) fsm_free_lines(memory);
    return 0;
}

int fsm_run(struct fsm_job *job, enum fsm_operation operation, size_t threads, double *loss, double *mean_grad) {
    const struct fsm_environment found = fsm_enter_environment();
    const int status = fsm_run_in_default_environment(job, operation, threads, loss, mean_grad);
    fsm_leave_environment(found);
    return status;
}
