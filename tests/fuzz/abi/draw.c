/* From the fuzzer's input to a call. Most of what is drawn is valid; eight kinds of trouble come in with one bit
 * each.
 */
#include "call.h"

#include <math.h>
#include <string.h>

enum trouble {
    IN_SHAPE = 1,
    IN_STRIDES = 2,
    IN_ALIGNMENT = 4,
    IN_SHARING = 8,
    IN_POINTERS = 16,
    IN_OPTIONS = 32,
    IN_VALUES = 64,
    IN_DTYPE = 128
};

static const size_t HUGE_SIZES[] = {SIZE_MAX,
                                    SIZE_MAX / 2,
                                    SIZE_MAX / 2 + 1,
                                    SIZE_MAX / 16,
                                    SIZE_MAX / 32,
                                    SIZE_MAX / 32 + 1,
                                    SIZE_MAX - 15,
                                    (size_t)1 << 32,
                                    (size_t)1 << 31,
                                    (size_t)1 << 57,
                                    (size_t)1 << 58,
                                    (size_t)1 << 59,
                                    ((size_t)1 << 59) - 1,
                                    (size_t)1 << 60,
                                    (size_t)1 << 33,
                                    0};

static const int64_t STRIDES[] = {0,
                                  1,
                                  2,
                                  3,
                                  4,
                                  -4,
                                  8,
                                  -8,
                                  7,
                                  12,
                                  16,
                                  -16,
                                  PTRDIFF_MAX,
                                  PTRDIFF_MIN,
                                  PTRDIFF_MAX - 7,
                                  PTRDIFF_MIN + 8,
                                  (int64_t)1 << 57,
                                  -((int64_t)1 << 57),
                                  ((int64_t)1 << 57) - 8,
                                  (int64_t)1 << 56,
                                  (int64_t)1 << 40,
                                  -((int64_t)1 << 40),
                                  (int64_t)1 << 32,
                                  6};

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* Lengths up to a few vectors, short ones above all. */
static size_t draw_length(struct bytes *b, size_t least) {
    const unsigned byte = take(b);
    if (byte < 200) return least + byte % 5;
    if (byte < 250) return least + byte % 19;
    return least + byte * 7 % 70;
}

static void draw_shape(struct bytes *b, struct call *call, unsigned trouble) {
    fastsoftmax_shape *s = &call->shape;
    call->has_shape = call->plain || !(trouble & IN_POINTERS && take_below(b, 16) == 0);
    s->outer = call->plain ? 1 : take_below(b, 4) + 1;
    s->inner = draw_length(b, 0);
    s->classes = draw_length(b, 1);
    if (trouble & IN_SHAPE) {
        size_t *const length[] = {&s->outer, &s->inner, &s->classes};
        const unsigned which = take(b) % 8; /* a set; for plain functions not the first */
        for (int i = call->plain; i < AXES; i++)
            if (which & 1u << i) *length[i] = HUGE_SIZES[take_below(b, COUNT(HUGE_SIZES))];
        return;
    }
    if (s->inner * s->classes > MOST_ELEMENTS / 4) s->outer = 1;
    if (s->inner * s->classes > MOST_ELEMENTS) s->inner = MOST_ELEMENTS / s->classes;
}

static size_t item_of(const struct call *call, enum role role) {
    const size_t number = call->dtype == FASTSOFTMAX_FLOAT64 ? 8 : call->dtype == FASTSOFTMAX_FLOAT32 ? 4 : 2;
    switch (role) {
    case TARGETS:
        return call->kind == FASTSOFTMAX_PROBABILITIES ? number : call->kind == FASTSOFTMAX_LABELS_INT64 ? 8 : 4;
    case WHERE: return 1;
    case SAMPLE_WEIGHT:
    case CLASS_WEIGHT:
    case LOSS: return 8;
    default: return number;
    }
}

static int is_vector(enum role role) { return role == CLASS_WEIGHT || role == MEAN_GRAD || role == LOSS; }

/* Any order of the axes, gaps between their steps, backwards, and for inputs again and again the same. */
static void draw_strides(struct bytes *b, const struct call *call, enum role role, struct array *a) {
    static const int orders[6][AXES] = {{2, 1, 0}, {1, 2, 0}, {2, 0, 1}, {1, 0, 2}, {0, 1, 2}, {0, 2, 1}};
    const int regular = call->plain || is_vector(role);
    const unsigned layout = regular ? 0 : take(b), gaps = layout >= 96 ? take(b) : 0;
    const unsigned signs = layout >= 160 ? take(b) : 0;
    size_t step = a->item;
    for (int i = 0; i < AXES; i++) {
        const int axis = orders[layout % 6][i];
        step += (gaps >> 2 * i & 3) * a->item;
        a->stride[axis] = signs >> i & 1 ? -(ptrdiff_t)step : (ptrdiff_t)step;
        if (signs >> (3 + i) & 1 && !is_output(role)) a->stride[axis] = 0;
        if (a->count[axis] <= 2 * MOST_ELEMENTS) step *= a->count[axis] > 0 ? a->count[axis] : 1;
    }
}

static void draw_array(struct bytes *b, struct call *call, enum role role, unsigned trouble) {
    struct array *a = &call->array[role];
    const int vector = is_vector(role);
    a->described = a->has_data = 1;
    a->shares = role;
    a->item = item_of(call, role);
    a->count[0] = vector ? 1 : call->shape.outer;
    a->count[1] = vector ? 1 : call->shape.inner;
    a->count[2] = has_classes(call, role) ? call->shape.classes : 1;
    draw_strides(b, call, role, a);
    if (trouble & IN_STRIDES && !call->plain && !vector && take_below(b, 4) == 0)
        a->stride[take_below(b, AXES)] = (ptrdiff_t)STRIDES[take_below(b, COUNT(STRIDES))];
    if (trouble & IN_POINTERS) {
        const size_t missing = take_below(b, 16);
        if (missing == 0 || (missing == 1 && call->plain)) a->has_data = 0;
        if (missing == 1) a->described = a->has_data = 0;
    }
}

