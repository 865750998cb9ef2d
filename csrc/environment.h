/* The floating-point environment of the calling thread: how it rounds, what it does with subnormal numbers, which
   exceptions trap, and the flags of those that were raised.

   All arithmetic here takes the default for granted: to the nearest, subnormals kept, nothing traps. A caller may
   have chosen otherwise, or run in a thread of somebody who did, and is to find what was there afterwards, flags
   included. */
#ifndef FSM_ENVIRONMENT_H
#define FSM_ENVIRONMENT_H

#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64)

#include <immintrin.h>

enum { MXCSR_FLAGS = 0x3f, MXCSR_DEFAULT = 0x1f80 };

/* What was found. */
struct fsm_environment {
    uint32_t mxcsr;
};

static inline struct fsm_environment fsm_enter_environment(void) {
    const struct fsm_environment found = {_mm_getcsr()};
    if ((found.mxcsr | MXCSR_FLAGS) != (MXCSR_DEFAULT | MXCSR_FLAGS)) _mm_setcsr(MXCSR_DEFAULT);
    return found;
}

static inline void fsm_leave_environment(struct fsm_environment found) {
    if (_mm_getcsr() != found.mxcsr) _mm_setcsr(found.mxcsr);
}

#elif defined(__aarch64__)

struct fsm_environment {
    uint64_t control, status;
};

static inline struct fsm_environment fsm_enter_environment(void) {
    struct fsm_environment found;
    __asm__ volatile("mrs %0, fpcr" : "=r"(found.control)::"memory");
    __asm__ volatile("mrs %0, fpsr" : "=r"(found.status)::"memory");
    if (found.control != 0) __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)0) : "memory");
    return found;
}

static inline void fsm_leave_environment(struct fsm_environment found) {
    if (found.control != 0) __asm__ volatile("msr fpcr, %0" ::"r"(found.control) : "memory");
    __asm__ volatile("msr fpsr, %0" ::"r"(found.status) : "memory");
}

#else

#include <fenv.h>

struct fsm_environment {
    fenv_t found;
};

static inline struct fsm_environment fsm_enter_environment(void) {
    struct fsm_environment environment;
    (void)fegetenv(&environment.found);
    (void)fesetenv(FE_DFL_ENV);
    return environment;
}

static inline void fsm_leave_environment(struct fsm_environment environment) { (void)fesetenv(&environment.found); }

#endif

#endif
