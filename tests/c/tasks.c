#include "tasks.h"

#define OPERATION(name) FSM_OPERATION_##name

const struct task tasks[TASKS] = {
    {"softmax", OPERATION(softmax), NO_TARGETS, OUT, 0, 0},
    {"log_softmax", OPERATION(log_softmax), NO_TARGETS, OUT, 0, 0},
    {"logsumexp", OPERATION(logsumexp), NO_TARGETS, LOSSES, 0, 0},
    {"softmax_backward", OPERATION(softmax_backward), NO_TARGETS, OUT, 0, 0},
    {"log_softmax_backward", OPERATION(log_softmax_backward), NO_TARGETS, OUT, 0, 0},
    {"cross_entropy, labels", OPERATION(cross_entropy), LABELS, OUT | LOSSES, 0, 0},
    {"cross_entropy, one-hot", OPERATION(cross_entropy), ONE_HOT, OUT | LOSSES, 0, 0},
    {"cross_entropy, soft", OPERATION(cross_entropy), SOFT, OUT | LOSSES, 0, 0},
    {"mean cross_entropy, labels", OPERATION(cross_entropy), LABELS, OUT | LOSS, 1, 0},
    {"mean cross_entropy, soft", OPERATION(cross_entropy), SOFT, OUT | LOSS, 1, 0},
    {"mean gradient, labels", OPERATION(cross_entropy), LABELS, LOSS | MEAN_GRAD, 1, 0},
    {"mean gradient, soft", OPERATION(cross_entropy), SOFT, LOSS | MEAN_GRAD, 1, 0},
    {"grad_hess, labels", OPERATION(grad_hess), LABELS, OUT | HESS, 0, FSM_HESSIAN_EXACT},
    {"grad_hess, xgboost", OPERATION(grad_hess), LABELS, OUT | HESS, 0, FSM_HESSIAN_XGBOOST},
    {"grad_hess, lightgbm", OPERATION(grad_hess), LABELS, OUT | HESS, 0, FSM_HESSIAN_LIGHTGBM},
    {"grad_hess, soft", OPERATION(grad_hess), SOFT, OUT | HESS, 0, FSM_HESSIAN_EXACT},
    {"shard's logsumexp", OPERATION(partial_state), NO_TARGETS, LOSSES, 0, 0},
    {"shard's loss, soft", OPERATION(partial_state), SOFT, LOSSES, 0, 0},
    {"shard's softmax", OPERATION(shard_exponentials), NO_TARGETS, OUT, 0, 0},
    {"shard's gradient, soft", OPERATION(shard_exponentials), SOFT, OUT, 0, 0},
};

const char *part_name(enum part part) {
    static const char *const names[PARTS] = {"out", "hessian", "per row", "loss", "mean gradient"};
    return names[part];
}

double part_bound(const struct task *task, enum part part) {
    const int is_softmax = task->operation == FSM_OPERATION_softmax ||
                           (task->operation == FSM_OPERATION_shard_exponentials && task->targets == NO_TARGETS);
    (void)part;
    return is_softmax ? 2 : 4;
}
