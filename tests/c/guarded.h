/* Memory between pages that cannot be touched. */
#ifndef FSM_TEST_GUARDED_H
#define FSM_TEST_GUARDED_H

#include <stddef.h>

/* Pages that can be read and written, from begin up to end, between two that cannot. */
struct guarded {
    char *begin, *end;
};

/* Room for at least so many bytes. 0, or -1 where there is no memory. */
int make_guarded(size_t bytes, struct guarded *memory);

/* Whether an address is on one of its two forbidden pages. */
int is_forbidden(const struct guarded *memory, const void *address);

/* The lowest address of `bytes` bytes that lie `apart` from the first allowed byte or, at the high end, from the
   last. All bytes around are forbidden too where the program is built with AddressSanitizer; without it, those near
   are filled with a mark. */
char *guarded_at(const struct guarded *memory, int at_high_end, size_t apart, size_t bytes);

/* Whether a mark around them is gone. */
int is_written_around(const struct guarded *memory, const char *at, size_t bytes);

#endif
