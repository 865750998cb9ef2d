/* Everything that is checked of a problem, on every instruction set that this CPU runs. */
#ifndef FSM_TEST_CHECKS_H
#define FSM_TEST_CHECKS_H

#include "judge.h"

/* All calls where `thorough`, else some of them. 0, or -1 where there is no memory. */
int check_problem(struct verdicts *v, struct problem *problem, int thorough, struct generator *g);

#endif
