/* What a kernel is told: views of checked arrays and the options of one call. */
#ifndef FSM_JOB_H
#define FSM_JOB_H

#include <stddef.h>
#include <stdint.h>

enum {
    FSM_PART = 16384,  /* classes: rows are summed in such parts, whether one thread does them all or several do */
    FSM_LONG_ROWS = 4, /* at most are worked on at a time by several threads */
};

/* How an element of the logits, and of every array of their dtype, is stored. */
enum fsm_storage { FSM_FLOAT32, FSM_FLOAT64, FSM_FLOAT16, FSM_BFLOAT16 };

enum fsm_hessian { FSM_HESSIAN_EXACT, FSM_HESSIAN_XGBOOST, FSM_HESSIAN_LIGHTGBM };

/* An array of samples (outer, inner) by classes; strides in bytes, of any sign. data is NULL where there is none. */
struct fsm_view {
    char *data;
    ptrdiff_t outer, inner, classes;
};

/* The unevaluated sum hi + lo. */
struct fsm_sum {
    double hi, lo;
};

/* A sum of losses. Those so large that a sum of them could overflow, where their mean does not, are kept apart,
   times 2^-64. */
struct fsm_loss {
    struct fsm_sum common, huge;
};

struct fsm_job {
    size_t outer, inner, classes;
    enum fsm_storage storage;
    struct fsm_view input; /* logits; the grad_output of a backward operation */
    struct fsm_view other; /* probabilities as targets; the output of a backward operation */
    struct fsm_view where; /* one byte an element, 0 leaves it out */
    struct fsm_view out;   /* probabilities, log-probabilities, gradient */
    struct fsm_view hess;
    struct fsm_view labels;        /* int32 or int64, strides without a class axis */
    struct fsm_view sample_weight; /* float64, likewise */
    struct fsm_view losses;        /* per sample; logsumexp's result too */
    struct fsm_view numbers;       /* float64, a few a sample in place of classes; see kernel/shards.h */
    int labels_are_64_bit;
    int has_ignore_index;
    int64_t ignore_index;
    const double *class_weight;
    double label_smoothing;
    double divisor;
    int want_loss;
    int want_mean_grad;
    int streams;            /* the outputs are written past the caches */
    int rows_end_in_a_loss; /* the logarithm of the sum is wanted, not the probabilities alone */
    enum fsm_hessian hessian;
    /* Samples are cut into chunks that depend on the shape alone, each with its own place for what it
       sums, so that the totals have the same bits whatever the number of threads. */
    size_t chunk_samples;
    struct fsm_loss *chunk_loss; /* one a chunk */
};

/* The parts of a row. */
static inline size_t fsm_count_parts(size_t classes) { return (classes + FSM_PART - 1) / FSM_PART; }

/* The length of a mean gradient's sums in memory: whole vectors. */
static inline size_t fsm_mean_pitch(size_t classes) { return (classes + 15) / 16 * 16; }

/* Samples [begin, end) in C order over (outer, inner), which are chunk number `chunk`, and where the chunk's mean
   gradient goes: fsm_mean_pitch(classes) sums hi + lo. */
struct fsm_range {
    size_t begin, end, chunk;
    double *mean_hi, *mean_lo;
};

typedef void fsm_kernel(const struct fsm_job *job, struct fsm_range range, void *scratch);

/* Bytes of scratch memory a thread needs for a job. */
typedef size_t fsm_scratch_size(const struct fsm_job *job);

/* Adds a chunk's mean gradient to the total hi + lo, from class `begin` up to `end`. */
typedef void fsm_merge_mean(const struct fsm_range *chunk, size_t begin, size_t end, double *hi, double *lo);

#endif
