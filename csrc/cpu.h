/* What the CPU, and the operating system on it, can run. */
#ifndef FSM_CPU_H
#define FSM_CPU_H

int fsm_cpu_has_avx512(void);
int fsm_cpu_has_avx2(void);
int fsm_cpu_has_sse2(void);
int fsm_cpu_has_neon(void);
int fsm_cpu_has_scalar(void);

#endif
