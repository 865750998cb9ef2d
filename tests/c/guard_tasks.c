#include "guard_tasks.h"

#define OPERATION(name) FSM_OPERATION_##name

const struct guard_task guard_tasks[GUARD_TASKS] = {
    {"softmax", OPERATION(softmax), NO_TARGETS, OUT, 0, 0},
    {"softmax, where", OPERATION(softmax), NO_TARGETS, OUT, WITH_WHERE, 0},
    {"log_softmax", OPERATION(log_softmax), NO_TARGETS, OUT, 0, 0},
    {"log_softmax, where", OPERATION(log_softmax), NO_TARGETS, OUT, WITH_WHERE, 0},
    {"logsumexp", OPERATION(logsumexp), NO_TARGETS, LOSSES, 0, 0},
    {"logsumexp, where", OPERATION(logsumexp), NO_TARGETS, LOSSES, WITH_WHERE, 0},
    {"softmax_backward", OPERATION(softmax_backward), SOFT, OUT, 0, 0},
    {"log_softmax_backward", OPERATION(log_softmax_backward), SOFT, OUT, 0, 0},
    {"labels: losses", OPERATION(cross_entropy), LABELS, LOSSES | LOSS, 0, 0},
    {"labels: gradient", OPERATION(cross_entropy), LABELS, OUT, 0, 0},
    {"labels: gradient, losses", OPERATION(cross_entropy), LABELS, OUT | LOSSES | LOSS, NARROW_LABELS, 0},
    {"labels: mean gradient", OPERATION(cross_entropy), LABELS, LOSS | MEAN_GRAD, 0, 0},
    {"labels: everything", OPERATION(cross_entropy), LABELS, OUT | LOSSES | LOSS | MEAN_GRAD, NARROW_LABELS, 0},
    {"labels, weights", OPERATION(cross_entropy), LABELS, OUT | LOSSES | LOSS, WITH_WEIGHTS | WITH_IGNORED, 0},
    {"labels, weights: mean gradient", OPERATION(cross_entropy), LABELS, MEAN_GRAD, WITH_WEIGHTS | WITH_IGNORED, 0},
    {"smoothed labels", OPERATION(cross_entropy), LABELS, OUT | LOSSES, SMOOTHED, 0},
    {"smoothed labels: mean gradient", OPERATION(cross_entropy), LABELS, MEAN_GRAD, SMOOTHED | NARROW_LABELS, 0},
    {"smoothed labels, weights: everything", OPERATION(cross_entropy), LABELS, OUT | LOSSES | LOSS | MEAN_GRAD,
     SMOOTHED | WITH_WEIGHTS | WITH_IGNORED | NARROW_LABELS, 0},
    {"soft: losses", OPERATION(cross_entropy), SOFT, LOSSES | LOSS, 0, 0},
    {"soft: gradient", OPERATION(cross_entropy), SOFT, OUT, 0, 0},
    {"soft: mean gradient", OPERATION(cross_entropy), SOFT, LOSS | MEAN_GRAD, 0, 0},
    {"soft, weights: everything", OPERATION(cross_entropy), SOFT, OUT | LOSSES | LOSS | MEAN_GRAD, WITH_WEIGHTS, 0},
    {"smoothed soft, weights: gradient", OPERATION(cross_entropy), SOFT, OUT | LOSSES, SMOOTHED | WITH_WEIGHTS, 0},
    {"smoothed soft: mean gradient", OPERATION(cross_entropy), SOFT, MEAN_GRAD, SMOOTHED, 0},
    {"one-hot: everything", OPERATION(cross_entropy), ONE_HOT, OUT | LOSSES | LOSS | MEAN_GRAD, 0, 0},
    {"grad_hess, labels", OPERATION(grad_hess), LABELS, OUT | HESS, 0, FSM_HESSIAN_EXACT},
    {"grad_hess, labels, weights", OPERATION(grad_hess), LABELS, OUT | HESS, WITH_WEIGHTS, FSM_HESSIAN_XGBOOST},
    {"grad_hess, narrow labels", OPERATION(grad_hess), LABELS, OUT | HESS, NARROW_LABELS, FSM_HESSIAN_LIGHTGBM},
    {"grad_hess, soft", OPERATION(grad_hess), SOFT, OUT | HESS, 0, FSM_HESSIAN_EXACT},
    {"grad_hess, soft, weights", OPERATION(grad_hess), SOFT, OUT | HESS, WITH_WEIGHTS, FSM_HESSIAN_XGBOOST},
    {"shard's state", OPERATION(partial_state), NO_TARGETS, 0, 0, 0},
    {"shard's state, soft", OPERATION(partial_state), SOFT, 0, 0, 0},
    {"shard's softmax", OPERATION(shard_exponentials), NO_TARGETS, OUT, 0, 0},
    {"shard's gradient, soft", OPERATION(shard_exponentials), SOFT, OUT, 0, 0},
};

const char *array_name(enum array array) {
    static const char *const names[ARRAYS] = {"logits or grad_output",
                                              "targets or output",
                                              "where",
                                              "labels",
                                              "sample weights",
                                              "class weights",
                                              "numbers of shards",
                                              "output",
                                              "hessian",
                                              "per row",
                                              "loss",
                                              "mean gradient",
                                              "sums of losses",
                                              "scratch memory"};
    return names[array];
}
