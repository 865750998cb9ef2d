/* Whether strided arrays share memory. */
#ifndef FSM_OVERLAP_H
#define FSM_OVERLAP_H

#include <stddef.h>

enum { FSM_AXES = 3 };

/* Where the elements of an array lie; strides in bytes. */
struct fsm_footprint {
    const char *data;
    size_t item;
    size_t count[FSM_AXES]; /* none is 0 */
    ptrdiff_t stride[FSM_AXES];
};

/* Whether the addresses can be reckoned with at all. */
int fsm_footprint_is_finite(const struct fsm_footprint *a);

/* Whether two elements share a byte: exact, but 1 where that would be too much work to find out. */
int fsm_overlap(const struct fsm_footprint *a, const struct fsm_footprint *b);
int fsm_overlaps_itself(const struct fsm_footprint *a);

/* Whether both are the same elements at the same places. */
int fsm_is_same_place(const struct fsm_footprint *a, const struct fsm_footprint *b);

#endif
