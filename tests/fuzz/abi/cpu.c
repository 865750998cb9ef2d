/* Asking the CPU for its features takes longer than a small call, in a virtual machine: once is enough. */
int __real_fsm_cpu_has_avx512(void);
int __real_fsm_cpu_has_avx2(void);
int __wrap_fsm_cpu_has_avx512(void);
int __wrap_fsm_cpu_has_avx2(void);

int __wrap_fsm_cpu_has_avx512(void) {
    static int has = -1;
    if (has < 0) has = __real_fsm_cpu_has_avx512();
    return has;
}

int __wrap_fsm_cpu_has_avx2(void) {
    static int has = -1;
    if (has < 0) has = __real_fsm_cpu_has_avx2();
    return has;
}
