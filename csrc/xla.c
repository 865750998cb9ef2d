#include "xla.h"

#include <stdio.h>
#include <string.h>

#include "pages.h"
#include "run.h"

enum {
    MOST_AXES = 64,
    LARGE = 1 << 22 /* bytes: the memory of results that large is new each time; NumPy asks from there on, too */
};

/* One call: its first argument says the shape and the storage. */
struct call {
    const struct xla_call_frame *frame;
    const struct xla_buffer *first;
    int64_t class_axis;
    struct fsm_job job;
};

static struct xla_error *fail(const struct xla_call_frame *frame, enum xla_error_code code, const char *message) {
    struct xla_error_request request = {sizeof request, NULL, message, code};
    return frame->api->make_error(&request);
}

static struct xla_error *refuse(const struct call *call, const char *kind, int64_t number, const char *problem) {
    char message[160];
    snprintf(message, sizeof message, "fastsoftmax: %s %lld %s", kind, (long long)number, problem);
    return fail(call->frame, XLA_INVALID_ARGUMENT, message);
}

/* XLA asks what version of its interface the handler was made for; the oldest that has all of it is as good as any.
 */
static struct xla_error *tell_version(const struct xla_call_frame *frame) {
    const struct xla_metadata_extension *extension = (const void *)frame->extensions;
    if (extension->base.struct_size < sizeof *extension || extension->metadata == NULL ||
        extension->metadata->struct_size < offsetof(struct xla_metadata, traits) + sizeof(uint32_t))
        return fail(frame, XLA_INVALID_ARGUMENT, "fastsoftmax: metadata of an unknown size");
    const int minor = frame->api->version.minor;
    struct xla_version *version = &extension->metadata->version;
    *version = (struct xla_version){sizeof *version, NULL, XLA_MAJOR, minor < XLA_MINOR ? minor : XLA_MINOR};
    extension->metadata->traits = 0;
    return NULL;
}

static int is_known(const struct xla_call_frame *frame) {
    return frame->arguments.struct_size >= sizeof frame->arguments &&
           frame->results.struct_size >= sizeof frame->results &&
           frame->attributes.struct_size >= sizeof frame->attributes && frame->stage == XLA_STAGE_EXECUTE &&
           frame->api->version.major == XLA_MAJOR;
}

static struct xla_error *find_buffer(const struct call *call, int is_result, int64_t number,
                                     const struct xla_buffer **buffer) {
    const struct xla_list *list = is_result ? &call->frame->results : &call->frame->arguments;
    const char *kind = is_result ? "result" : "argument";
    if (number >= list->count) return refuse(call, kind, number, "is missing");
    if (list->kinds[number] != XLA_IS_BUFFER) return refuse(call, kind, number, "is not an array");
    *buffer = list->items[number];
    if ((*buffer)->struct_size < sizeof **buffer) return refuse(call, kind, number, "is of an unknown layout");
    return (*buffer)->rank <= MOST_AXES ? NULL : refuse(call, kind, number, "has too many axes");
}

static size_t size_of(int type) {
    switch (type) {
    case XLA_PRED: return 1;
    case XLA_F16:
    case XLA_BF16: return 2;
    case XLA_S32:
    case XLA_F32: return 4;
    default: return 8;
    }
}

static int take_storage(struct fsm_job *job, int type) {
    switch (type) {
    case XLA_F32: return job->storage = FSM_FLOAT32, 0;
    case XLA_F64: return job->storage = FSM_FLOAT64, 0;
    case XLA_F16: return job->storage = FSM_FLOAT16, 0;
    case XLA_BF16: return job->storage = FSM_BFLOAT16, 0;
    default: return -1;
    }
}

static struct fsm_view view_of(const struct call *call, const struct xla_buffer *buffer, int has_classes) {
    const ptrdiff_t itemsize = (ptrdiff_t)size_of(buffer->type), inner = (ptrdiff_t)call->job.inner;
    const ptrdiff_t classes = has_classes ? (ptrdiff_t)call->job.classes : 1;
    /* With the classes last, the samples are one axis. */
    const int is_last = call->class_axis == call->first->rank - 1;
    return (struct fsm_view){buffer->data, itemsize * inner * classes, is_last ? itemsize * classes : itemsize,
                             !has_classes ? 0
                             : is_last    ? itemsize
                                          : itemsize * inner};
}

/* The first array's shape: samples before the class axis, the classes, samples after it. */
static struct xla_error *take_first(struct call *call, struct fsm_view *view, int64_t trailing) {
    struct fsm_job *job = &call->job;
    struct xla_error *error = find_buffer(call, 0, 0, &call->first);
    if (error != NULL) return error;
    const struct xla_buffer *first = call->first;
    if (trailing < 0 || trailing >= first->rank) return refuse(call, "argument", 0, "has too few axes");
    if (take_storage(job, first->type) < 0) return refuse(call, "argument", 0, "is of a type without a kernel");
    call->class_axis = first->rank - 1 - trailing;
    job->outer = job->inner = 1;
    for (int64_t i = 0; i < first->rank; i++) {
        const size_t length = (size_t)first->lengths[i];
        if (i == call->class_axis)
            job->classes = length;
        else if (i < call->class_axis && trailing > 0)
            job->outer *= length;
        else
            job->inner *= length;
    }
    *view = view_of(call, first, 1);
    return NULL;
}

