/* Every allocation, thread start and other request of the library, refused one after another, alone and with all that
   follow: prints what was tried; exits with 1 where a call did not bear it.

   Without memory a call says so and has written nothing. Without anything else its results have their bits: it works
   alone. The next call, when nothing is refused any more, is right, and has its threads; so has a process that is
   forked then. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fastsoftmax.h"
#include "refusals.h"

enum function { SOFTMAX, LOG_SOFTMAX, LOGSUMEXP, SOFTMAX_BACKWARD, LOG_SOFTMAX_BACKWARD, CROSS_ENTROPY, GRAD_HESS };
enum { COLUMNS = 1, WEIGHTED = 2, SMOOTHED = 4, SOFT = 8, MEAN_GRAD = 16, LOSSES = 32, WHERE = 64, CONTIGUOUS = 128 };
enum { ELEMENTS = 1 << 19, CLASSES = 1 << 17, WATCHDOG = 120, FILL = 0xA5, MOST_REQUESTS = 100 };

struct trial {
    const char *name;
    enum function function;
    int dtype, options;
    size_t samples, classes, threads;
};

static const struct trial trials[] = {
    {"softmax, few", SOFTMAX, FASTSOFTMAX_FLOAT32, 0, 3, 4, 1},
    {"softmax", SOFTMAX, FASTSOFTMAX_FLOAT32, 0, 30000, 10, 3},
    {"softmax with default threads", SOFTMAX, FASTSOFTMAX_FLOAT64, 0, 30000, 10, 0},
    {"softmax of matrices", SOFTMAX, FASTSOFTMAX_FLOAT32, CONTIGUOUS, 300, 1000, 0},
    {"softmax of columns", SOFTMAX, FASTSOFTMAX_FLOAT32, COLUMNS, 300, 1000, 3},
    {"softmax of some classes", SOFTMAX, FASTSOFTMAX_FLOAT64, WHERE, 300, 1000, 3},
    {"softmax of a long row", SOFTMAX, FASTSOFTMAX_FLOAT32, 0, 4, CLASSES, 3},
    {"softmax of float16", SOFTMAX, FASTSOFTMAX_FLOAT16, 0, 300, 1000, 3},
    {"log_softmax of a long row", LOG_SOFTMAX, FASTSOFTMAX_FLOAT64, 0, 4, CLASSES, 3},
    {"log_softmax of bfloat16", LOG_SOFTMAX, FASTSOFTMAX_BFLOAT16, COLUMNS, 300, 1000, 3},
    {"logsumexp", LOGSUMEXP, FASTSOFTMAX_FLOAT32, 0, 300, 1000, 3},
    {"logsumexp of columns", LOGSUMEXP, FASTSOFTMAX_FLOAT64, COLUMNS, 300, 1000, 3},
    {"softmax_backward", SOFTMAX_BACKWARD, FASTSOFTMAX_FLOAT32, 0, 300, 1000, 3},
    {"softmax_backward of columns", SOFTMAX_BACKWARD, FASTSOFTMAX_FLOAT64, COLUMNS, 300, 1000, 3},
    {"log_softmax_backward", LOG_SOFTMAX_BACKWARD, FASTSOFTMAX_FLOAT16, 0, 300, 1000, 3},
    {"cross_entropy", CROSS_ENTROPY, FASTSOFTMAX_FLOAT32, 0, 30000, 10, 3},
    {"cross_entropy of matrices", CROSS_ENTROPY, FASTSOFTMAX_FLOAT32, CONTIGUOUS | MEAN_GRAD, 300, 1000, 0},
    {"cross_entropy, one by one", CROSS_ENTROPY, FASTSOFTMAX_FLOAT64, LOSSES | WEIGHTED, 300, 1000, 3},
    {"cross_entropy, smoothed", CROSS_ENTROPY, FASTSOFTMAX_FLOAT32, SMOOTHED | WEIGHTED | MEAN_GRAD, 300, 1000, 3},
    {"cross_entropy of soft targets", CROSS_ENTROPY, FASTSOFTMAX_FLOAT32, SOFT | WEIGHTED | MEAN_GRAD, 300, 1000, 3},
    {"cross_entropy of soft columns", CROSS_ENTROPY, FASTSOFTMAX_FLOAT64, SOFT | COLUMNS | MEAN_GRAD, 300, 1000, 3},
    {"cross_entropy of float16", CROSS_ENTROPY, FASTSOFTMAX_FLOAT16, MEAN_GRAD | LOSSES, 300, 1000, 3},
    {"cross_entropy of long rows", CROSS_ENTROPY, FASTSOFTMAX_FLOAT32, MEAN_GRAD, 4, CLASSES, 3},
    {"grad_hess", GRAD_HESS, FASTSOFTMAX_FLOAT32, 0, 30000, 10, 3},
    {"grad_hess of columns", GRAD_HESS, FASTSOFTMAX_FLOAT64, COLUMNS | SOFT, 300, 1000, 3}};
enum { TRIALS = sizeof trials / sizeof *trials };

/* What calls read. */
static struct {
    union {
        float float32[ELEMENTS];
        double float64[ELEMENTS];
        uint16_t half[ELEMENTS];
    } x, y;
    int64_t labels[ELEMENTS];
    double class_weight[CLASSES], sample_weight[ELEMENTS];
    unsigned char where[ELEMENTS];
} in;

