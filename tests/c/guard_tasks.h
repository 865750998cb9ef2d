/* What is called between guard pages: every operation with every array that it can have. */
#ifndef FSM_TEST_GUARD_TASKS_H
#define FSM_TEST_GUARD_TASKS_H

#include "dispatch.h"
#include "tasks.h"

/* The arrays of a call. Those from SCRATCH on are the kernel's own; those before NUMBERS are only read. */
enum array {
    INPUT,
    OTHER,
    KEPT,
    LABEL,
    SAMPLE_WEIGHT,
    CLASS_WEIGHT,
    NUMBERS,
    GRADIENT,
    HESSIAN,
    LOSS_OF_ROW,
    TOTAL_LOSS,
    MEAN_GRADIENT,
    CHUNK_LOSS,
    SCRATCH,
    ARRAYS
};

const char *array_name(enum array array);

/* Beside what a task of tasks.h says. */
enum guard_option { WITH_WHERE = 1, WITH_WEIGHTS = 2, SMOOTHED = 4, WITH_IGNORED = 8, NARROW_LABELS = 16 };

struct guard_task {
    const char *name;
    enum fsm_operation operation;
    enum target_kind targets;
    int parts; /* of an answer, as in tasks.h */
    int options;
    enum fsm_hessian hessian;
};

enum { GUARD_TASKS = 34 };
extern const struct guard_task guard_tasks[GUARD_TASKS];

#endif
