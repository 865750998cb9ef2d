/* The fuzzer's target: a call of the C functions, and what must hold of it whatever it is given.

   Of a call that is refused: the status and what is told of the error are those of a fault that is there, and nothing
   was written. Of one that is not: there was no fault, nothing was written but the outputs, the results are right,
   and they have the same bits again, on the flat arrays of the same numbers, and on the other instruction sets that
   fuse multiplication and addition. What happens at the edges of arrays, AddressSanitizer sees. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "expected.h"
#include "faults.h"

static const char *const STATUSES[] = {"done",    "null",  "dtype",  "classes", "size",        "alignment",
                                       "overlap", "label", "weight", "option",  "environment", "memory"};
enum { STATUS_COUNT = sizeof STATUSES / sizeof *STATUSES };

static size_t told[STATUS_COUNT], unsafe;

static void tell_counts(void) {
    fprintf(stderr, "calls");
    for (int i = 0; i < STATUS_COUNT; i++) fprintf(stderr, ", %s %zu", STATUSES[i], told[i]);
    fprintf(stderr, ", not to be made %zu\n", unsafe);
}

static void fail(const struct call *call, const char *what, const char *detail) {
    fprintf(stderr, "FAILED: %s: %s\n", what, detail);
    fprintf(stderr, "  function %d%s, dtype %d, kind %d, shape (%zu, %zu, %zu), on %s\n", (int)call->function,
            call->plain ? " (plain)" : "", call->dtype, call->kind, call->shape.outer, call->shape.inner,
            call->shape.classes, fsm_instruction_set_in_use()->name);
    for (enum role role = INPUT; role < ROLES; role++) {
        const struct array *a = &call->array[role];
        if (!a->described) continue;
        fprintf(stderr, "  %s: %p, strides %td %td %td, items of %zu, in %s\n", role_name(call->function, role),
                a->has_data ? (void *)a->data : NULL, a->stride[0], a->stride[1], a->stride[2], a->item,
                role_name(call->function, a->shares));
    }
    abort();
}

enum { MOST_SETS = 8 };
static const struct fsm_instruction_set *set_in_use, *supported[MOST_SETS];
static size_t supported_count;

static void find_supported(void) {
    for (size_t i = 0; i < fsm_instruction_set_count(); i++) {
        const struct fsm_instruction_set *set = fsm_instruction_set_at(i);
        if (set->supported() && supported_count < MOST_SETS) supported[supported_count++] = set;
    }
}

static void use(unsigned number) {
    const struct fsm_instruction_set *set = supported[number % supported_count];
    if (set != set_in_use) fsm_use_instruction_set(set->name);
    set_in_use = set;
}

static void check_messages(void) {
    for (int status = -1; status <= STATUS_COUNT; status++)
        if (strlen(fastsoftmax_status_message(status)) == 0) abort();
    if (fastsoftmax_abi_version() != FASTSOFTMAX_ABI_VERSION || fastsoftmax_num_threads() == 0) abort();
    if (fastsoftmax_instruction_set() == NULL) abort();
}

static unsigned outputs_of(const struct call *call) {
    unsigned outputs = 0;
    for (enum role role = FIRST_OUTPUT; role < ROLES; role++)
        if (is_given(call, role) && call->array[role].has_data) outputs |= ROLE(role);
    return outputs;
}

static void check_refusal(const struct call *call, const struct memory *m, const struct faults *faults, int status,
                          const fastsoftmax_error *error) {
    if (faults->known == 0) fail(call, "a valid call was refused", fastsoftmax_status_message(status));
    if (!is_among(faults, status, can_tell_errors(call) ? error : NULL))
        fail(call, fastsoftmax_status_message(status), can_tell_errors(call) ? error->argument : "");
    if (has_changed_beyond(m, 0)) fail(call, "something was written", fastsoftmax_status_message(status));
}

/* Whether two arrays have the same numbers bit by bit, all NaN being one. */
static int are_same(const struct call *call, enum role role, const struct flat *a, const struct flat *b) {
    const struct format *const format = format_of(call, role);
    const size_t count = element_count(&call->array[role]);
    const char *x = a->data[role], *y = b->data[role];
    if (memcmp(x, y, count * format->bytes) == 0) return 1;
    for (size_t i = 0; i < count; i++, x += format->bytes, y += format->bytes) {
        if (memcmp(x, y, format->bytes) == 0) continue;
        const double u = format_load(format, x), v = format_load(format, y);
        if (u == u || v == v) return 0;
    }
    return 1;
}

