#include "request.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "labels.h"
#include "setup.h"
#include "two_sum.h"

enum { MOST_THREADS = 1024 }; /* more are never started, whatever is asked for */

void fsm_request_refuse(struct fsm_request *r, int status, const char *argument, ptrdiff_t index) {
    if (r->status != FASTSOFTMAX_OK) return;
    r->status = status;
    r->error = (fastsoftmax_error){argument, index};
}

static void refuse(struct fsm_request *r, int status, const char *argument) {
    fsm_request_refuse(r, status, argument, -1);
}

int fsm_request_close(const struct fsm_request *r) {
    if (r->status != FASTSOFTMAX_OK && r->options.error != NULL) *r->options.error = r->error;
    fsm_leave_environment(r->environment);
    return r->status;
}

/* Options of the first version of the header: no caller has fewer. */
static const size_t FEWEST_OPTIONS = offsetof(fastsoftmax_options, hessian) + sizeof(int);

/* The caller may have been compiled against a header with fewer options, or with more: these have to be 0 then. */
static void read_options(struct fsm_request *r, const fastsoftmax_options *options) {
    const size_t known = sizeof r->options;
    memset(&r->options, 0, known);
    if (options == NULL) return;
    if (options->size < FEWEST_OPTIONS) {
        refuse(r, FASTSOFTMAX_ERROR_OPTION, "size");
        return;
    }
    memcpy(&r->options, options, options->size < known ? options->size : known);
    for (size_t i = known; i < options->size; i++)
        if (((const char *)options)[i] != 0) refuse(r, FASTSOFTMAX_ERROR_OPTION, "size");
}

static void check_options(struct fsm_request *r, int taken) {
    const fastsoftmax_options *o = &r->options;
    if (o->where.data != NULL && !(taken & FSM_TAKES_WHERE)) refuse(r, FASTSOFTMAX_ERROR_OPTION, "where");
    if (o->sample_weight.data != NULL && !(taken & FSM_TAKES_SAMPLE_WEIGHT))
        refuse(r, FASTSOFTMAX_ERROR_OPTION, "sample_weight");
    const int losses = taken & FSM_TAKES_LOSS_OPTIONS;
    if (o->class_weight != NULL && !losses) refuse(r, FASTSOFTMAX_ERROR_OPTION, "class_weight");
    if (!(o->label_smoothing >= 0 && o->label_smoothing <= (losses ? 1 : 0)))
        refuse(r, FASTSOFTMAX_ERROR_OPTION, "label_smoothing");
    if (o->has_ignore_index && !losses) refuse(r, FASTSOFTMAX_ERROR_OPTION, "ignore_index");
    if (o->reduction < 0 || o->reduction > (losses ? FASTSOFTMAX_SUM : 0))
        refuse(r, FASTSOFTMAX_ERROR_OPTION, "reduction");
    if (o->hessian < 0 || o->hessian > (taken & FSM_TAKES_HESSIAN ? FASTSOFTMAX_HESSIAN_LIGHTGBM : 0))
        refuse(r, FASTSOFTMAX_ERROR_OPTION, "hessian");
    if (o->hessian == FASTSOFTMAX_HESSIAN_LIGHTGBM && r->job.classes == 1)
        refuse(r, FASTSOFTMAX_ERROR_OPTION, "hessian");
}

static size_t item_size(int dtype) {
    if (dtype == FASTSOFTMAX_FLOAT32) return sizeof(float);
    if (dtype == FASTSOFTMAX_FLOAT64) return sizeof(double);
    return sizeof(uint16_t);
}

static size_t alignment_of(size_t item) {
    if (item == sizeof(double)) return _Alignof(double) > _Alignof(int64_t) ? _Alignof(double) : _Alignof(int64_t);
    return item;
}

static int multiplies_to_more(size_t a, size_t b, size_t most) { return b != 0 && a > most / b; }

