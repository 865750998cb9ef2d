/* What exhaustive.c tells of: sweeps over all float32 numbers, and float64 at many points. */
#ifndef FSM_TEST_SWEEPS_H
#define FSM_TEST_SWEEPS_H

#include "ulps.h"

enum { MOST_SETS = 8, SWEPT_AT_ONCE = 4096 };

/* The errors of one result, for each instruction set, and the largest that there may be. */
struct subject {
    const char *name;
    double bound, bound_unfused; /* where multiplication and addition round each for themselves */
    struct errors errors[MOST_SETS];
};

struct extent {
    uint64_t every, seed, points; /* of float32 each `every`-th number, of float64 so many points */
};

enum float32_subject { EXP32, SUMMED_EXP32, LOG32, SOFTMAX32, LOSS32, LOGSUMEXP32, FLOAT32_SUBJECTS };
enum float64_subject { EXP64, SUMMED_EXP64, LOG64, SOFTMAX64, LOSS64, LOGSUMEXP64, FLOAT64_SUBJECTS };

/* Each fills its subjects. */
void sweep_float32(const struct extent *extent, struct subject *subjects);
void try_float64(const struct extent *extent, struct subject *subjects);

/* The softmax, the losses for label 0 and the logsumexp of the rows (x, 0), by the kernels in use; 0 or -1. They
   are float64, or else float32. */
int solve_pairs(const void *logits, size_t rows, int is_float64, void *softmax, void *losses, void *logsumexp);

#endif
