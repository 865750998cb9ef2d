#include "faults.h"

#include <math.h>
#include <string.h>

static void add(struct faults *f, int status, const char *argument, ptrdiff_t index) {
    if (f->count < MOST_FAULTS) f->fault[f->count++] = (struct fault){status, argument, index};
}

/* NULL stands for an option or a result that is not asked for. */
int is_given(const struct call *call, enum role role) {
    const struct array *a = &call->array[role];
    const unsigned optional = optional_roles_of(call->function);
    const int pointer_alone = call->plain || (role != OUT && role != LOSSES);
    if (!a->described || !(roles_of(call->function) & ROLE(role))) return 0;
    return a->has_data || (optional & ROLE(role) && !pointer_alone) || !(optional & ROLE(role));
}

static size_t fewest_options(void) { return offsetof(fastsoftmax_options, hessian) + sizeof(int); }

int can_tell_errors(const struct call *call) { return call->has_options && call->options_bytes >= fewest_options(); }

static void find_in_shape(struct faults *f, const struct call *call) {
    const fastsoftmax_shape *s = &call->shape;
    size_t samples, elements;
    if (!call->has_shape) {
        add(f, FASTSOFTMAX_ERROR_NULL, "shape", -1);
        return;
    }
    if (s->classes == 0) add(f, FASTSOFTMAX_ERROR_CLASSES, "shape", -1);
    const int too_many = __builtin_mul_overflow(s->outer, s->inner, &samples) || samples > PTRDIFF_MAX / 16 ||
                         s->classes > PTRDIFF_MAX / 16 || __builtin_mul_overflow(samples, s->classes, &elements) ||
                         elements > PTRDIFF_MAX / 16;
    if (too_many) add(f, FASTSOFTMAX_ERROR_SIZE, "shape", -1);
}

static void find_in_options(struct faults *f, const struct call *call) {
    const fastsoftmax_options *o = &call->options;
    const int of_loss = call->function == CROSS_ENTROPY, of_hessian = call->function == GRAD_HESS;
    if (!call->has_options) return;
    if (!can_tell_errors(call) || (call->options_bytes > sizeof *o && call->beyond != 0))
        add(f, FASTSOFTMAX_ERROR_OPTION, "size", -1);
    if (!can_tell_errors(call)) return;
    for (enum role role = WHERE; role <= CLASS_WEIGHT; role++)
        if (call->array[role].described && call->array[role].has_data && !(roles_of(call->function) & ROLE(role)))
            add(f, FASTSOFTMAX_ERROR_OPTION, role_name(call->function, role), -1);
    if (!(o->label_smoothing >= 0) || o->label_smoothing > of_loss)
        add(f, FASTSOFTMAX_ERROR_OPTION, "label_smoothing", -1);
    if (o->has_ignore_index != 0 && (!of_loss || call->kind == FASTSOFTMAX_PROBABILITIES))
        add(f, FASTSOFTMAX_ERROR_OPTION, "ignore_index", -1);
    if (o->reduction != FASTSOFTMAX_MEAN && !(of_loss && o->reduction == FASTSOFTMAX_SUM))
        add(f, FASTSOFTMAX_ERROR_OPTION, "reduction", -1);
    if (o->hessian != 0 && (!of_hessian || o->hessian < 0 || o->hessian > FASTSOFTMAX_HESSIAN_LIGHTGBM ||
                            (o->hessian == FASTSOFTMAX_HESSIAN_LIGHTGBM && call->shape.classes == 1)))
        add(f, FASTSOFTMAX_ERROR_OPTION, "hessian", -1);
}

/* Whether a library may reckon with the addresses: they reach less than a 64th of what there could be. */
static int is_finite(const struct array *a) {
    for (int i = 0; i < AXES; i++) {
        const __int128 reach = (__int128)(a->count[i] - 1) * a->stride[i], most = INT64_MAX / 64;
        if (a->count[i] > 1 && (reach > most || reach < -most)) return 0;
    }
    return 1;
}

static int is_aligned(const struct array *a) {
    int aligned = (uintptr_t)a->data % a->item == 0;
    for (int i = 0; i < AXES; i++) aligned &= a->count[i] == 1 || a->stride[i] % (ptrdiff_t)a->item == 0;
    return aligned;
}

static void find_in_array(struct faults *f, const struct call *call, enum role role) {
    const struct array *a = &call->array[role];
    const char *const name = role_name(call->function, role);
    const int is_vector = role == CLASS_WEIGHT || role == MEAN_GRAD || role == LOSS;
    if (!is_given(call, role)) {
        const int needed = !(optional_roles_of(call->function) & ROLE(role));
        if (needed && (!call->plain || sample_count(call) > 0)) add(f, FASTSOFTMAX_ERROR_NULL, name, -1);
        return;
    }
    if (!is_vector && sample_count(call) == 0) return;
    if (!a->has_data) {
        add(f, FASTSOFTMAX_ERROR_NULL, name, -1);
        return;
    }
    if (!is_finite(a)) add(f, FASTSOFTMAX_ERROR_SIZE, name, -1);
    if (!is_aligned(a)) add(f, FASTSOFTMAX_ERROR_ALIGNMENT, name, -1);
}

