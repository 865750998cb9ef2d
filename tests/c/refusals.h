/* The system's refusals, made to order: every allocation and every thread start of the library passes here. */
#ifndef FSM_TEST_REFUSALS_H
#define FSM_TEST_REFUSALS_H

/* What the library asks the system for; `memory` it cannot do without. */
struct requests {
    int memory, files, cpu_sets, threads, fork_handlers;
};

/* Refuses request number `first`, counted from 1 from here on, and those after it too where `on` is set. */
void refuse_from(int first, int on);
void refuse_nothing(void);

/* What has been refused, and granted, since the last of these calls. */
struct requests refused(void);
struct requests granted(void);

#endif
