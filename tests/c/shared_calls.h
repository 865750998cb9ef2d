/* Calls of the public functions that many threads make at once, on inputs that they share. */
#ifndef FSM_TEST_SHARED_CALLS_H
#define FSM_TEST_SHARED_CALLS_H

#include <stddef.h>

enum function { SOFTMAX, LOG_SOFTMAX, LOGSUMEXP, BACKWARD, LOG_BACKWARD, LOSSES, SOFT_LOSSES, MEAN, SOFT_MEAN, HESS };
enum layout { ROWS, COLUMNS }; /* what lies side by side: the classes of a sample, or the samples of a class */

struct shared_call {
    const char *name;
    enum function function;
    int dtype;
    size_t samples, classes;
    enum layout layout;
};

enum { SHARED_CALLS = 14 };
extern const struct shared_call shared_calls[SHARED_CALLS];

/* What the calls read: made once, the same in every run. 0, or -1 where there is no memory. */
int make_inputs(void);

/* The bytes of what a call writes: results for each sample, then those for all of them. */
size_t result_bytes(const struct shared_call *call);
/* Whether there are results for each sample only, so that some samples may be done by one thread, some by another. */
int is_by_sample(const struct shared_call *call);

/* Does `count` samples from `first` on, and writes to their places in the results. Returns the library's status. */
int make_shared_call(size_t number, size_t first, size_t count, size_t threads, char *results);

#endif