static void check_shape(struct fsm_request *r, const fastsoftmax_shape *shape) {
    const size_t most = PTRDIFF_MAX / 16;
    if (shape == NULL) {
        refuse(r, FASTSOFTMAX_ERROR_NULL, "shape");
        return;
    }
    if (shape->classes == 0) refuse(r, FASTSOFTMAX_ERROR_CLASSES, "shape");
    if (shape->classes > most || multiplies_to_more(shape->outer, shape->inner, most) ||
        multiplies_to_more(shape->outer * shape->inner, shape->classes, most))
        refuse(r, FASTSOFTMAX_ERROR_SIZE, "shape");
    r->job.outer = shape->outer;
    r->job.inner = shape->inner;
    r->job.classes = shape->classes;
    r->samples = shape->outer * shape->inner;
}

static void find_threads(struct fsm_request *r) {
    r->threads = r->options.num_threads > 0 ? r->options.num_threads : fsm_default_threads();
    if (r->threads > MOST_THREADS) r->threads = MOST_THREADS;
    if (r->threads == 0) refuse(r, FASTSOFTMAX_ERROR_ENVIRONMENT, "FASTSOFTMAX_NUM_THREADS");
    if (fsm_setup() < 0) refuse(r, FASTSOFTMAX_ERROR_ENVIRONMENT, "FASTSOFTMAX_ISA");
}

/* Where an array's elements lie, with the address, the strides and the size of an item found to be sound. */
static int place(struct fsm_request *r, const char *name, const void *data, const ptrdiff_t *strides, size_t item,
                 int has_classes, struct fsm_footprint *print) {
    const struct fsm_job *job = &r->job;
    const ptrdiff_t aligned = (ptrdiff_t)alignment_of(item);
    *print = (struct fsm_footprint){data, item, {job->outer, job->inner, has_classes ? job->classes : 1}, {0}};
    /* The step along an axis of length 1 may be any number, and is not taken. */
    for (int i = 0; i < FSM_AXES; i++) print->stride[i] = print->count[i] == 1 ? (ptrdiff_t)item : strides[i];
    if (r->status != FASTSOFTMAX_OK || r->samples == 0) return 0;
    if (data == NULL) refuse(r, FASTSOFTMAX_ERROR_NULL, name);
    if (!fsm_footprint_is_finite(print)) refuse(r, FASTSOFTMAX_ERROR_SIZE, name);
    int is_aligned = (uintptr_t)data % (size_t)aligned == 0;
    for (int i = 0; i < FSM_AXES; i++) is_aligned &= print->count[i] == 1 || print->stride[i] % aligned == 0;
    if (!is_aligned) refuse(r, FASTSOFTMAX_ERROR_ALIGNMENT, name);
    return r->status == FASTSOFTMAX_OK;
}

static void note_input(struct fsm_request *r, const char *name, const struct fsm_footprint *print) {
    r->input_name[r->inputs] = name;
    r->input[r->inputs++] = *print;
}

static void read_from(struct fsm_request *r, const char *name, const void *data, const ptrdiff_t *strides,
                      size_t item, int has_classes, struct fsm_view *view) {
    struct fsm_footprint print;
    if (!place(r, name, data, strides, item, has_classes, &print)) return;
    note_input(r, name, &print);
    /* Kernels do not write to inputs; their views are of one type for both. */
    *view = (struct fsm_view){(char *)(uintptr_t)data, print.stride[0], print.stride[1], print.stride[2]};
}

static void write_to(struct fsm_request *r, const char *name, const struct fsm_footprint *print) {
    if (fsm_overlaps_itself(print)) refuse(r, FASTSOFTMAX_ERROR_OVERLAP, name);
    r->output_name[r->outputs] = name;
    r->output[r->outputs++] = *print;
}