static void check_same(const struct call *call, unsigned roles, const struct flat *a, const struct flat *b,
                       const char *when) {
    for (enum role role = FIRST_OUTPUT; role < ROLES; role++)
        if (roles & ROLE(role) && !are_same(call, role, a, b)) fail(call, when, role_name(call->function, role));
}

static int fuses(const char *name) { return strcmp(name, "avx512") == 0 || strcmp(name, "avx2") == 0; }

static void call_again(const struct call *call, struct memory *m, struct flat *results) {
    fastsoftmax_error error;
    restore_memory(m);
    if (make_call(call, &error) != FASTSOFTMAX_OK) fail(call, "the second time", "refused");
    if (has_changed_beyond(m, outputs_of(call))) fail(call, "the second time", "something beside was written");
    gather(results, call, outputs_of(call));
}

/* In C order: what there is one of for each sample has the same bits. */
static void check_flat(const struct call *call, struct flat *inputs, const struct flat *results) {
    static struct flat outputs;
    static struct call plain;
    const unsigned of_samples = ROLE(OUT) | ROLE(HESS) | ROLE(LOSSES);
    fastsoftmax_error error;
    make_flat_call(&plain, call, inputs);
    for (enum role role = FIRST_OUTPUT; role < ROLES; role++) plain.array[role].data = outputs.data[role];
    const int status = make_call(&plain, &error);
    if (status != FASTSOFTMAX_OK) fail(&plain, "in C order", fastsoftmax_status_message(status));
    check_same(call, outputs_of(call) & of_samples, &outputs, results, "other bits in C order");
}

static void check_success(const struct call *call, struct memory *m, const struct faults *faults, unsigned again) {
    static struct flat inputs, results, others;
    const unsigned outputs = outputs_of(call);
    const char *const first = fsm_instruction_set_in_use()->name;
    if (faults->known > 0) fail(call, "an invalid call was done", faults->fault[0].argument);
    if (has_changed_beyond(m, outputs)) fail(call, "something beside the outputs was written", first);
    gather(&results, call, outputs);
    restore_memory(m);
    gather(&inputs, call, ~0u);
    const char *const wrong = judge_results(call, &inputs, &results);
    if (wrong != NULL) fail(call, "a wrong result", wrong);
    if (again & 1 && sample_count(call) > 0) check_flat(call, &inputs, &results);
    if (again & 2) use(again >> 2);
    call_again(call, m, &others);
    const char *const second = fsm_instruction_set_in_use()->name;
    if (strcmp(first, second) == 0 || (fuses(first) && fuses(second)))
        check_same(call, outputs, &results, &others, strcmp(first, second) ? "other bits on another" : "other bits");
    else if (judge_results(call, &inputs, &others) != NULL)
        fail(call, "a wrong result", second);
}

static void check_call(const struct call *call, struct memory *m, unsigned again) {
    static const fastsoftmax_error untold = {"untold", -2};
    fastsoftmax_error error = untold;
    struct faults faults;
    find_faults(&faults, call, m);
    if (!faults.is_safe) {
        unsafe++;
        return;
    }
    const int status = make_call(call, &error);
    if (status < 0 || status >= STATUS_COUNT) fail(call, "a status", "that there is not");
    told[status]++;
    if (status != FASTSOFTMAX_OK) {
        check_refusal(call, m, &faults, status, &error);
        return;
    }
    if (memcmp(&error, &untold, sizeof error) != 0) fail(call, "an error was told of", "a call that was done");
    check_success(call, m, &faults, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct call call;
    struct bytes b = {data, data + size};
    struct memory m;
    if (supported_count == 0) {
        find_supported();
        check_messages();
        atexit(tell_counts);
    }
    const unsigned first = take(&b), again = take(&b);
    draw_call(&b, &call);
    use(first);
    place_arrays(&m, &call);
    fill_arrays(&call);
    keep_memory(&m, &call);
    check_call(&call, &m, again);
    free_memory(&m);
    return 0;
}

/* Freed blocks need not be kept for long: a use after that is seen at the next call or never. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "quarantine_size_mb=1:max_redzone=64:detect_stack_use_after_return=0";
}
