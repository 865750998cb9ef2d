/* From a caller's arguments to a job: all checking, once. The first thing wrong stays the request's status, and what
   follows does nothing, so that a function takes its arguments one after another and looks at the status at the end.
 */
#ifndef FSM_REQUEST_H
#define FSM_REQUEST_H

#include "environment.h"
#include "fastsoftmax.h"
#include "job.h"
#include "overlap.h"

enum { FSM_MOST_INPUTS = 5, FSM_MOST_OUTPUTS = 4 };

/* The options that have a meaning for a function. */
enum fsm_options_taken {
    FSM_TAKES_WHERE = 1,
    FSM_TAKES_SAMPLE_WEIGHT = 2,
    FSM_TAKES_LOSS_OPTIONS = 4,
    FSM_TAKES_HESSIAN = 8
};

struct fsm_request {
    struct fsm_environment environment; /* the caller's */
    struct fsm_job job;
    fastsoftmax_options options; /* complete, whatever the caller's size */
    size_t samples, threads;
    int status;
    fastsoftmax_error error;
    int inputs, outputs;
    const char *input_name[FSM_MOST_INPUTS], *output_name[FSM_MOST_OUTPUTS];
    struct fsm_footprint input[FSM_MOST_INPUTS], output[FSM_MOST_OUTPUTS];
};

/* Between these two the floating-point environment is the default one. */
void fsm_request_open(struct fsm_request *r, int dtype, const fastsoftmax_shape *shape,
                      const fastsoftmax_options *options, int options_taken);

/* Arrays of the logits' dtype, with or without a class axis. */
void fsm_request_input(struct fsm_request *r, const char *name, const fastsoftmax_input *array,
                       struct fsm_view *view);
void fsm_request_output(struct fsm_request *r, const char *name, const fastsoftmax_output *array, int has_classes,
                        struct fsm_view *view);

/* `items` elements side by side that are written; nothing where data is NULL. */
void fsm_request_output_vector(struct fsm_request *r, const char *name, void *data, size_t items, size_t item);

/* Labels or probabilities; labels are only looked at by fsm_request_check. */
void fsm_request_targets(struct fsm_request *r, const fastsoftmax_targets *targets);

/* What is seen in the elements themselves, and in the arrays together: labels, weights, overlaps. An output may be at
   the very place of the first `in_place` inputs if it is the first one. Returns the total weight of what counts for a
   mean, if there are targets. */
double fsm_request_check(struct fsm_request *r, int in_place);

void fsm_request_refuse(struct fsm_request *r, int status, const char *argument, ptrdiff_t index);

/* The status, with the caller's fastsoftmax_error filled in unless it is FASTSOFTMAX_OK. */
int fsm_request_close(const struct fsm_request *r);

#endif
