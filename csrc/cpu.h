/* What the CPU, and the operating system on it, can run. */
#ifndef FSM_CPU_H
#define FSM_CPU_H

#include <stdint.h>

int fsm_cpu_has_avx512(void);
int fsm_cpu_has_avx2(void);
int fsm_cpu_has_sse2(void);
int fsm_cpu_has_neon(void);
int fsm_cpu_has_scalar(void);

/* What an x86-64 CPU says of itself by cpuid, and, where that has OSXSAVE, the register files that the operating
   system saves on a context switch (XCR0): registers that are not saved are not to be used. */
struct fsm_x86 {
    uint32_t leaf1_ecx, leaf7_ebx;
    uint64_t saved_registers;
};
int fsm_x86_has_avx512(const struct fsm_x86 *x86);
int fsm_x86_has_avx2(const struct fsm_x86 *x86);

#endif
