#include "guard_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "guard_calls.h"

enum { LINE = 64, MARK = 0xA5 };
enum { STATE_NUMBERS = 8, ROW_NUMBERS = 5 }; /* see kernel/shards.h */

int is_possible(const struct guard_case *c) {
    const struct guard_task *task = c->task;
    const int is_of_shards =
        task->operation == FSM_OPERATION_partial_state || task->operation == FSM_OPERATION_shard_exponentials;
    if (task->hessian == FSM_HESSIAN_LIGHTGBM && c->problem->classes == 1) return 0; /* K / (K - 1) is nothing */
    if ((c->streams || c->in_place) && !(task->parts & OUT)) return 0;
    if (c->streams && task->options & WITH_WHERE) return 0; /* is never streamed */
    if (c->caller == PUBLIC && task->operation == FSM_OPERATION_grad_hess && task->options & WITH_IGNORED) return 0;
    return c->caller != PUBLIC || !is_of_shards;
}

static size_t outer_of(const struct guard_case *c) { return layout_outer(c->input_layout, c->problem->rows); }

static size_t row_numbers(const struct guard_task *task) {
    if (task->operation == FSM_OPERATION_partial_state) return STATE_NUMBERS;
    return task->operation == FSM_OPERATION_shard_exponentials ? ROW_NUMBERS : 0;
}

static void lay_out(const struct guard_case *c, struct images *images, enum array array, size_t layout,
                    size_t element, size_t classes) {
    const size_t outer = outer_of(c), inner = c->problem->rows / outer;
    images->of[array].extent = find_extent(layout, element, outer, inner, classes);
    images->of[array].element = element;
}

static void lay_out_vector(struct images *images, enum array array, size_t count, size_t element) {
    images->of[array].extent = (struct extent){.bytes = count * element, .classes = (ptrdiff_t)element};
    images->of[array].element = element;
}

/* All but what is the kernel's own. */
static void lay_out_arguments(const struct guard_case *c, struct images *images) {
    const struct guard_task *task = c->task;
    const size_t item = c->problem->format->bytes, classes = c->problem->classes;
    const size_t in = c->input_layout, out = c->output_layout;
    const size_t mean_item = c->caller == PUBLIC ? item : sizeof(double);
    const int has_labels = task->targets == LABELS, has_other = task->targets == SOFT || task->targets == ONE_HOT;
    lay_out(c, images, INPUT, in, item, classes);
    if (has_other) lay_out(c, images, OTHER, out, item, classes);
    if (task->options & WITH_WHERE) lay_out(c, images, KEPT, in, 1, classes);
    if (has_labels) lay_out(c, images, LABEL, out, task->options & NARROW_LABELS ? 4 : 8, 1);
    if (task->options & WITH_WEIGHTS) {
        lay_out(c, images, SAMPLE_WEIGHT, in, sizeof(double), 1);
        if (task->operation == FSM_OPERATION_cross_entropy)
            lay_out_vector(images, CLASS_WEIGHT, classes, sizeof(double));
    }
    if (row_numbers(task) > 0) lay_out(c, images, NUMBERS, out, sizeof(double), row_numbers(task));
    if (task->parts & OUT && !c->in_place) lay_out(c, images, GRADIENT, out, item, classes);
    if (task->parts & HESS) lay_out(c, images, HESSIAN, in, item, classes);
    if (task->parts & LOSSES) lay_out(c, images, LOSS_OF_ROW, out, item, 1);
    if (task->parts & LOSS && c->caller != KERNEL_ITSELF) lay_out_vector(images, TOTAL_LOSS, 1, sizeof(double));
    if (task->parts & MEAN_GRAD && c->caller != KERNEL_ITSELF)
        lay_out_vector(images, MEAN_GRADIENT, classes, mean_item);
}

/* What fsm_run would give a kernel, in lines of the cache. */
static void lay_out_own(const struct guard_case *c, struct images *images) {
    if (c->caller != KERNEL_ITSELF) return;
    const size_t scratch = scratch_bytes(c, images);
    images->of[CHUNK_LOSS] = (struct image){.extent = {.bytes = sizeof(struct fsm_loss)}, .element = sizeof(double)};
    if (scratch > 0) images->of[SCRATCH] = (struct image){.extent = {.bytes = scratch}, .element = LINE};
    if (c->task->parts & MEAN_GRAD)
        images->of[MEAN_GRADIENT] = (struct image){
            .extent = {.bytes = 2 * fsm_mean_pitch(c->problem->classes) * sizeof(double)}, .element = LINE};
}

