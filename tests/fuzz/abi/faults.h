/* What is wrong with a call, by the header and independently of the library. */
#ifndef FSM_FUZZ_FAULTS_H
#define FSM_FUZZ_FAULTS_H

#include "memory.h"

struct fault {
    int status;
    const char *argument;
    ptrdiff_t index;
};

enum { MOST_FAULTS = 64 };

struct faults {
    struct fault fault[MOST_FAULTS];
    int count;
    int known;   /* of the count, those that surely are there; behind them, what the library may find instead */
    int is_safe; /* one has to be found before any element is looked at, or all elements are in memory */
};

void find_faults(struct faults *f, const struct call *call, const struct memory *m);
int is_among(const struct faults *f, int status, const fastsoftmax_error *error);
/* Whether the caller's fastsoftmax_error can be found at all. */
int can_tell_errors(const struct call *call);
/* Whether an argument is there, neither left out nor unknown to the function. */
int is_given(const struct call *call, enum role role);

#endif
