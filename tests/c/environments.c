#include "environments.h"

#include <fenv.h>

#if defined(__x86_64__)
#include <immintrin.h>

enum { FLUSHING = 0x8040, FLAGS = 0x3f };

static uint64_t environment(void) { return _mm_getcsr(); }
static void flush_subnormals(void) { _mm_setcsr(_mm_getcsr() | FLUSHING); }
static void clear_flags(void) { _mm_setcsr(_mm_getcsr() & ~(unsigned)FLAGS); }
#elif defined(__aarch64__)
static uint64_t environment(void) {
    uint64_t control, status;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control)::"memory");
    __asm__ volatile("mrs %0, fpsr" : "=r"(status)::"memory");
    return control << 32 | status;
}
static void flush_subnormals(void) {
    const uint64_t flushing = (uint64_t)1 << 24;
    __asm__ volatile("msr fpcr, %0" ::"r"(flushing) : "memory");
}
static void clear_flags(void) { __asm__ volatile("msr fpsr, %0" ::"r"((uint64_t)0) : "memory"); }
#else
static uint64_t environment(void) { return (uint64_t)fegetround() << 32 | (uint64_t)fetestexcept(FE_ALL_EXCEPT); }
static void flush_subnormals(void) {}
static void clear_flags(void) { (void)feclearexcept(FE_ALL_EXCEPT); }
#endif

static void enter(size_t number) {
    static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    clear_flags();
    if (number % 5 == 4)
        flush_subnormals();
    else if (number % 5 != 0)
        (void)fesetround(modes[number % 5 - 1]);
}

int run_in_environment(size_t number, struct fsm_job *job, enum fsm_operation operation, size_t threads, double *loss,
                       double *mean_grad) {
    fenv_t before;
    (void)fegetenv(&before);
    enter(number);
    const uint64_t found = environment();
    const int status = fsm_run(job, operation, threads, loss, mean_grad);
    const int is_changed = environment() != found;
    (void)fesetenv(&before);
    return status == 0 && is_changed ? ENVIRONMENT_CHANGED : status;
}
