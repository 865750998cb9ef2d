/* Compares results, keeps the largest errors, and says what failed. */
#ifndef FSM_TEST_JUDGE_H
#define FSM_TEST_JUDGE_H

#include "calls.h"
#include "reference.h"

struct verdicts; /* all so far */

/* What is being judged. */
struct subject {
    size_t instruction_set; /* by its number */
    const struct problem *problem;
    const struct task *task;
    const struct call *call;
};

/* NULL where there is no memory. */
struct verdicts *make_verdicts(void);

/* The parts of the set `parts` against the right answer. */
void judge_errors(struct verdicts *v, const struct subject *s, int parts, const struct results *results,
                  const struct answer *answer);
/* The parts of the set `parts` against the same bits of a call for all rows, which is of the name `other`. */
void judge_bits(struct verdicts *v, const struct subject *s, int parts, const struct results *results,
                const struct results *whole, const char *other);
/* Takes all bits into an instruction set's digest for the dtype, by which runs on several machines can be compared.
 */
void digest(struct verdicts *v, const struct subject *s, const struct results *results);
/* Whether of a row's parts each was offered to several threads, more than once: `offered` is the number of items. */
void judge_sharing(struct verdicts *v, const struct subject *s, size_t offered);
void judge_status(struct verdicts *v, const struct subject *s, int status);

/* The largest errors, a line each. */
void print_verdicts(const struct verdicts *v);
size_t count_failures(const struct verdicts *v);

#endif
