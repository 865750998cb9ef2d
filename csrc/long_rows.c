#include "long_rows.h"

#include <stdatomic.h>

#include "threads.h"

enum {
    LONG = 2 * FSM_PART,      /* classes: shorter rows are done before threads have shared them */
    AT_ONCE_CLASSES = 262144, /* in the rows that are worked on at a time, so that they stay in cache between steps */
    MOST_SHARES = 64
};

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Whether a view's rows can be worked on where they lie, part by part. */
static int lies_along(const struct fsm_job *job, const struct fsm_view *view) {
    if (view->data == NULL) return 1;
    if (job->storage == FSM_FLOAT64) return view->classes == 8;
    return job->storage == FSM_FLOAT32 && view->classes == 4;
}

static int is_covered(const struct fsm_job *job, enum fsm_operation operation) {
    switch (operation) {
    case FSM_OPERATION_softmax:
    case FSM_OPERATION_log_softmax:
    case FSM_OPERATION_logsumexp: return job->where.data == NULL;
    case FSM_OPERATION_cross_entropy:
        return job->labels.data != NULL && job->label_smoothing == 0 &&
               !(job->out.data != NULL && job->want_mean_grad);
    default: return 0;
    }
}

/* Where whole chunks, a thread each, would take a quarter longer than even shares of all rows. */
int fsm_shares_rows(const struct fsm_job *job, enum fsm_operation operation, size_t samples, size_t threads) {
    if (threads <= 1 || job->classes < LONG || !is_covered(job, operation)) return 0;
    if (!lies_along(job, &job->input) || !lies_along(job, &job->out)) return 0;
    const size_t chunks = (samples + job->chunk_samples - 1) / job->chunk_samples;
    const size_t most = smaller((chunks + threads - 1) / threads * job->chunk_samples, samples);
    return most * threads > samples + samples / 4;
}

static size_t rows_at_once(const struct fsm_job *job, size_t samples) {
    const size_t rows = job->want_mean_grad ? FSM_LONG_ROWS : (AT_ONCE_CLASSES + job->classes - 1) / job->classes;
    return smaller(smaller(rows, FSM_LONG_ROWS), samples);
}

size_t fsm_long_rows_size(const struct fsm_job *job, const struct fsm_kernels *kernels, size_t samples) {
    return kernels->long_rows.size(job, rows_at_once(job, samples));
}

/* A step that goes by parts. */
struct step {
    const struct fsm_long_rows *rows;
    const struct fsm_range *range;
    fsm_part *of_row; /* NULL for the step that adds to the mean gradient, whose items are parts of all rows */
    size_t parts, items, shares;
    atomic_size_t next[MOST_SHARES]; /* the item of a share that is to be done next */
};

static size_t share_begin(const struct step *s, size_t share) { return s->items * share / s->shares; }

/* From the thread's own share first, so that it finds in its cache what it had in the step before, then from what
   others have not come to. It is called once an item. */
static size_t take_item(struct step *s, size_t worker) {
    for (size_t i = worker;; i++) {
        const size_t share = i % s->shares;
        const size_t item = atomic_fetch_add_explicit(&s->next[share], 1, memory_order_relaxed);
        if (item < share_begin(s, share + 1)) return item;
    }
}

/* Adds the rows' part to the chunk's mean gradient, and that to the total where the chunk ends with these rows. */
static void add_to_mean(const struct step *s, size_t part) {
    const struct fsm_long_rows *rows = s->rows;
    const struct fsm_job *job = rows->job;
    const struct fsm_range *range = s->range;
    const size_t begin = part * FSM_PART, end = smaller(begin + FSM_PART, job->classes);
    rows->kernels->long_rows.add_to_mean(job, rows->memory, part);
    if (range->chunk > 0 && range->end == smaller((range->chunk + 1) * job->chunk_samples, rows->samples))
        rows->kernels->merge_mean(range, begin, end, rows->mean, rows->mean + fsm_mean_pitch(job->classes));
}

static void do_item(void *context, size_t number, size_t worker) {
    struct step *s = context;
    const size_t item = take_item(s, worker);
    (void)number;
    if (s->of_row == NULL)
        add_to_mean(s, item);
    else
        s->of_row(s->rows->job, s->rows->memory, item / s->parts, item % s->parts);
}

static void do_step(struct step *s, fsm_part *of_row) {
    const size_t rows = of_row == NULL ? 1 : s->range->end - s->range->begin;
    s->of_row = of_row;
    s->items = rows * s->parts;
    for (size_t i = 0; i < s->shares; i++) atomic_init(&s->next[i], share_begin(s, i));
    fsm_parallel(do_item, s, s->items, s->rows->threads);
}

static void do_rows(const struct fsm_long_rows *rows, const struct fsm_range *range, size_t most) {
    const struct fsm_job *job = rows->job;
    const struct fsm_long_rows_kernels *kernels = &rows->kernels->long_rows;
    struct step step;
    step.rows = rows;
    step.range = range;
    step.parts = fsm_count_parts(job->classes);
    step.shares = smaller(rows->threads, MOST_SHARES);
    kernels->open(job, rows->operation, *range, most, rows->memory);
    do_step(&step, kernels->find_tops);
    kernels->find_peaks(job, rows->memory);
    do_step(&step, kernels->sum);
    kernels->end(job, rows->memory);
    if (job->out.data != NULL) do_step(&step, kernels->write);
    if (job->want_mean_grad) do_step(&step, NULL);
}

void fsm_run_long_rows(const struct fsm_long_rows *rows) {
    const struct fsm_job *job = rows->job;
    const size_t most = rows_at_once(job, rows->samples), pitch = fsm_mean_pitch(job->classes);
    for (size_t begin = 0, end; begin < rows->samples; begin = end) {
        struct fsm_range range = {.begin = begin, .chunk = begin / job->chunk_samples};
        end = smaller(begin + most, rows->samples);
        if (job->want_mean_grad) {
            end = smaller(end, (range.chunk + 1) * job->chunk_samples);
            range.mean_hi = rows->mean + (range.chunk > 0 ? 2 * pitch : 0); /* the first is the total already */
            range.mean_lo = range.mean_hi + pitch;
        }
        range.end = end;
        do_rows(rows, &range, most);
    }
}