static char *element_of(const struct guard_case *c, const struct image *image, size_t sample, size_t k) {
    const struct fsm_view v = view_at(&image->extent, image->before);
    const size_t inner = c->problem->rows / outer_of(c);
    return v.data + (ptrdiff_t)(sample / inner) * v.outer + (ptrdiff_t)(sample % inner) * v.inner +
           (ptrdiff_t)k * v.classes;
}

static void put_values(const struct guard_case *c, const struct image *image, const double *values) {
    if (image->extent.bytes == 0) return;
    for (size_t i = 0; i < c->problem->rows; i++)
        for (size_t k = 0; k < c->problem->classes; k++)
            format_store(c->problem->format, element_of(c, image, i, k), *values++);
}

/* Every seventh sample is ignored, where some are. */
static void put_labels(const struct guard_case *c, const struct image *image) {
    for (size_t i = 0; image->extent.bytes > 0 && i < c->problem->rows; i++) {
        const int is_ignored = c->task->options & WITH_IGNORED && i % 7 == 3;
        const int64_t wide = is_ignored ? IGNORED_LABEL : c->problem->labels[i];
        const int32_t narrow = (int32_t)wide;
        memcpy(element_of(c, image, i, 0), image->element == 8 ? (const void *)&wide : (const void *)&narrow,
               image->element);
    }
}

static void put_options(const struct guard_case *c, const struct images *images) {
    const size_t rows = c->problem->rows, classes = c->problem->classes;
    for (size_t i = 0; images->of[KEPT].extent.bytes > 0 && i < rows; i++)
        for (size_t k = 0; k < classes; k++) *element_of(c, &images->of[KEPT], i, k) = (i + 3 * k) % 5 != 0;
    for (size_t i = 0; images->of[SAMPLE_WEIGHT].extent.bytes > 0 && i < rows; i++)
        *(double *)element_of(c, &images->of[SAMPLE_WEIGHT], i, 0) = 0.25 * (double)(i % 6);
    for (size_t k = 0; images->of[CLASS_WEIGHT].extent.bytes > 0 && k < classes; k++)
        ((double *)images->of[CLASS_WEIGHT].before)[k] = 0.5 + (double)(k % 4);
}

/* A row's maximum, the share of its exponentials, and no class apart: any numbers would do. */
static void put_numbers_of_shards(const struct guard_case *c, const struct image *image) {
    if (c->task->operation != FSM_OPERATION_shard_exponentials) return;
    for (size_t i = 0; i < c->problem->rows; i++) {
        const double numbers[ROW_NUMBERS] = {c->problem->logits[i * c->problem->classes], 0.125, 0, 1,
                                             i % 2 ? -0.5 : (double)NAN};
        for (size_t n = 0; n < ROW_NUMBERS; n++) *(double *)element_of(c, image, i, n) = numbers[n];
    }
}

static void fill(const struct guard_case *c, const struct images *images) {
    const struct problem *p = c->problem;
    const int is_backward = c->task->operation == FSM_OPERATION_softmax_backward ||
                            c->task->operation == FSM_OPERATION_log_softmax_backward;
    put_values(c, &images->of[INPUT], is_backward ? p->grad_output : p->logits);
    put_values(c, &images->of[OTHER], c->task->targets == ONE_HOT ? p->one_hot : p->soft);
    put_labels(c, &images->of[LABEL]);
    put_options(c, images);
    put_numbers_of_shards(c, &images->of[NUMBERS]);
}

int make_images(const struct guard_case *c, struct images *images) {
    struct places places;
    memset(images, 0, sizeof *images);
    lay_out_arguments(c, images);
    lay_out_own(c, images);
    for (int array = 0; array < ARRAYS; array++) {
        struct image *image = &images->of[array];
        const size_t bytes = (image->extent.bytes + LINE - 1) / LINE * LINE;
        places.at[array] = NULL;
        if (bytes == 0) continue;
        image->before = aligned_alloc(LINE, bytes);
        image->after = aligned_alloc(LINE, bytes);
        if (image->before == NULL || image->after == NULL) return -1;
        memset(image->before, MARK, bytes);
        places.at[array] = image->after;
    }
    fill(c, images);
    for (int array = 0; array < ARRAYS; array++)
        if (places.at[array]) memcpy(places.at[array], images->of[array].before, images->of[array].extent.bytes);
    return call_at(c, images, &places) == 0 ? 0 : 1;
}

void free_images(struct images *images) {
    for (int array = 0; array < ARRAYS; array++) {
        free(images->of[array].before);
        free(images->of[array].after);
    }
}
