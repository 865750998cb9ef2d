/* What the system has behind an address. */
#ifndef FSM_PAGES_H
#define FSM_PAGES_H

#include <stddef.h>

#include "shared.h"

/* Whether there is memory behind it already, rather than only when it is first written to; 1 where the system does
   not say. */
int fsm_is_in_memory(const void *address);

/* Asks that memory not yet written to come in large pieces, which costs far fewer faults. */
FSM_SHARED void fsm_ask_for_huge_pages(void *address, size_t bytes);

#endif