/* What they write. */
struct out {
    double grad[ELEMENTS], hess[ELEMENTS], losses[ELEMENTS], mean_grad[CLASSES], loss;
};
static struct out *out;

/* Of the call that is refused nothing, in memory that processes share. */
static struct {
    struct out out;
    int threads; /* that it started */
} *right;

static size_t item_of(const struct trial *t) {
    return t->dtype == FASTSOFTMAX_FLOAT64 ? 8 : t->dtype == FASTSOFTMAX_FLOAT32 ? 4 : 2;
}

static void fill_inputs(const struct trial *t) {
    for (size_t i = 0; i < ELEMENTS; i++) {
        const size_t scrambled = i * 2654435761u % 8191;
        const double value = (double)scrambled / 1000 - 4;
        if (t->dtype == FASTSOFTMAX_FLOAT64)
            in.x.float64[i] = value, in.y.float64[i] = 0.001 * (double)(scrambled % 7);
        else if (t->dtype == FASTSOFTMAX_FLOAT32)
            in.x.float32[i] = (float)value, in.y.float32[i] = 0.001f * (float)(scrambled % 7);
        else /* of either format these bits are numbers between 0.5 and 2 */
            in.x.half[i] = in.y.half[i] = (uint16_t)(0x3B80 + scrambled % 64);
        in.labels[i] = (int64_t)(scrambled % t->classes);
        in.sample_weight[i] = 1 + (double)(scrambled % 3);
        in.where[i] = scrambled % 5 != 0;
    }
    for (size_t k = 0; k < CLASSES; k++) in.class_weight[k] = 1 + (double)(k % 4);
}

static fastsoftmax_input input(const struct trial *t, const void *data, size_t item) {
    const ptrdiff_t step = (ptrdiff_t)item;
    if (t->options & COLUMNS) return (fastsoftmax_input){data, 0, step, (ptrdiff_t)t->samples * step};
    return (fastsoftmax_input){data, 0, (ptrdiff_t)t->classes * step, step};
}

static fastsoftmax_output output(const struct trial *t, void *data) {
    const fastsoftmax_input like = input(t, data, item_of(t));
    return (fastsoftmax_output){data, like.outer, like.inner, like.classes};
}

static fastsoftmax_options options_of(const struct trial *t) {
    fastsoftmax_options o = fastsoftmax_default_options();
    o.num_threads = t->threads;
    if (t->options & WHERE) o.where = input(t, in.where, 1);
    if (t->options & WEIGHTED) {
        o.class_weight = in.class_weight;
        o.sample_weight = (fastsoftmax_input){in.sample_weight, 0, sizeof(double), 0};
    }
    if (t->options & SMOOTHED) o.label_smoothing = 0.1;
    return o;
}

static int call_cross_entropy(const struct trial *t, const fastsoftmax_shape *shape, const fastsoftmax_input *x,
                              const fastsoftmax_targets *targets, const fastsoftmax_options *o) {
    const fastsoftmax_output grad = output(t, out->grad), losses = {out->losses, 0, (ptrdiff_t)item_of(t), 0};
    return fastsoftmax_cross_entropy(t->dtype, shape, x, targets, &out->loss, t->options & LOSSES ? &losses : NULL,
                                     &grad, t->options & MEAN_GRAD ? out->mean_grad : NULL, o);
}

static int call_contiguous(const struct trial *t) {
    if (t->function == SOFTMAX)
        return fastsoftmax_softmax_f32(in.x.float32, t->samples, t->classes, (float *)out->grad);
    return fastsoftmax_cross_entropy_f32_i64(in.x.float32, in.labels, t->samples, t->classes, &out->loss,
                                             (float *)out->grad, (float *)out->mean_grad);
}

