/* Which kernels this build holds, which of them this CPU runs, and which are in use. */
#ifndef FSM_DISPATCH_H
#define FSM_DISPATCH_H

#include "job.h"
#include "shared.h"

enum fsm_operation {
#define FSM_KERNEL(name) FSM_OPERATION_##name,
#include "kernels.def"
#undef FSM_KERNEL
    FSM_OPERATIONS
};

/* A step on a part of one of the rows at hand. */
typedef void fsm_part(const struct fsm_job *job, void *memory, size_t row, size_t part);

/* The steps of an operation on long rows whose parts several threads do, in this order; each begins when the one
   before is done, of all rows and parts. Memory is for `most` rows. See kernel/parts.h. */
struct fsm_long_rows_kernels {
    size_t (*size)(const struct fsm_job *job, size_t most);
    void (*open)(const struct fsm_job *job, enum fsm_operation operation, struct fsm_range range, size_t most,
                 void *memory);
    fsm_part *find_tops;
    void (*find_peaks)(const struct fsm_job *job, void *memory);
    fsm_part *sum;
    void (*end)(const struct fsm_job *job, void *memory);
    fsm_part *write; /* where there is an output */
    void (*add_to_mean)(const struct fsm_job *job, void *memory, size_t part);
};

/* The kernels of one instruction set for one dtype. */
struct fsm_kernels {
    fsm_kernel *run[FSM_OPERATIONS];
    fsm_scratch_size *scratch_size;
    fsm_merge_mean *merge_mean;
    struct fsm_long_rows_kernels long_rows;
};

struct fsm_instruction_set {
    const char *name;
    int (*supported)(void);
    const struct fsm_kernels *float32, *float64;
};

/* Every instruction set of the build, best first. */
FSM_SHARED size_t fsm_instruction_set_count(void);
FSM_SHARED const struct fsm_instruction_set *fsm_instruction_set_at(size_t index);

/* The one in use: the best that the CPU supports, until fsm_use_instruction_set names another. */
FSM_SHARED const struct fsm_instruction_set *fsm_instruction_set_in_use(void);
/* 0 when done, -1 where the build lacks it or the CPU does not support it. */
FSM_SHARED int fsm_use_instruction_set(const char *name);
/* The same, unless one is in use. */
int fsm_use_instruction_set_at_first(const char *name);

const struct fsm_kernels *fsm_kernels_for(enum fsm_storage storage);

#endif
