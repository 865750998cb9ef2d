/* The memory of a call's arrays: a block each, or one for those that share it, exactly as large as they reach, so
   that AddressSanitizer sees any access beyond; and what every byte of it belongs to. */
#ifndef FSM_FUZZ_MEMORY_H
#define FSM_FUZZ_MEMORY_H

#include "call.h"

struct block {
    char *memory, *before; /* as it was filled */
    uint16_t *owners;      /* a set of roles for each byte */
    size_t bytes;
};

struct memory {
    struct block block[ROLES]; /* by the role whose array the others share */
};

/* Gives addresses to the call's arrays. Those that reach too far for memory get one that is not to be used. */
void place_arrays(struct memory *m, struct call *call);
/* Notes the owners, and keeps what the arrays hold now. */
void keep_memory(struct memory *m, const struct call *call);
void restore_memory(struct memory *m);
void free_memory(struct memory *m);

/* Whether bytes have changed which none of the roles owns. */
int has_changed_beyond(const struct memory *m, unsigned roles);

/* The roles that own a byte which `role` owns, apart from itself. Of backed arrays alone. */
unsigned sharers_of(const struct memory *m, const struct call *call, enum role role);
/* Whether two elements of an array share a byte: 1, 0, or -1 for one too large to say. */
int overlaps_itself(const struct array *a);

#endif