static int call(const struct trial *t) {
    const fastsoftmax_shape shape = {1, t->samples, t->classes};
    const fastsoftmax_input x = input(t, &in.x, item_of(t)), y = input(t, &in.y, item_of(t));
    const fastsoftmax_output grad = output(t, out->grad), hess = output(t, out->hess);
    const fastsoftmax_output losses = {out->losses, 0, (ptrdiff_t)item_of(t), 0};
    const fastsoftmax_targets soft = {y.data, y.outer, y.inner, y.classes, FASTSOFTMAX_PROBABILITIES};
    const fastsoftmax_targets labels = {in.labels, 0, sizeof *in.labels, 0, FASTSOFTMAX_LABELS_INT64};
    const fastsoftmax_targets *targets = t->options & SOFT ? &soft : &labels;
    const fastsoftmax_options o = options_of(t);
    if (t->options & CONTIGUOUS) return call_contiguous(t);
    switch (t->function) {
    case SOFTMAX: return fastsoftmax_softmax(t->dtype, &shape, &x, &grad, &o);
    case LOG_SOFTMAX: return fastsoftmax_log_softmax(t->dtype, &shape, &x, &grad, &o);
    case LOGSUMEXP: return fastsoftmax_logsumexp(t->dtype, &shape, &x, &losses, &o);
    case SOFTMAX_BACKWARD: return fastsoftmax_softmax_backward(t->dtype, &shape, &x, &y, &grad, &o);
    case LOG_SOFTMAX_BACKWARD: return fastsoftmax_log_softmax_backward(t->dtype, &shape, &x, &y, &grad, &o);
    case CROSS_ENTROPY: return call_cross_entropy(t, &shape, &x, targets, &o);
    default: return fastsoftmax_grad_hess(t->dtype, &shape, &x, targets, &grad, &hess, &o);
    }
}

static int call_afresh(const struct trial *t) {
    memset(out, FILL, sizeof *out);
    return call(t);
}

static int is_untouched(void) {
    const unsigned char *bytes = (const unsigned char *)out;
    for (size_t i = 0; i < sizeof *out; i++)
        if (bytes[i] != FILL) return 0;
    return 1;
}

static int is_right(void) { return memcmp(out, &right->out, sizeof *out) == 0; }

static int fail(const struct trial *t, int first, int on, const char *what) {
    printf("%s, request %d%s refused: %s\n", t->name, first, on ? " and all after it" : "", what);
    return EXIT_FAILURE;
}

/* What a process reports that has tried one trial. */
enum { BORNE = 0, NOTHING_REFUSED = 2 };

static int try_forked(const struct trial *t) {
    const pid_t child = fork();
    int status;
    if (child == 0) {
        alarm(WATCHDOG);
        _exit(call_afresh(t) == FASTSOFTMAX_OK && is_right() ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    return waitpid(child, &status, 0) == child && status == 0;
}

static int try_refusal(const struct trial *t, int first, int on) {
    refuse_from(first, on);
    int status = call_afresh(t);
    const struct requests refusals = refused();
    const int none =
        refusals.memory + refusals.files + refusals.cpu_sets + refusals.threads + refusals.fork_handlers == 0;
    if (refusals.memory > 0 && status != FASTSOFTMAX_ERROR_MEMORY) return fail(t, first, on, "memory is not missed");
    if (refusals.memory > 0 && !is_untouched()) return fail(t, first, on, "something is written");
    if (refusals.memory == 0 && status != FASTSOFTMAX_OK) return fail(t, first, on, "an error");
    if (refusals.memory == 0 && !is_right()) return fail(t, first, on, "other results");
    const int started = granted().threads;
    if (started > 0 && granted().fork_handlers == 0) return fail(t, first, on, "threads that no fork knows of");
    refuse_nothing();
    if (refusals.fork_handlers > 0 && !try_forked(t)) return fail(t, first, on, "a forked process fails");
    status = call_afresh(t);
    if (status != FASTSOFTMAX_OK || !is_right()) return fail(t, first, on, "the next call fails");
    if (started + granted().threads != right->threads) return fail(t, first, on, "other threads than without it");
    return try_forked(t) ? (none ? NOTHING_REFUSED : BORNE) : fail(t, first, on, "a forked process fails at the end");
}

static int in_a_process(const struct trial *t, int first, int on) {
    int status;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        alarm(WATCHDOG);
        const int result = try_refusal(t, first, on);
        fflush(stdout);
        _exit(result);
    }
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return fail(t, first, on, "it crashes or hangs");
    return WEXITSTATUS(status);
}

/* The right results, of a process that nothing is refused, and how much it asks for. */
static int find_right(const struct trial *t) {
    int status;
    const pid_t child = fork();
    if (child == 0) {
        refuse_nothing();
        status = call_afresh(t);
        right->out = *out;
        right->threads = granted().threads;
        _exit(status);
    }
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

int main(void) {
    int all = 0;
    out = mmap(NULL, sizeof *out, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    right = mmap(NULL, sizeof *right, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (out == MAP_FAILED || right == MAP_FAILED) return EXIT_FAILURE;
    for (size_t i = 0; i < TRIALS; i++) {
        const struct trial *t = &trials[i];
        fill_inputs(t);
        if (find_right(t) < 0) return fail(t, 0, 0, "fails where nothing is refused");
        int count = 0;
        for (int on = 0; on <= 1; on++) {
            for (int first = 1; first <= MOST_REQUESTS; first++) {
                const int result = in_a_process(t, first, on);
                if (result == NOTHING_REFUSED) break;
                if (result != BORNE) return EXIT_FAILURE;
                count++;
            }
        }
        printf("%-32s %3d refusals borne\n", t->name, count);
        all += count;
    }
    printf("%d refusals in %d trials, and every call after them\n", all, TRIALS);
    return EXIT_SUCCESS;
}
