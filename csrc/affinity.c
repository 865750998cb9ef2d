#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "affinity.h"

#if defined(__linux__)

#include <sched.h>

/* What the thread was allowed, and what it was left with. */
static _Thread_local struct {
    int kept_off;
    cpu_set_t before, since;
} place;

int fsm_this_cpu(void) { return sched_getcpu(); }

void fsm_keep_off(int cpu) {
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof place.before, &place.before) != 0) return;
    place.since = place.before;
    CPU_CLR(cpu, &place.since);
    if (CPU_EQUAL(&place.since, &place.before) || CPU_COUNT(&place.since) == 0) return;
    place.kept_off = sched_setaffinity(0, sizeof place.since, &place.since) == 0;
}

/* Somebody else may have moved the thread meanwhile: that stays. */
void fsm_come_back(void) {
    cpu_set_t now;
    if (!place.kept_off) return;
    place.kept_off = 0;
    if (sched_getaffinity(0, sizeof now, &now) == 0 && CPU_EQUAL(&now, &place.since))
        (void)sched_setaffinity(0, sizeof place.before, &place.before);
}

#else

int fsm_this_cpu(void) { return -1; }
void fsm_keep_off(int cpu) { (void)cpu; }
void fsm_come_back(void) {}

#endif
