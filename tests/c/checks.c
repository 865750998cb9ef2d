#include "checks.h"

#include <string.h>

#include "counted_threads.h"
#include "layouts.h"

enum { PER_ROW = OUT | HESS | LOSSES, OVER_ROWS = LOSS | MEAN_GRAD };
enum { MOST_CALLS = 32, WORTH_THREADS = 65536 };

static const size_t batches[] = {1, 3, 16, 17};
enum { BATCHES = sizeof batches / sizeof *batches };

/* The calls that are to give the bits of a plain one. */
struct calls {
    struct call call[MOST_CALLS];
    size_t count;
};

static struct call plain_call(const struct problem *p) { return (struct call){.rows = p->rows, .threads = 1}; }

static void add_call(struct calls *calls, struct call call) { calls->call[calls->count++] = call; }

static void add_layout(struct calls *calls, const struct problem *p, size_t layout, struct generator *g) {
    struct call call = plain_call(p);
    call.input_layout = layout;
    call.output_layout = random_below(g, 2) ? layout : random_below(g, LAYOUTS);
    call.shift = random_below(g, 17);
    add_call(calls, call);
}

static void add_batch(struct calls *calls, const struct problem *p, size_t rows, struct generator *g) {
    if (rows > p->rows) return;
    add_layout(calls, p, random_below(g, 2) ? 0 : random_below(g, LAYOUTS), g);
    struct call *call = &calls->call[calls->count - 1];
    call->rows = rows;
    call->first = random_below(g, p->rows - rows + 1);
}

static void add_in_place(struct calls *calls, const struct problem *p, const struct task *task, struct generator *g) {
    if (!(task->parts & OUT) || task->parts & HESS) return;
    add_layout(calls, p, random_below(g, LAYOUTS), g);
    calls->call[calls->count - 1].in_place = 1;
}

static void add_threads(struct calls *calls, const struct problem *p) {
    for (size_t threads = 2; threads <= 3 && p->rows * p->classes >= WORTH_THREADS; threads++) {
        struct call call = plain_call(p);
        call.threads = threads;
        add_call(calls, call);
    }
}

static void choose_calls(const struct problem *p, const struct task *task, int thorough, struct generator *g,
                         struct calls *calls) {
    calls->count = 0;
    add_threads(calls, p);
    if (thorough) {
        for (size_t layout = 0; layout < LAYOUTS; layout++) add_layout(calls, p, layout, g);
        for (size_t i = 0; i < BATCHES; i++) add_batch(calls, p, batches[i], g);
        for (size_t i = 0; i < 2; i++) add_in_place(calls, p, task, g);
    } else {
        add_batch(calls, p, batches[random_below(g, BATCHES)], g);
    }
}

static int is_whole_and_plain(const struct problem *p, const struct call *call) {
    return call->rows == p->rows && call->input_layout == 0 && call->output_layout == 0;
}

/* A row of so many classes is shared by threads, but for the operations that have not learnt to. */
static int is_to_be_shared(const struct subject *s) {
    const enum fsm_operation operation = s->task->operation;
    const int is_covered = operation == FSM_OPERATION_softmax || operation == FSM_OPERATION_log_softmax ||
                           operation == FSM_OPERATION_logsumexp ||
                           (operation == FSM_OPERATION_cross_entropy && s->task->targets == LABELS);
    return is_covered && s->call->threads > s->call->rows && s->problem->classes >= 2 * FSM_PART;
}

static void check_call(struct verdicts *v, const struct subject *s, const struct answer *answer,
                       const struct results *plain) {
    struct results results;
    const size_t offered = offered_items();
    int status = make_call(s->problem, s->task, s->call, &results);
    judge_status(v, s, status);
    if (status == 0 && is_to_be_shared(s)) judge_sharing(v, s, offered_items() - offered);
    if (status == 0) {
        const int same_sums = is_whole_and_plain(s->problem, s->call);
        judge_bits(v, s, same_sums ? PER_ROW | OVER_ROWS : PER_ROW, &results, plain, "a plain call");
        /* A layout may be summed in another order. */
        if (!same_sums && s->call->rows == s->problem->rows) judge_errors(v, s, OVER_ROWS, &results, answer);
    }
    free_results(&results);
}

/* Instruction sets that fuse multiplication and addition give the same bits. */
static int fuses(size_t set) {
    const char *name = fsm_instruction_set_at(set)->name;
    return strcmp(name, "avx512") == 0 || strcmp(name, "avx2") == 0 || strcmp(name, "neon") == 0;
}

static void check_set(struct verdicts *v, struct subject *s, const struct answer *answer, const struct calls *calls,
                      struct results *fused, int *have_fused) {
    const struct call plain = plain_call(s->problem);
    struct results results;
    s->call = &plain;
    int status = make_call(s->problem, s->task, &plain, &results);
    judge_status(v, s, status);
    if (status == 0) {
        judge_errors(v, s, PER_ROW | OVER_ROWS, &results, answer);
        digest(v, s, &results);
        if (fuses(s->instruction_set) && *have_fused)
            judge_bits(v, s, PER_ROW | OVER_ROWS, &results, fused, "another instruction set that fuses");
        for (size_t i = 0; i < calls->count; i++) {
            s->call = &calls->call[i];
            check_call(v, s, answer, &results);
        }
    }
    if (status == 0 && fuses(s->instruction_set) && !*have_fused) {
        *fused = results;
        *have_fused = 1;
    } else {
        free_results(&results);
    }
}

static int check_task(struct verdicts *v, const struct problem *problem, const struct reference *reference,
                      const struct task *task, int thorough, struct generator *g) {
    struct answer answer;
    struct results fused;
    struct calls calls;
    int have_fused = 0;
    if (task->hessian == FSM_HESSIAN_LIGHTGBM && problem->classes == 1) return 0; /* K / (K - 1) is nothing */
    if (find_answer(reference, task, &answer) < 0) return -1;
    choose_calls(problem, task, thorough, g, &calls);
    for (size_t set = 0; set < fsm_instruction_set_count(); set++) {
        struct subject subject = {set, problem, task, NULL};
        if (fsm_use_instruction_set(fsm_instruction_set_at(set)->name) < 0) continue; /* not of this CPU */
        check_set(v, &subject, &answer, &calls, &fused, &have_fused);
    }
    if (have_fused) free_results(&fused);
    free_answer(&answer);
    return 0;
}

int check_problem(struct verdicts *v, struct problem *problem, int thorough, struct generator *g) {
    struct reference *reference = make_reference(problem);
    int status = reference == NULL ? -1 : 0;
    for (size_t task = 0; task < TASKS && status == 0; task++)
        status = check_task(v, problem, reference, &tasks[task], thorough, g);
    free_reference(reference);
    return status;
}
