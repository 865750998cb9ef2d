#include "labels.h"

#include "two_sum.h"

/* Read once, so that a label whose class has a weight is the label that was found in range, whatever the caller's
   other threads write meanwhile. */
static int64_t label_at(const struct fsm_job *job, const char *p) {
    return job->labels_are_64_bit ? *(const volatile int64_t *)p : *(const volatile int32_t *)p;
}

static int is_ignored(const struct fsm_job *job, int64_t label) {
    return job->has_ignore_index && label == job->ignore_index;
}

static double weight_at(const struct fsm_job *job, size_t outer, size_t inner, int64_t label) {
    double weight = job->class_weight ? job->class_weight[label] : 1;
    const struct fsm_view *view = &job->sample_weight;
    if (view->data == NULL) return weight;
    return weight * *(const double *)(view->data + (ptrdiff_t)outer * view->outer + (ptrdiff_t)inner * view->inner);
}

struct fsm_label_summary fsm_check_labels(const struct fsm_job *job) {
    struct fsm_label_summary summary = {-1, 0, 0};
    const int weighted = job->class_weight != NULL || job->sample_weight.data != NULL;
    double lost = 0; /* what rounding has taken from total_weight so far */
    for (size_t a = 0; a < job->outer; a++) {
        const char *p = job->labels.data + (ptrdiff_t)a * job->labels.outer;
        for (size_t b = 0; b < job->inner; b++, p += job->labels.inner) {
            const int64_t label = label_at(job, p);
            if (is_ignored(job, label)) continue;
            if (label < 0 || (uint64_t)label >= job->classes) {
                summary.first_bad = (ptrdiff_t)(a * job->inner + b);
                return summary;
            }
            summary.counted++;
            if (!weighted) continue;
            const double weight = weight_at(job, a, b, label), sum = summary.total_weight + weight;
            lost += fsm_sum_error(summary.total_weight, weight, sum);
            summary.total_weight = sum;
        }
    }
    summary.total_weight = weighted ? summary.total_weight + lost : (double)summary.counted;
    return summary;
}
