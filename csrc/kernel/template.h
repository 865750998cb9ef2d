/* The kernels of one instruction set for one dtype. The file that includes this has said FSM_ISA and
   FSM_REAL_BITS and included the instruction set's words. */

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "../dispatch.h"
#include "../job.h"

#define FSM_JOIN_(isa, name, bits) fsm_##isa##_##name##_float##bits
#define FSM_JOIN(isa, name, bits) FSM_JOIN_(isa, name, bits)
#define FSM_NAME(name) FSM_JOIN(FSM_ISA, name, FSM_REAL_BITS)
#define FSM_TABLE_NAME_(isa, bits) fsm_##isa##_float##bits
#define FSM_TABLE_NAME(isa, bits) FSM_TABLE_NAME_(isa, bits)

#include "wide.h"
#include "sums.h"
#include "exponential.h"
#include "block.h"
#include "exponential_sums.h"
#include "views.h"
#include "turn.h"
#include "columns.h"
#include "pack.h"
#include "walk.h"
#include "rows.h"
/* A kernel is compiled for each of the two ways through a block by itself. */
#define KERNEL(name)                                                                                                 \
    static void FSM_NAME(name)(const struct fsm_job *job, struct fsm_range range, void *memory) {                    \
        if (goes_across(job))                                                                                        \
            name##_blocks(job, range, memory, 1);                                                                    \
        else                                                                                                         \
            name##_blocks(job, range, memory, 0);                                                                    \
        if (job->streams) end_streaming();                                                                           \
    }

#include "probabilities.h"
#include "backward.h"
#include "targets.h"
#include "gradients.h"
#include "mean.h"
#include "cross_entropy.h"
#include "hessian.h"
#include "shards.h"
#include "parts.h"

static size_t FSM_NAME(scratch_size)(const struct fsm_job *job) {
    const struct scratch_layout n = scratch_layout(job);
    return 2 * n.values + n.exponentials + 2 * n.row + 2 * n.sums;
}

static void FSM_NAME(merge_mean)(const struct fsm_range *chunk, size_t begin, size_t end, double *hi, double *lo) {
    for (size_t k = begin; k < end; k++) {
        const struct fsm_sum more = {chunk->mean_hi[k], chunk->mean_lo[k]};
        const struct fsm_sum sum = sum_plus((struct fsm_sum){hi[k], lo[k]}, more);
        hi[k] = sum.hi;
        if (FSM_REAL_BITS == 64) lo[k] = sum.lo;
    }
}

extern const struct fsm_kernels FSM_TABLE_NAME(FSM_ISA, FSM_REAL_BITS);
const struct fsm_kernels FSM_TABLE_NAME(FSM_ISA, FSM_REAL_BITS) = {{
#define FSM_KERNEL(name) FSM_NAME(name),
#include "../kernels.def"
#undef FSM_KERNEL
                                                                   },
                                                                   FSM_NAME(scratch_size),
                                                                   FSM_NAME(merge_mean),
                                                                   {
                                                                       FSM_NAME(long_rows_size),
                                                                       FSM_NAME(open_long_rows),
                                                                       FSM_NAME(find_long_tops),
                                                                       FSM_NAME(find_long_peaks),
                                                                       FSM_NAME(sum_long_rows),
                                                                       FSM_NAME(end_long_rows),
                                                                       FSM_NAME(write_long_rows),
                                                                       FSM_NAME(add_long_rows_to_mean),
                                                                   }};
