/* Checks integer labels before anything is computed from them. */
#ifndef FSM_LABELS_H
#define FSM_LABELS_H

#include "job.h"
#include "shared.h"

struct fsm_label_summary {
    ptrdiff_t first_bad; /* number of the first sample whose label is neither a class nor ignored, or -1 */
    size_t counted;      /* labels that are not ignored */
    double total_weight; /* the sum of their weights */
};

FSM_SHARED struct fsm_label_summary fsm_check_labels(const struct fsm_job *job);

#endif
