/* Calls every kernel on arrays next to pages that cannot be touched: guards [--every N] [--part K] [--seed N]

   Arrays begin right after a forbidden page or end right before one, or so many bytes away from it that every
   alignment within a cache line occurs. Whatever touches a byte beyond ends the program with the case; and inputs
   must stay as they are, and results be those in ordinary memory, to the bit. With --every N the cases are
   dealt at random, as the seed says, into N parts, of which one is worked: 0, or part K. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fastsoftmax.h"
#include "guard_calls.h"
#include "guarded.h"
#include "threads.h"

enum { LINE = 64, MOST_CLASSES = 300, MOST_ROWS = 150, MOST_REPORTS = 20, OTHER_MARK = 0x5A };

/* Long rows, and the short ones with gaps between their classes, each in float64. */
enum { ROOM = 4 << 20 };

static struct guarded memory[ARRAYS];

/* What is being called, for whoever has to say it. */
static struct {
    const char *instruction_set;
    const struct guard_case *guard_case;
    int at_high_end;
    size_t shift;
} now;

static struct {
    size_t cases, calls, failures;
} count;

static struct {
    unsigned long seed, every, part;
} options = {1, 1, 0};

static void say_case(const char *what, const char *of) {
    static const char *const callers[] = {"kernel", "fsm_run", "fastsoftmax.h"};
    const struct guard_case *c = now.guard_case;
    fprintf(stderr, "%s (%s): %s, %s by %s, %s%s%s, %zu rows of %zu classes, %s to %s, %s end, %zu bytes away\n",
            what, of, c->task->name, now.instruction_set, callers[c->caller], c->problem->format->name,
            c->streams ? ", streamed" : "", c->in_place ? ", in place" : "", c->problem->rows, c->problem->classes,
            layout_name(c->input_layout), layout_name(c->output_layout), now.at_high_end ? "high" : "low", now.shift);
}

/* It does what a handler must not do but for the end of the program, which this is. */
static void on_fault(int number, siginfo_t *info, void *context) {
    const char *of = "nowhere near an array";
    (void)context;
    for (int array = 0; array < ARRAYS; array++)
        if (is_forbidden(&memory[array], info->si_addr)) of = array_name((enum array)array);
    if (now.guard_case != NULL) say_case(number == SIGBUS ? "bus error" : "touched beyond", of);
    _Exit(1);
}

