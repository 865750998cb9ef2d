/* What the kernels are asked for, and the parts of their answers. */
#ifndef FSM_TEST_TASKS_H
#define FSM_TEST_TASKS_H

#include "dispatch.h"

enum target_kind { NO_TARGETS, LABELS, ONE_HOT, SOFT };

/* An answer's parts: one number for each class of each row, twice; one a row; one in all; one a class. */
enum part { PART_OUT, PART_HESS, PART_LOSSES, PART_LOSS, PART_MEAN_GRAD, PARTS };
enum { OUT = 1 << PART_OUT, HESS = 1 << PART_HESS, LOSSES = 1 << PART_LOSSES, LOSS = 1 << PART_LOSS };
enum { MEAN_GRAD = 1 << PART_MEAN_GRAD };

struct task {
    const char *name;
    enum fsm_operation operation;
    enum target_kind targets;
    int parts;
    int mean; /* divided by the number of rows */
    enum fsm_hessian hessian;
};

enum { TASKS = 20 };
extern const struct task tasks[TASKS];

/* Whether a task's part is told in the table, and by which name: nothing is told twice. */
const char *part_name(enum part part);
/* The bound of its error in units in the last place of the kernels' own dtype. */
double part_bound(const struct task *task, enum part part);

#endif