static int is_same_place(const struct array *a, const struct array *b) {
    int same = a->data == b->data && a->item == b->item;
    for (int i = 0; i < AXES; i++)
        same &= a->count[i] == b->count[i] && (a->count[i] <= 1 || a->stride[i] == b->stride[i]);
    return same;
}

static int may_be_in_place(const struct call *call, enum role output, enum role input) {
    if (output != OUT || (input != INPUT && input != OTHER)) return 0;
    return is_same_place(&call->array[OUT], &call->array[input]);
}

/* Of arrays whose memory is there: of others it is not known. */
static void find_overlaps(struct faults *f, const struct call *call, const struct memory *m) {
    for (enum role role = FIRST_OUTPUT; role < ROLES; role++) {
        const int is_vector = role == MEAN_GRAD || role == LOSS;
        if (!is_given(call, role) || !call->array[role].has_data) continue;
        if (!is_vector && sample_count(call) == 0) continue;
        int overlaps = overlaps_itself(&call->array[role]) == 1;
        const unsigned sharers = sharers_of(m, call, role);
        for (enum role other = INPUT; other < ROLES; other++)
            if (sharers & ROLE(other) && is_given(call, other) && !may_be_in_place(call, role, other)) overlaps = 1;
        if (overlaps) add(f, FASTSOFTMAX_ERROR_OVERLAP, role_name(call->function, role), -1);
    }
}

static void find_in_weights(struct faults *f, const struct call *call) {
    const struct array *c = &call->array[CLASS_WEIGHT], *s = &call->array[SAMPLE_WEIGHT];
    if (is_given(call, CLASS_WEIGHT))
        for (size_t k = 0; k < call->shape.classes; k++)
            if (!(*(const double *)element(c, 0, 0, k) >= 0)) {
                add(f, FASTSOFTMAX_ERROR_WEIGHT, "class_weight", (ptrdiff_t)k);
                break;
            }
    if (is_given(call, SAMPLE_WEIGHT))
        for (size_t i = 0; i < sample_count(call); i++)
            if (!(*(const double *)element(s, i / call->shape.inner, i % call->shape.inner, 0) >= 0)) {
                add(f, FASTSOFTMAX_ERROR_WEIGHT, "sample_weight", (ptrdiff_t)i);
                break;
            }
}

static void find_in_labels(struct faults *f, const struct call *call) {
    const struct array *t = &call->array[TARGETS];
    if (!is_given(call, TARGETS) || call->kind == FASTSOFTMAX_PROBABILITIES) return;
    for (size_t i = 0; i < sample_count(call); i++) {
        const char *const at = element(t, i / call->shape.inner, i % call->shape.inner, 0);
        const int64_t label = t->item == 8 ? *(const int64_t *)at : *(const int32_t *)at;
        if (call->options.has_ignore_index && label == call->options.ignore_index) continue;
        if (label >= 0 && (uint64_t)label < call->shape.classes) continue;
        add(f, FASTSOFTMAX_ERROR_LABEL, "targets", (ptrdiff_t)i);
        return;
    }
}

/* An output too large to be looked at may overlap itself, and that be found first. */
static void find_possible(struct faults *f, const struct call *call) {
    for (enum role role = FIRST_OUTPUT; role < ROLES; role++)
        if (is_given(call, role) && call->array[role].has_data &&
            (overlaps_itself(&call->array[role]) != 0 || !call->array[role].is_backed))
            add(f, FASTSOFTMAX_ERROR_OVERLAP, role_name(call->function, role), -1);
}

static int all_backed(const struct call *call) {
    for (enum role role = INPUT; role < ROLES; role++)
        if (is_given(call, role) && call->array[role].has_data && !call->array[role].is_backed) return 0;
    return 1;
}

void find_faults(struct faults *f, const struct call *call, const struct memory *m) {
    const unsigned takes = roles_of(call->function);
    const int kind_known = call->kind >= 0 && call->kind <= FASTSOFTMAX_PROBABILITIES;
    f->count = 0;
    find_in_shape(f, call);
    if (f->count == 0)
        for (enum role role = INPUT; role < ROLES; role++)
            if (takes & ROLE(role)) find_in_array(f, call, role);
    find_in_options(f, call);
    if (call->dtype < 0 || call->dtype > FASTSOFTMAX_BFLOAT16) add(f, FASTSOFTMAX_ERROR_DTYPE, "dtype", -1);
    if (takes & ROLE(TARGETS) && !kind_known && is_given(call, TARGETS))
        add(f, FASTSOFTMAX_ERROR_DTYPE, "targets", -1);
    f->known = f->count;
    f->is_safe = f->count > 0 || all_backed(call);
    if (f->count > 0) {
        find_possible(f, call);
    } else if (f->is_safe) {
        find_overlaps(f, call, m);
        find_in_weights(f, call);
        find_in_labels(f, call);
        f->known = f->count;
    }
}

int is_among(const struct faults *f, int status, const fastsoftmax_error *error) {
    for (int i = 0; i < f->count; i++) {
        const struct fault *fault = &f->fault[i];
        if (fault->status != status) continue;
        if (error == NULL || (strcmp(fault->argument, error->argument) == 0 && fault->index == error->index))
            return 1;
    }
    return 0;
}
