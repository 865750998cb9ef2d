/* A task's call of the kernels, on arrays laid out in some way, and its results in plain order. */
#ifndef FSM_TEST_CALLS_H
#define FSM_TEST_CALLS_H

#include "cases.h"
#include "tasks.h"

/* How a task is called: nothing of this may show in a row's results. */
struct call {
    size_t first, rows; /* of the problem's */
    size_t input_layout, output_layout;
    size_t shift; /* elements from an aligned place to the first; a number of the environment too */
    size_t threads;
    int in_place; /* the output is the input */
};

struct results {
    double *part[PARTS]; /* as struct answer has them, of the call's rows alone */
};

/* 0, -1 where there is no memory, 1 where something was written outside of the outputs, ENVIRONMENT_CHANGED. The
   results are to be freed in any case. */
int make_call(const struct problem *problem, const struct task *task, const struct call *call,
              struct results *results);
void free_results(struct results *results);

#endif
