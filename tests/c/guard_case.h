/* One call in one layout: what each of its arrays holds before, and after the call in ordinary memory. */
#ifndef FSM_TEST_GUARD_CASE_H
#define FSM_TEST_GUARD_CASE_H

#include "cases.h"
#include "guard_tasks.h"
#include "layouts.h"

/* By whom the kernels are called. */
enum caller {
    KERNEL_ITSELF, /* with scratch memory and sums of their own sizes, to the byte */
    RUN,           /* fsm_run with two threads, which share long rows */
    PUBLIC         /* the functions of fastsoftmax.h */
};

struct guard_case {
    const struct problem *problem;
    const struct guard_task *task;
    enum caller caller;
    size_t input_layout, output_layout;
    int streams, in_place;
};

struct image {
    struct extent extent; /* bytes is 0 where the call has no such array */
    size_t element;
    char *before, *after;
};

struct images {
    struct image of[ARRAYS];
};

/* The lowest addresses of the arrays of one call. */
struct places {
    char *at[ARRAYS];
};

/* Lays out the arrays and makes the call in ordinary memory. 0, -1 where there is no memory, 1 where the call fails.
   To be freed in any case. */
int make_images(const struct guard_case *c, struct images *images);
void free_images(struct images *images);

/* Whether a case makes sense: the public functions know no shards, only kernels know of streaming. */
int is_possible(const struct guard_case *c);

#endif