static void watch_faults(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

static void fail(const char *what, enum array array) {
    if (count.failures++ < MOST_REPORTS) say_case(what, array_name(array));
}

static int is_read_only(const struct guard_case *c, enum array array) {
    if (array == NUMBERS) return c->task->operation == FSM_OPERATION_shard_exponentials;
    return array < NUMBERS && !(array == INPUT && c->in_place);
}

static size_t shift_of(const struct images *images, enum array array, size_t shift) {
    const size_t element = images->of[array].element;
    return element == 1 ? (shift + 1) % LINE : shift / element * element;
}

static int is_nan_at(const struct format *format, const char *p, size_t bytes) {
    double number;
    memcpy(&number, p, bytes < sizeof number ? bytes : sizeof number);
    return isnan(bytes == format->bytes ? format_load(format, p) : bytes == sizeof number ? number : 0);
}

/* To the bit, but for NaN, whose sign and payload are nobody's promise: they depend on the order of an operation's
   operands, which a compiler may choose differently for the start of a row and for its middle. */
static int are_same(const struct format *format, const struct image *image, const char *bytes) {
    const size_t step = image->element == LINE ? sizeof(double) : image->element;
    if (memcmp(bytes, image->after, image->extent.bytes) == 0) return 1;
    for (size_t i = 0; i < image->extent.bytes; i += step) {
        const char *one = bytes + i, *other = image->after + i;
        if (memcmp(one, other, step) != 0 && !(is_nan_at(format, one, step) && is_nan_at(format, other, step)))
            return 0;
    }
    return 1;
}

static void call_between_guards(const struct guard_case *c, const struct images *images) {
    struct places places;
    for (int array = 0; array < ARRAYS; array++) {
        const struct image *image = &images->of[array];
        places.at[array] = NULL;
        if (image->extent.bytes == 0) continue;
        const size_t shift = shift_of(images, (enum array)array, now.shift);
        places.at[array] = guarded_at(&memory[array], now.at_high_end, shift, image->extent.bytes);
        if (array == SCRATCH)
            memset(places.at[array], OTHER_MARK, image->extent.bytes);
        else
            memcpy(places.at[array], image->before, image->extent.bytes);
    }
    count.calls++;
    if (call_at(c, images, &places) != 0) fail("no memory", SCRATCH);
    for (int array = 0; array < ARRAYS; array++) {
        const struct image *image = &images->of[array];
        if (image->extent.bytes == 0) continue;
        if (is_written_around(&memory[array], places.at[array], image->extent.bytes))
            fail("written beyond", (enum array)array);
        if (array != SCRATCH && !are_same(c->problem->format, image, places.at[array]))
            fail("other bits than elsewhere", (enum array)array);
    }
}

/* All alignments, or none and one that goes round with the number of classes. */
static void call_at_alignments(const struct guard_case *c, const struct images *images, int all) {
    const size_t element = c->problem->format->bytes, one = 7 * c->problem->classes * element % LINE;
    for (size_t shift = 0; shift < LINE; shift += element) {
        if (!all && shift != 0 && shift != one) continue;
        for (int high = 0; high < 2; high++) {
            now.shift = shift;
            now.at_high_end = high;
            call_between_guards(c, images);
        }
    }
}

static int check_case(const struct guard_case *c, int all_alignments) {
    struct images images;
    now.guard_case = c;
    int status = make_images(c, &images);
    if (status == 0) {
        for (int array = 0; array < NUMBERS + 1; array++)
            if (is_read_only(c, (enum array)array) && images.of[array].extent.bytes > 0 &&
                memcmp(images.of[array].before, images.of[array].after, images.of[array].extent.bytes) != 0)
                fail("an input changed", (enum array)array);
        call_at_alignments(c, &images, all_alignments);
    } else if (status > 0) {
        fail("refused", INPUT);
    }
    count.cases++;
    free_images(&images);
    now.guard_case = NULL;
    return status < 0 ? -1 : 0;
}

static int is_chosen(void) {
    static size_t number;
    struct generator g = {(uint64_t)options.seed << 40 ^ number++};
    return random_bits(&g) % options.every == options.part;
}

/* With every instruction set of this CPU. */
static int check_with_all(struct guard_case c, int all_alignments) {
    for (size_t i = 0; i < fsm_instruction_set_count(); i++) {
        if (!is_possible(&c) || !is_chosen()) continue;
        now.instruction_set = fsm_instruction_set_at(i)->name;
        if (fsm_use_instruction_set(now.instruction_set) < 0) continue;
        if (check_case(&c, all_alignments) < 0) return -1;
    }
    return 0;
}

/* A problem in all layouts: both arrays alike, and unlike where there are whole blocks and a rest. */
static int check_layouts(const struct problem *p, const struct guard_task *task) {
    const int few = p->rows == 1, some = p->rows == 19;
    int status = 0;
    for (size_t in = 0; in < LAYOUTS && status == 0; in++) {
        const size_t other = (in + 1 + p->classes) % LAYOUTS;
        const struct guard_case plain = {p, task, KERNEL_ITSELF, in, in, 0, 0};
        status |= check_with_all(plain, in == 0 && (few || some));
        status |= check_with_all((struct guard_case){p, task, KERNEL_ITSELF, in, in, 1, 0}, 0);
        status |= check_with_all((struct guard_case){p, task, KERNEL_ITSELF, in, in, 0, 1}, 0);
        if (some) status |= check_with_all((struct guard_case){p, task, KERNEL_ITSELF, in, other, 0, 0}, 0);
        if (some) status |= check_with_all((struct guard_case){p, task, PUBLIC, in, other, 0, 0}, 0);
    }
    return status;
}

/* The first numbers of a larger problem, with labels of their own. */
static struct problem part_of(const struct problem *larger, size_t rows, size_t classes) {
    struct problem p = *larger;
    p.rows = rows;
    p.classes = classes;
    for (size_t i = 0; i < rows; i++) {
        p.labels[i] = (int64_t)((5 * i + classes / 2) % classes);
        for (size_t k = 0; k < classes; k++) p.one_hot[i * classes + k] = (int64_t)k == p.labels[i];
    }
    return p;
}

static int check_tasks(const struct problem *p) {
    int status = 0;
    for (size_t task = 0; task < GUARD_TASKS && status == 0; task++) status = check_layouts(p, &guard_tasks[task]);
    return status;
}

/* One sample; less than a block; a block and a rest; a group of blocks side by side and a rest. */
static int check_short_rows(void) {
    static const size_t rows[] = {1, 6, 19, MOST_ROWS};
    int status = 0;
    for (size_t f = 0; f < FORMATS; f++) {
        struct generator g = {f};
        struct problem *largest = make_problem(&formats[f], kind_count() - 1, MOST_ROWS, MOST_CLASSES, &g);
        if (largest == NULL) return -1;
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            for (size_t classes = 1; classes <= MOST_CLASSES && status == 0; classes++) {
                const struct problem p = part_of(largest, rows[r], classes);
                status = check_tasks(&p);
            }
        free_problem(largest);
    }
    return status;
}

/* Rows whose parts threads share, in the layouts that may be, and in one that may not. */
static int check_long_rows(void) {
    static const size_t classes[] = {2 * FSM_PART, 2 * FSM_PART + 1, 3 * FSM_PART - 1, 3 * FSM_PART + 17};
    static const size_t layouts[] = {0, 1, 5};
    int status = 0;
    for (size_t f = 0; f < FORMATS; f++)
        for (size_t n = 0; n < 8; n++) {
            struct generator g = {n};
            struct problem *p = make_problem(&formats[f], kind_count() - 1, 1 + 2 * (n % 2), classes[n / 2], &g);
            if (p == NULL) return -1;
            for (size_t task = 0; task < GUARD_TASKS; task++)
                for (size_t l = 0; l < 3 && status == 0; l++) {
                    const struct guard_case c = {p, &guard_tasks[task], RUN, layouts[l], layouts[l], 0, 0};
                    status = check_with_all(c, 0);
                }
            free_problem(p);
        }
    return status;
}

/* Without classes the public functions say so and touch nothing; without samples they touch nothing but the mean. */
static void check_nothing(void) {
    char *edge = memory[INPUT].end;
    const fastsoftmax_input x = {edge, 0, 4, 4};
    const fastsoftmax_output y = {memory[GRADIENT].end, 0, 4, 4};
    const fastsoftmax_targets t = {memory[LABEL].end, 0, 4, 4, FASTSOFTMAX_LABELS_INT32};
    const fastsoftmax_shape no_classes = {1, 7, 0}, no_samples = {1, 0, 5}, none_outer = {0, 3, 5};
    double loss = 1;
    int wrong = 0;
    for (int dtype = FASTSOFTMAX_FLOAT32; dtype <= FASTSOFTMAX_BFLOAT16; dtype++) {
        const fastsoftmax_shape *shapes[] = {&no_classes, &no_samples, &none_outer};
        for (int i = 0; i < 3; i++) {
            const fastsoftmax_shape *s = shapes[i];
            const int expected = i == 0 ? FASTSOFTMAX_ERROR_CLASSES : FASTSOFTMAX_OK;
            wrong |= fastsoftmax_softmax(dtype, s, &x, &y, NULL) != expected;
            wrong |= fastsoftmax_log_softmax(dtype, s, &x, &y, NULL) != expected;
            wrong |= fastsoftmax_logsumexp(dtype, s, &x, &y, NULL) != expected;
            wrong |= fastsoftmax_softmax_backward(dtype, s, &x, &x, &y, NULL) != expected;
            wrong |= fastsoftmax_log_softmax_backward(dtype, s, &x, &x, &y, NULL) != expected;
            wrong |= fastsoftmax_grad_hess(dtype, s, &x, &t, &y, &y, NULL) != expected;
            wrong |= fastsoftmax_cross_entropy(dtype, s, &x, &t, &loss, &y, &y, NULL, NULL) != expected;
            wrong |= i == 0 ? loss != 1 : loss == loss;
            loss = 1;
        }
    }
    if (wrong) count.failures++, fprintf(stderr, "nothing: not as documented\n");
}

/* Class weights have to be sound though there are no samples, and are not to be written over by the mean gradient. */
static void check_weights_of_nothing(void) {
    static double numbers[8];
    const fastsoftmax_input x = {NULL, 0, 8, 8};
    const fastsoftmax_targets t = {NULL, 0, 8, 0, FASTSOFTMAX_LABELS_INT64};
    const fastsoftmax_shape shape = {1, 0, 5};
    fastsoftmax_options o = fastsoftmax_default_options();
    o.class_weight = (const double *)((uintptr_t)numbers + 1);
    int wrong = fastsoftmax_cross_entropy(FASTSOFTMAX_FLOAT64, &shape, &x, &t, NULL, NULL, NULL, NULL, &o) !=
                FASTSOFTMAX_ERROR_ALIGNMENT;
    o.class_weight = numbers;
    wrong |= fastsoftmax_cross_entropy(FASTSOFTMAX_FLOAT64, &shape, &x, &t, NULL, NULL, NULL, numbers + 2, &o) !=
             FASTSOFTMAX_ERROR_OVERLAP;
    if (wrong) count.failures++, fprintf(stderr, "class weights without samples: not as documented\n");
}

/* A child that reads one byte beyond must not come to its end: otherwise nothing would be found here. */
static int guards_work(void) {
    int status = 0;
    const pid_t child = fork();
    if (child < 0) return 0;
    if (child == 0) {
        volatile const char *beyond = memory[INPUT].end;
        (void)*beyond;
        _exit(0);
    }
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != 0;
}

static int parse(int argument_count, char **arguments) {
    for (int i = 1; i < argument_count; i += 2) {
        unsigned long *number = strcmp(arguments[i], "--seed") == 0    ? &options.seed
                                : strcmp(arguments[i], "--every") == 0 ? &options.every
                                : strcmp(arguments[i], "--part") == 0  ? &options.part
                                                                       : NULL;
        char *end;
        if (number == NULL || i + 1 == argument_count) return -1;
        errno = 0;
        *number = strtoul(arguments[i + 1], &end, 10);
        if (errno != 0 || end == arguments[i + 1] || *end != '\0') return -1;
    }
    return options.part < options.every ? 0 : -1;
}

int main(int argument_count, char **arguments) {
    if (parse(argument_count, arguments) < 0) {
        fprintf(stderr, "usage: %s [--every N] [--part K] [--seed N]\n", arguments[0]);
        return 2;
    }
    for (int array = 0; array < ARRAYS; array++)
        if (make_guarded(ROOM, &memory[array]) < 0) return 2;
    watch_faults();
    fsm_threads_setup();
    if (!guards_work()) {
        fprintf(stderr, "the forbidden pages can be touched\n");
        return 1;
    }
    check_nothing();
    check_weights_of_nothing();
    if (check_short_rows() < 0 || check_long_rows() < 0) {
        fprintf(stderr, "no memory\n");
        return 2;
    }
    printf("seed %lu, part %lu of %lu: %zu cases, %zu calls between guard pages\n", options.seed, options.part,
           options.every, count.cases, count.calls);
    printf(count.failures == 0 ? "all passed\n" : "FAILED\n");
    return count.failures == 0 ? 0 : 1;
}
