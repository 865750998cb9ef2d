/* The results by their definitions, in double precision: near enough to see a wrong element, not the last bits. */
#ifndef FSM_FUZZ_EXPECTED_H
#define FSM_FUZZ_EXPECTED_H

#include "numbers.h"

/* NULL, or the name of the result that is not what it should be, of a call whose inputs and results are flat. Says
   nothing of rows whose numbers are too far apart for double precision. */
const char *judge_results(const struct call *call, const struct flat *inputs, const struct flat *results);

#endif
