/* The problems that are worked: logits of a kind, targets of both kinds, and a gradient to bring back. */
#ifndef FSM_TEST_CASES_H
#define FSM_TEST_CASES_H

#include <stddef.h>
#include <stdint.h>

#include "format.h"
#include "random.h"

/* Rows by classes, as numbers of the format, in C order. */
struct problem {
    const struct format *format;
    const char *kind;
    size_t rows, classes;
    double *logits;
    int64_t *labels;
    double *one_hot; /* the labels as probabilities */
    double *soft;    /* probabilities, and some that do not sum to 1 */
    double *grad_output;
    /* What the backward operations take as output. Of the reference, so that it is the same for all kernels. */
    double *softmax, *log_softmax;
};

enum { NORMAL_KINDS = 4 };
/* The number of kinds; the first NORMAL_KINDS are random at growing scales, the last mixes the rows of all. */
size_t kind_count(void);

/* NULL where there is no memory. */
struct problem *make_problem(const struct format *format, size_t kind, size_t rows, size_t classes,
                             struct generator *g);
void free_problem(struct problem *problem);

#endif
