/* In place of csrc/cpu.c: this build's AVX-512 is emulated, and so every CPU has it. */
#include "cpu.h"

int fsm_cpu_has_avx512(void) { return 1; }
int fsm_cpu_has_scalar(void) { return 1; }
