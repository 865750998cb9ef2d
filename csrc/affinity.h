/* On which CPUs a thread may run. */
#ifndef FSM_AFFINITY_H
#define FSM_AFFINITY_H

/* The CPU that the calling thread is on, or -1 where the system does not say. */
int fsm_this_cpu(void);

/* Keeps the calling thread off a CPU, if it may run on others, until fsm_come_back. Nothing where the system cannot
   do it, or the CPU is -1. */
void fsm_keep_off(int cpu);
void fsm_come_back(void);

#endif