/* A further array, of the first's shape or without its class axis. */
static struct xla_error *take(const struct call *call, int is_result, int64_t number, int type, int has_classes,
                              struct fsm_view *view) {
    const struct xla_buffer *buffer, *first = call->first;
    const char *kind = is_result ? "result" : "argument";
    struct xla_error *error = find_buffer(call, is_result, number, &buffer);
    if (error != NULL) return error;
    if (buffer->type != type) return refuse(call, kind, number, "is of the wrong type");
    if (buffer->rank != first->rank - !has_classes) return refuse(call, kind, number, "has the wrong number of axes");
    for (int64_t i = 0; i < buffer->rank; i++) {
        const int64_t expected = first->lengths[i + (!has_classes && i >= call->class_axis)];
        if (buffer->lengths[i] != expected) return refuse(call, kind, number, "is of the wrong shape");
    }
    *view = view_of(call, buffer, has_classes);
    return NULL;
}

static struct xla_error *find_attribute(const struct xla_call_frame *frame, const char *name, int64_t *value) {
    const struct xla_attributes *all = &frame->attributes;
    for (int64_t i = 0; i < all->count; i++) {
        const struct xla_name *its = all->names[i];
        if (its->length != strlen(name) || memcmp(its->text, name, its->length) != 0) continue;
        const struct xla_scalar *scalar = all->items[i];
        if (all->kinds[i] != XLA_IS_SCALAR || scalar->type != XLA_S64) break;
        memcpy(value, scalar->value, sizeof *value);
        return NULL;
    }
    return fail(frame, XLA_INVALID_ARGUMENT, "fastsoftmax: the attributes are not trailing and threads, both int64");
}

typedef struct xla_error *take_rest(struct call *call);

static struct xla_error *run(struct xla_call_frame *frame, enum fsm_operation operation, take_rest *rest) {
    /* Without these no error could be made. */
    if (frame->struct_size < sizeof *frame || frame->api == NULL || frame->api->struct_size < sizeof *frame->api)
        return NULL;
    if (frame->extensions != NULL && frame->extensions->type == XLA_EXTENSION_METADATA) return tell_version(frame);
    if (!is_known(frame))
        return fail(frame, XLA_INTERNAL, "fastsoftmax: this version of XLA's foreign function interface is unknown");
    struct call call = {.frame = frame, .job = {.divisor = 1}};
    int64_t trailing = 0, threads = 1;
    struct xla_error *error = find_attribute(frame, "trailing", &trailing);
    if (error == NULL) error = find_attribute(frame, "threads", &threads);
    if (error == NULL) error = take_first(&call, &call.job.input, trailing);
    if (error == NULL) error = rest(&call);
    if (error != NULL || call.job.outer * call.job.inner * call.job.classes == 0) return error;
    const size_t bytes = call.job.outer * call.job.inner * call.job.classes * size_of(call.first->type);
    if (call.job.out.data != NULL && bytes >= LARGE) fsm_ask_for_huge_pages(call.job.out.data, bytes);
    if (fsm_run(&call.job, operation, threads < 1 ? 1 : (size_t)threads, NULL, NULL) == 0) return NULL;
    return fail(frame, XLA_RESOURCE_EXHAUSTED, "fastsoftmax: no memory");
}

static struct xla_error *take_probabilities(struct call *call) {
    struct xla_error *error = NULL;
    if (call->frame->arguments.count > 1) error = take(call, 0, 1, XLA_PRED, 1, &call->job.where);
    return error != NULL ? error : take(call, 1, 0, call->first->type, 1, &call->job.out);
}

static struct xla_error *take_cross_entropy(struct call *call) {
    const struct xla_buffer *targets;
    struct xla_error *error = find_buffer(call, 0, 1, &targets);
    if (error != NULL) return error;
    if (targets->type == XLA_S32 || targets->type == XLA_S64) {
        call->job.labels_are_64_bit = targets->type == XLA_S64;
        error = take(call, 0, 1, targets->type, 0, &call->job.labels);
    } else {
        error = take(call, 0, 1, call->first->type, 1, &call->job.other);
    }
    call->job.want_loss = 1;
    if (error == NULL) error = take(call, 1, 0, call->first->type, 0, &call->job.losses);
    if (error == NULL && call->frame->results.count > 1)
        error = take(call, 1, 1, call->first->type, 1, &call->job.out);
    return error;
}

static struct xla_error *softmax(struct xla_call_frame *frame) {
    return run(frame, FSM_OPERATION_softmax, take_probabilities);
}
static struct xla_error *log_softmax(struct xla_call_frame *frame) {
    return run(frame, FSM_OPERATION_log_softmax, take_probabilities);
}
static struct xla_error *cross_entropy(struct xla_call_frame *frame) {
    return run(frame, FSM_OPERATION_cross_entropy, take_cross_entropy);
}

const struct fsm_xla_target fsm_xla_targets[] = {
    {"softmax", softmax}, {"log_softmax", log_softmax}, {"cross_entropy", cross_entropy}};
const size_t fsm_xla_target_count = sizeof fsm_xla_targets / sizeof *fsm_xla_targets;