/* In the memory of an array before it: in its very place, or near there. Inputs may do so without harm. */
static void draw_sharing(struct bytes *b, struct call *call, enum role role) {
    struct array *a = &call->array[role];
    const unsigned byte = take(b);
    const enum role other = (enum role)(byte >> 3 & 15) % (role + 1u);
    if (other == role || !call->array[other].has_data || byte & 1) return;
    a->shares = call->array[other].shares;
    a->at = call->array[other].at;
    if (byte & 2) {
        a->at += (ptrdiff_t)(int8_t)take(b) * (ptrdiff_t)(a->item > 4 ? a->item : 4);
    } else if (!call->plain && !is_vector(role) && has_classes(call, role) == has_classes(call, other)) {
        memcpy(a->stride, call->array[other].stride, sizeof a->stride);
    }
}

static unsigned draw_roles(struct bytes *b, const struct call *call, unsigned trouble) {
    const unsigned optional = optional_roles_of(call->function), given = (unsigned)take_word(b, 2);
    const unsigned of_options = ROLE(WHERE) | ROLE(SAMPLE_WEIGHT) | ROLE(CLASS_WEIGHT);
    unsigned roles = roles_of(call->function) & (~optional | given);
    if (trouble & IN_OPTIONS && take_below(b, 4) == 0) roles |= given & of_options;
    if (call->plain) roles &= ~(optional & ROLE(LOSSES));
    return call->has_options ? roles : roles & ~of_options;
}

static void draw_bad_options(struct bytes *b, struct call *call) {
    static const double smoothings[] = {-1, 1.5, NAN, INFINITY, -INFINITY, 1, 0x1p-1074, -0x1p-1074, -0.0};
    static const int numbers[] = {-1, 2, 3, 1, INT32_MIN, INT32_MAX, 0};
    static const size_t sizes[] = {
        0, 1, 7, 8, offsetof(fastsoftmax_options, hessian), sizeof(fastsoftmax_options) - 4};
    fastsoftmax_options *o = &call->options;
    switch (take_below(b, 8)) {
    case 0: o->label_smoothing = smoothings[take_below(b, COUNT(smoothings))]; break;
    case 1: o->reduction = numbers[take_below(b, COUNT(numbers))]; break;
    case 2: o->hessian = numbers[take_below(b, COUNT(numbers))]; break;
    case 3: o->has_ignore_index = numbers[take_below(b, COUNT(numbers))]; break;
    case 4: call->options_bytes = sizes[take_below(b, COUNT(sizes))]; break;
    case 5:
        call->options_bytes += 1 + take_below(b, OPTIONS_BEYOND);
        call->beyond = (unsigned char)take_below(b, 2);
        break;
    case 6: o->num_threads = SIZE_MAX >> take_below(b, 64); break;
    default: o->ignore_index = (int64_t)take_word(b, 8); break;
    }
}

static void draw_options(struct bytes *b, struct call *call, unsigned trouble) {
    fastsoftmax_options *o = &call->options;
    const unsigned byte = take(b);
    *o = fastsoftmax_default_options();
    call->options_bytes = sizeof *o;
    call->has_options = !call->plain && byte & 1;
    if (!call->has_options) return;
    o->num_threads = byte >> 1 & 3;
    if (call->function == CROSS_ENTROPY) {
        const unsigned more = take(b);
        o->reduction = more & 1;
        o->label_smoothing = more & 2 ? (double)take(b) / 255 : 0;
        o->has_ignore_index = more & 4 && call->kind != FASTSOFTMAX_PROBABILITIES;
        if (o->has_ignore_index) o->ignore_index = (int64_t)take_below(b, 8) - 2;
    }
    if (call->function == GRAD_HESS) o->hessian = (int)take_below(b, call->shape.classes == 1 ? 2 : 3);
    if (trouble & IN_OPTIONS) draw_bad_options(b, call);
}

static void draw_dtype(struct bytes *b, struct call *call, unsigned trouble) {
    static const int numbers[] = {-1, 3, 4, INT32_MIN, INT32_MAX, 256};
    call->dtype = (int)take_below(b, call->plain ? 2 : 4);
    call->kind = (int)take_below(b, call->plain ? 2 : 3);
    if (!(trouble & IN_DTYPE) || call->plain) return;
    *(take_below(b, 2) ? &call->dtype : &call->kind) = numbers[take_below(b, COUNT(numbers))];
}

void draw_call(struct bytes *b, struct call *call) {
    memset(call, 0, sizeof *call);
    const unsigned trouble = take(b) & take(b) & take(b), how = take(b);
    call->function = (enum function)(how % FUNCTIONS);
    call->plain = how >= 224 && call->function != GRAD_HESS;
    draw_dtype(b, call, trouble);
    draw_shape(b, call, trouble);
    call->misaligned = trouble & IN_ALIGNMENT ? (int)take_below(b, ROLES) : -1;
    call->flavour = take(b);
    call->seed = take_word(b, 3);
    call->bad_values = trouble & IN_VALUES ? take(b) : 0;
    draw_options(b, call, trouble);
    const unsigned roles = draw_roles(b, call, trouble), sharing = take_below(b, 4) == 0;
    for (enum role role = INPUT; role < ROLES; role++) {
        if (!(roles & ROLE(role))) continue;
        draw_array(b, call, role, trouble);
        if (trouble & IN_SHARING || (sharing && role == OUT)) draw_sharing(b, call, role);
    }
}
