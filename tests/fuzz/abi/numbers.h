/* What is in the arrays of a call, and the same in plain order. */
#ifndef FSM_FUZZ_NUMBERS_H
#define FSM_FUZZ_NUMBERS_H

#include "call.h"
#include "format.h"

/* Puts numbers everywhere, outputs included, by the call's flavour and seed. */
void fill_arrays(const struct call *call);

/* The elements of each array one after another, samples by classes. */
struct flat {
    _Alignas(16) char data[ROLES][MOST_ELEMENTS * 2 * sizeof(double)];
};

void gather(struct flat *flat, const struct call *call, unsigned roles);
/* The same call on the flat arrays, in C order: its inputs are where `gather` put them. */
void make_flat_call(struct call *plain, const struct call *call, struct flat *flat);

size_t element_count(const struct array *a);
/* The format of a role's elements, which are numbers of floating point. */
const struct format *format_of(const struct call *call, enum role role);

#endif
