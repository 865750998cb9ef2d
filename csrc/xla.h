/* The kernels as custom calls of XLA, for JAX: no Python, and no GIL. */
#ifndef FSM_XLA_H
#define FSM_XLA_H

#include "xla_ffi.h"

typedef struct xla_error *fsm_xla_handler(struct xla_call_frame *frame);

/* Arrays are in C order. Attributes of each, both int64: `trailing`, the number of axes after that of the classes,
   and `threads`. */
struct fsm_xla_target {
    const char *name;
    fsm_xla_handler *handler;
};

/* (x[, where]) -> out: softmax, log_softmax
   (logits, targets) -> losses[, grad]: cross_entropy, the gradient being that of each sample's own loss. Labels out
   of range have a loss and a gradient of 0. */
extern const struct fsm_xla_target fsm_xla_targets[];
extern const size_t fsm_xla_target_count;

#endif
