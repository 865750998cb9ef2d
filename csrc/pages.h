/* What the system has behind an address. */
#ifndef FSM_PAGES_H
#define FSM_PAGES_H

/* Whether there is memory behind it already, rather than only when it is first written to; 1 where the system does
   not say. */
int fsm_is_in_memory(const void *address);

#endif