void fsm_request_input(struct fsm_request *r, const char *name, const fastsoftmax_input *array,
                       struct fsm_view *view) {
    if (array == NULL) {
        refuse(r, FASTSOFTMAX_ERROR_NULL, name);
        return;
    }
    const ptrdiff_t strides[] = {array->outer, array->inner, array->classes};
    read_from(r, name, array->data, strides, item_size((int)r->job.storage), 1, view);
}

void fsm_request_output(struct fsm_request *r, const char *name, const fastsoftmax_output *array, int has_classes,
                        struct fsm_view *view) {
    struct fsm_footprint print;
    if (array == NULL) {
        refuse(r, FASTSOFTMAX_ERROR_NULL, name);
        return;
    }
    const ptrdiff_t strides[] = {array->outer, array->inner, array->classes};
    if (!place(r, name, array->data, strides, item_size((int)r->job.storage), has_classes, &print)) return;
    write_to(r, name, &print);
    *view = (struct fsm_view){array->data, print.stride[0], print.stride[1], print.stride[2]};
}

/* Elements side by side, which are there even without samples. */
static int place_vector(struct fsm_request *r, const char *name, const void *data, size_t items, size_t item,
                        struct fsm_footprint *print) {
    if (data == NULL || r->status != FASTSOFTMAX_OK) return 0;
    *print = (struct fsm_footprint){data, item, {1, 1, items}, {0, 0, (ptrdiff_t)item}};
    if ((uintptr_t)data % alignment_of(item) != 0) refuse(r, FASTSOFTMAX_ERROR_ALIGNMENT, name);
    if (!fsm_footprint_is_finite(print)) refuse(r, FASTSOFTMAX_ERROR_SIZE, name);
    return r->status == FASTSOFTMAX_OK;
}

static void read_from_vector(struct fsm_request *r, const char *name, const void *data, size_t items, size_t item) {
    struct fsm_footprint print;
    if (place_vector(r, name, data, items, item, &print)) note_input(r, name, &print);
}

void fsm_request_output_vector(struct fsm_request *r, const char *name, void *data, size_t items, size_t item) {
    struct fsm_footprint print;
    if (place_vector(r, name, data, items, item, &print)) write_to(r, name, &print);
}

void fsm_request_targets(struct fsm_request *r, const fastsoftmax_targets *targets) {
    if (targets == NULL) {
        refuse(r, FASTSOFTMAX_ERROR_NULL, "targets");
        return;
    }
    const ptrdiff_t strides[] = {targets->outer, targets->inner, targets->classes};
    const int are_labels = targets->kind != FASTSOFTMAX_PROBABILITIES;
    if (targets->kind < 0 || targets->kind > FASTSOFTMAX_PROBABILITIES) refuse(r, FASTSOFTMAX_ERROR_DTYPE, "targets");
    if (!are_labels && r->options.has_ignore_index) refuse(r, FASTSOFTMAX_ERROR_OPTION, "ignore_index");
    r->job.labels_are_64_bit = targets->kind == FASTSOFTMAX_LABELS_INT64;
    const size_t label = r->job.labels_are_64_bit ? sizeof(int64_t) : sizeof(int32_t);
    read_from(r, "targets", targets->data, strides, are_labels ? label : item_size((int)r->job.storage), !are_labels,
              are_labels ? &r->job.labels : &r->job.other);
}

static void take_options(struct fsm_request *r) {
    struct fsm_job *job = &r->job;
    const fastsoftmax_options *o = &r->options;
    job->class_weight = o->class_weight;
    job->label_smoothing = o->label_smoothing;
    job->has_ignore_index = o->has_ignore_index != 0;
    job->ignore_index = o->ignore_index;
    job->hessian = (enum fsm_hessian)o->hessian;
    job->divisor = 1;
}

