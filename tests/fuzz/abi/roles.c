/* What the functions take, as the header has it. */
#include "call.h"

static const unsigned needed[FUNCTIONS] = {
    [SOFTMAX] = ROLE(INPUT) | ROLE(OUT),
    [LOG_SOFTMAX] = ROLE(INPUT) | ROLE(OUT),
    [LOGSUMEXP] = ROLE(INPUT) | ROLE(LOSSES),
    [SOFTMAX_BACKWARD] = ROLE(INPUT) | ROLE(OTHER) | ROLE(OUT),
    [LOG_SOFTMAX_BACKWARD] = ROLE(INPUT) | ROLE(OTHER) | ROLE(OUT),
    [CROSS_ENTROPY] = ROLE(INPUT) | ROLE(TARGETS),
    [GRAD_HESS] = ROLE(INPUT) | ROLE(TARGETS) | ROLE(OUT) | ROLE(HESS),
};

static const unsigned optional[FUNCTIONS] = {
    [SOFTMAX] = ROLE(WHERE),
    [LOG_SOFTMAX] = ROLE(WHERE),
    [LOGSUMEXP] = ROLE(WHERE),
    [CROSS_ENTROPY] =
        ROLE(SAMPLE_WEIGHT) | ROLE(CLASS_WEIGHT) | ROLE(OUT) | ROLE(LOSSES) | ROLE(MEAN_GRAD) | ROLE(LOSS),
    [GRAD_HESS] = ROLE(SAMPLE_WEIGHT),
};

unsigned optional_roles_of(enum function function) { return optional[function]; }
unsigned roles_of(enum function function) { return needed[function] | optional[function]; }

const char *role_name(enum function function, enum role role) {
    const int is_backward = function == SOFTMAX_BACKWARD || function == LOG_SOFTMAX_BACKWARD;
    switch (role) {
    case INPUT: return is_backward ? "grad_output" : "logits";
    case OTHER: return "output";
    case TARGETS: return "targets";
    case WHERE: return "where";
    case SAMPLE_WEIGHT: return "sample_weight";
    case CLASS_WEIGHT: return "class_weight";
    case OUT: return function == CROSS_ENTROPY || function == GRAD_HESS ? "grad" : "out";
    case HESS: return "hess";
    case LOSSES: return function == CROSS_ENTROPY ? "losses" : "out";
    case MEAN_GRAD: return "mean_grad";
    case LOSS: return "loss";
    }
    return "";
}

int is_output(enum role role) { return role >= FIRST_OUTPUT; }

int has_classes(const struct call *call, enum role role) {
    switch (role) {
    case TARGETS: return call->kind == FASTSOFTMAX_PROBABILITIES;
    case SAMPLE_WEIGHT:
    case LOSSES:
    case LOSS: return 0;
    default: return 1;
    }
}

size_t sample_count(const struct call *call) { return call->shape.outer * call->shape.inner; }
