/* The calls of the kernels, by each caller. */
#ifndef FSM_TEST_GUARD_CALLS_H
#define FSM_TEST_GUARD_CALLS_H

#include "guard_case.h"

enum { IGNORED_LABEL = -100 };

/* The bytes of scratch memory that the case's kernel asks for, once its arguments are laid out. */
size_t scratch_bytes(const struct guard_case *c, const struct images *images);

/* Makes the call: the status of whom it calls, 0 where all is well. */
int call_at(const struct guard_case *c, const struct images *images, const struct places *places);

#endif
