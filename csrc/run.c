#include "run.h"

#include <math.h>
#include <stdlib.h>

#include "threads.h"
#include "two_sum.h"

enum {
    CHUNK_ELEMENTS = 32768, /* a chunk's logits stay in cache between their kernel's passes */
    MOST_MEAN_CHUNKS = 64,  /* each has a mean gradient of its own in memory */
    WORTH_A_THREAD = 65536, /* elements: below this waking a thread costs more than it saves */
    ROWS_ACROSS = 16,       /* chunks of whole blocks, where rows lie across the lanes */
    CACHE_LINE = 64,
    SMALL_MEMORY = 16384
};

struct run {
    const struct fsm_job *job;
    fsm_kernel *kernel;
    char *scratch;
    size_t scratch_bytes; /* a thread */
    size_t samples;
};

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

static size_t chunk_samples(const struct fsm_job *job, size_t samples) {
    size_t chunk = CHUNK_ELEMENTS / job->classes + 1;
    int classes_lie_along = job->input.classes == 4 || job->input.classes == 8;
    if (job->want_mean_grad && chunk < samples / MOST_MEAN_CHUNKS + 1) chunk = samples / MOST_MEAN_CHUNKS + 1;
    if (job->want_mean_grad || chunk > 1 || !classes_lie_along) chunk = round_up(chunk, ROWS_ACROSS);
    return chunk;
}

static void run_chunk(void *context, size_t chunk, size_t worker) {
    const struct run *run = context;
    size_t begin = chunk * run->job->chunk_samples, end = begin + run->job->chunk_samples;
    if (end > run->samples) end = run->samples;
    run->kernel(run->job, (struct fsm_range){begin, end, chunk}, run->scratch + worker * run->scratch_bytes);
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

static void total_mean(const struct fsm_job *job, size_t chunks, double *mean_grad) {
    const size_t pitch = fsm_mean_pitch(job->classes);
    for (size_t k = 0; k < job->classes; k++) {
        struct fsm_sum total = {0, 0};
        for (size_t i = 0; i < chunks; i++)
            add_to(&total, job->chunk_mean_hi[i * pitch + k], job->chunk_mean_lo[i * pitch + k]);
        mean_grad[k] = total.hi + total.lo;
    }
}

static void do_chunks(struct run *run, struct fsm_job *job, size_t chunks, size_t threads, double *loss,
                      double *mean_grad) {
    fsm_parallel(run_chunk, run, chunks, threads);
    if (loss) *loss = total_loss(job, chunks);
    if (mean_grad) total_mean(job, chunks, mean_grad);
}

int fsm_run(struct fsm_job *job, enum fsm_operation operation, size_t threads, double *loss, double *mean_grad) {
    const struct fsm_kernels *kernels = fsm_kernels_for(job->storage);
    struct run run = {.job = job, .kernel = kernels->run[operation], .samples = job->outer * job->inner};
    job->want_mean_grad = mean_grad != NULL;
    job->rows_end_in_a_loss = operation == FSM_OPERATION_log_softmax || operation == FSM_OPERATION_logsumexp ||
                              operation == FSM_OPERATION_cross_entropy || operation == FSM_OPERATION_grad_hess;
    job->chunk_samples = chunk_samples(job, run.samples);
    size_t chunks = (run.samples + job->chunk_samples - 1) / job->chunk_samples;
    if (run.samples * job->classes < WORTH_A_THREAD || threads < 1) threads = 1;
    if (threads > chunks) threads = chunks;

    /* One piece of memory in whole cache lines, on the stack where it is small, as the problem then is too. */
    _Alignas(CACHE_LINE) char small[SMALL_MEMORY];
    run.scratch_bytes = kernels->scratch_size(job);
    size_t loss_bytes = round_up(chunks * sizeof(struct fsm_loss), CACHE_LINE);
    size_t mean_bytes = mean_grad ? round_up(chunks * fsm_mean_pitch(job->classes) * sizeof(double), CACHE_LINE) : 0;
    size_t bytes = threads * run.scratch_bytes + loss_bytes + 2 * mean_bytes;
    char *memory = bytes <= sizeof small ? small : aligned_alloc(CACHE_LINE, bytes);
    if (memory == NULL) return -1;
    run.scratch = memory;
    job->chunk_loss = (struct fsm_loss *)(memory + threads * run.scratch_bytes);
    job->chunk_mean_hi = (double *)((char *)job->chunk_loss + loss_bytes);
    job->chunk_mean_lo = (double *)((char *)job->chunk_mean_hi + mean_bytes);
    do_chunks(&run, job, chunks, threads, loss, mean_grad);
    if (memory != small) free(memory);
    return 0;
}
