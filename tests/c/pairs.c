#include "run.h"
#include "sweeps.h"

static struct fsm_view view_of(const void *data, size_t item, size_t row, int has_classes) {
    return (struct fsm_view){(char *)(uintptr_t)data, 0, (ptrdiff_t)(row * item), has_classes ? (ptrdiff_t)item : 0};
}

int solve_pairs(const void *logits, size_t rows, int is_float64, void *softmax, void *losses, void *logsumexp) {
    static const int32_t label = 0;
    const size_t item = is_float64 ? sizeof(double) : sizeof(float);
    const struct fsm_job plain = {.outer = 1,
                                  .inner = rows,
                                  .classes = 2,
                                  .storage = is_float64 ? FSM_FLOAT64 : FSM_FLOAT32,
                                  .input = view_of(logits, item, 2, 1),
                                  .divisor = 1};
    struct fsm_job job = plain;
    job.out = view_of(softmax, item, 2, 1);
    int status = fsm_run(&job, FSM_OPERATION_softmax, 1, NULL, NULL);
    job = plain;
    job.losses = view_of(logsumexp, item, 1, 0);
    if (status == 0) status = fsm_run(&job, FSM_OPERATION_logsumexp, 1, NULL, NULL);
    job = plain;
    job.labels = (struct fsm_view){(char *)(uintptr_t)&label, 0, 0, 0};
    job.losses = view_of(losses, item, 1, 0);
    job.want_loss = 1;
    return status < 0 ? status : fsm_run(&job, FSM_OPERATION_cross_entropy, 1, NULL, NULL);
}