static void take_option_arrays(struct fsm_request *r) {
    const fastsoftmax_options *o = &r->options;
    const ptrdiff_t where[] = {o->where.outer, o->where.inner, o->where.classes};
    const ptrdiff_t weight[] = {o->sample_weight.outer, o->sample_weight.inner, 0};
    if (o->where.data != NULL) read_from(r, "where", o->where.data, where, 1, 1, &r->job.where);
    if (o->sample_weight.data != NULL)
        read_from(r, "sample_weight", o->sample_weight.data, weight, sizeof(double), 0, &r->job.sample_weight);
    read_from_vector(r, "class_weight", o->class_weight, r->job.classes, sizeof(double));
}

void fsm_request_open(struct fsm_request *r, int dtype, const fastsoftmax_shape *shape,
                      const fastsoftmax_options *options, int options_taken) {
    memset(r, 0, sizeof *r);
    r->environment = fsm_enter_environment();
    read_options(r, options);
    if (dtype < FASTSOFTMAX_FLOAT32 || dtype > FASTSOFTMAX_BFLOAT16) refuse(r, FASTSOFTMAX_ERROR_DTYPE, "dtype");
    check_shape(r, shape);
    check_options(r, options_taken);
    find_threads(r);
    if (r->status != FASTSOFTMAX_OK) return;
    r->job.storage = (enum fsm_storage)dtype;
    take_options(r);
}

static void check_class_weight(struct fsm_request *r) {
    const double *weight = r->job.class_weight;
    for (size_t k = 0; weight != NULL && k < r->job.classes; k++)
        if (!(weight[k] >= 0)) {
            fsm_request_refuse(r, FASTSOFTMAX_ERROR_WEIGHT, "class_weight", (ptrdiff_t)k);
            return;
        }
}

/* The sum of the sample weights, as if in twice the precision. */
static double check_sample_weight(struct fsm_request *r) {
    const struct fsm_view *view = &r->job.sample_weight;
    double total = 0, lost = 0;
    if (view->data == NULL) return (double)r->samples;
    for (size_t a = 0; a < r->job.outer; a++)
        for (size_t b = 0; b < r->job.inner; b++) {
            const double weight =
                *(const double *)(view->data + (ptrdiff_t)a * view->outer + (ptrdiff_t)b * view->inner);
            if (!(weight >= 0)) {
                const ptrdiff_t sample = (ptrdiff_t)(a * r->job.inner + b);
                fsm_request_refuse(r, FASTSOFTMAX_ERROR_WEIGHT, "sample_weight", sample);
                return 0;
            }
            const double sum = total + weight;
            lost += fsm_sum_error(total, weight, sum);
            total = sum;
        }
    return isfinite(total) ? total + lost : total;
}

static double check_labels(struct fsm_request *r) {
    const struct fsm_label_summary labels = fsm_check_labels(&r->job);
    if (labels.first_bad >= 0) fsm_request_refuse(r, FASTSOFTMAX_ERROR_LABEL, "targets", labels.first_bad);
    return labels.total_weight;
}

static void check_outputs(struct fsm_request *r, int in_place) {
    for (int i = 0; i < r->outputs; i++) {
        for (int j = 0; j < r->inputs; j++) {
            if (i == 0 && j < in_place && fsm_is_same_place(&r->output[i], &r->input[j])) continue;
            if (fsm_overlap(&r->output[i], &r->input[j])) refuse(r, FASTSOFTMAX_ERROR_OVERLAP, r->output_name[i]);
        }
        for (int j = 0; j < i; j++)
            if (fsm_overlap(&r->output[i], &r->output[j])) refuse(r, FASTSOFTMAX_ERROR_OVERLAP, r->output_name[i]);
    }
}

double fsm_request_check(struct fsm_request *r, int in_place) {
    take_option_arrays(r);
    if (r->status != FASTSOFTMAX_OK) return 0;
    check_outputs(r, r->samples > 0 ? in_place : 0); /* without samples there are vectors alone */
    if (r->status != FASTSOFTMAX_OK) return 0;
    check_class_weight(r);
    double total = check_sample_weight(r);
    if (r->status == FASTSOFTMAX_OK && r->job.labels.data != NULL) total = check_labels(r);
    return total;
}
