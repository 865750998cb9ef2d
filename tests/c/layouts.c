#include "layouts.h"

#include <stdlib.h>
#include <string.h>

enum { MARK = 0xA5, MARGIN = 64 };

/* In elements; of an array with `outer` times `inner` samples. */
struct strides {
    ptrdiff_t outer, inner, classes;
};

enum layout {
    ROWS,
    PADDED_ROWS,
    SPREAD_CLASSES,
    SAMPLES_SIDE_BY_SIDE,
    PADDED_SAMPLES,
    BACKWARDS,
    CLASSES_BACKWARDS,
    MIDDLE_AXIS,
    TWO_AXES
};

static struct strides strides_of(size_t layout, ptrdiff_t outer, ptrdiff_t inner, ptrdiff_t classes) {
    switch ((enum layout)layout) {
    case PADDED_ROWS: return (struct strides){inner * (classes + 3), classes + 3, 1};
    case SPREAD_CLASSES: return (struct strides){inner * (2 * classes + 1), 2 * classes + 1, 2};
    case SAMPLES_SIDE_BY_SIDE: return (struct strides){inner, 1, outer * inner};
    case PADDED_SAMPLES: return (struct strides){inner, 1, outer * inner + 5};
    case BACKWARDS: return (struct strides){-inner * classes, -classes, -1};
    case CLASSES_BACKWARDS: return (struct strides){inner * classes, classes, -1};
    case MIDDLE_AXIS: return (struct strides){inner * classes, 1, inner};
    case TWO_AXES: return (struct strides){inner * classes + 7, classes, 1};
    default: return (struct strides){inner * classes, classes, 1};
    }
}

const char *layout_name(size_t layout) {
    static const char *const names[LAYOUTS] = {
        "rows",      "padded rows",       "spread classes",        "samples side by side", "padded samples",
        "backwards", "classes backwards", "classes a middle axis", "samples of two axes"};
    return names[layout];
}

size_t layout_outer(size_t layout, size_t samples) {
    return (layout == MIDDLE_AXIS || layout == TWO_AXES) && samples % 2 == 0 ? 2 : 1;
}

struct extent find_extent(size_t layout, size_t element, size_t outer, size_t inner, size_t classes) {
    const struct strides s = strides_of(layout, (ptrdiff_t)outer, (ptrdiff_t)inner, (ptrdiff_t)classes);
    const ptrdiff_t step = (ptrdiff_t)element;
    const ptrdiff_t ends[] = {s.outer * (ptrdiff_t)(outer - 1), s.inner * (ptrdiff_t)(inner - 1),
                              s.classes * (ptrdiff_t)(classes - 1)};
    ptrdiff_t lowest = 0, highest = 0;
    for (int axis = 0; axis < 3; axis++) *(ends[axis] < 0 ? &lowest : &highest) += ends[axis];
    return (struct extent){.bytes = (size_t)(highest - lowest + 1) * element,
                           .first = (size_t)-lowest * element,
                           .outer = s.outer * step,
                           .inner = s.inner * step,
                           .classes = s.classes * step};
}

struct fsm_view view_at(const struct extent *extent, char *lowest) {
    return (struct fsm_view){lowest + extent->first, extent->outer, extent->inner, extent->classes};
}

int place(size_t layout, size_t shift, size_t element, size_t outer, size_t inner, size_t classes,
          struct placed *array) {
    const struct extent extent = find_extent(layout, element, outer, inner, classes);
    *array = (struct placed){.element = element, .outer = outer, .inner = inner, .classes = classes};
    array->bytes = (2 * MARGIN + extent.bytes + shift * element + 63) / 64 * 64;
    array->memory = aligned_alloc(64, array->bytes);
    if (array->memory == NULL) return -1;
    memset(array->memory, MARK, array->bytes);
    array->view = view_at(&extent, array->memory + MARGIN + shift * element);
    return 0;
}

void free_placed(struct placed *array) {
    free(array->memory);
    array->memory = NULL;
}

char *placed_element(const struct placed *array, size_t sample, size_t k) {
    const struct fsm_view *v = &array->view;
    return v->data + (ptrdiff_t)(sample / array->inner) * v->outer + (ptrdiff_t)(sample % array->inner) * v->inner +
           (ptrdiff_t)k * v->classes;
}

void put_numbers(struct placed *array, const struct format *format, const double *values) {
    for (size_t i = 0; i < array->outer * array->inner; i++)
        for (size_t k = 0; k < array->classes; k++) format_store(format, placed_element(array, i, k), *values++);
}

void get_numbers(const struct placed *array, const struct format *format, double *values) {
    for (size_t i = 0; i < array->outer * array->inner; i++)
        for (size_t k = 0; k < array->classes; k++) *values++ = format_load(format, placed_element(array, i, k));
}

static void mark_row(const struct placed *array, size_t sample) {
    if (array->view.classes == (ptrdiff_t)array->element) {
        memset(placed_element(array, sample, 0), MARK, array->classes * array->element);
        return;
    }
    for (size_t k = 0; k < array->classes; k++) memset(placed_element(array, sample, k), MARK, array->element);
}

int strays(struct placed *array) {
    for (size_t i = 0; i < array->outer * array->inner; i++) mark_row(array, i);
    /* Each byte is the one before it. */
    return (unsigned char)array->memory[0] != MARK || memcmp(array->memory, array->memory + 1, array->bytes - 1) != 0;
}
