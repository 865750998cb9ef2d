/* How many CPUs this process may use. */
#ifndef FSM_CPU_COUNT_H
#define FSM_CPU_COUNT_H

#include <stddef.h>

/* The least of the CPUs there are, those that affinity allows and the quotas of its control groups; at least 1. The
   package counts likewise for Python, which may be installed without this library. */
size_t fsm_usable_cpus(void);

#endif
