#include "cpu.h"

#if defined(__x86_64__) || defined(_M_X64)
#define X86_64 1
#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

#ifdef X86_64

struct registers {
    uint32_t eax, ebx, ecx, edx;
};

static struct registers cpuid(uint32_t leaf, uint32_t subleaf) {
    struct registers r = {0, 0, 0, 0};
#if defined(_MSC_VER) && !defined(__clang__)
    int values[4];
    __cpuidex(values, (int)leaf, (int)subleaf);
    r = (struct registers){(uint32_t)values[0], (uint32_t)values[1], (uint32_t)values[2], (uint32_t)values[3]};
#else
    __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
#endif
    return r;
}

/* The register files that the operating system saves on a context switch (XCR0); only to be asked for
   where cpuid says OSXSAVE. */
static uint64_t saved_registers(void) {
#if defined(_MSC_VER) && !defined(__clang__)
    return _xgetbv(0);
#else
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
#endif
}

enum {
    LEAF1_ECX_FMA = 1u << 12,
    LEAF1_ECX_OSXSAVE = 1u << 27,
    LEAF1_ECX_AVX = 1u << 28,
    LEAF1_ECX_F16C = 1u << 29,
    LEAF7_EBX_AVX2 = 1u << 5,
    LEAF7_EBX_AVX512F = 1u << 16,
    LEAF7_EBX_AVX512DQ = 1u << 17,
    LEAF7_EBX_AVX512BW = 1u << 30,
    SAVES_XMM_AND_YMM = 0x06,
    SAVES_MASKS_AND_ZMM = 0xE0
};
#define LEAF7_EBX_AVX512VL (1u << 31)

int fsm_x86_has_avx2(const struct fsm_x86 *x86) {
    const uint32_t wanted = LEAF1_ECX_FMA | LEAF1_ECX_OSXSAVE | LEAF1_ECX_AVX | LEAF1_ECX_F16C;
    return (x86->leaf1_ecx & wanted) == wanted && (x86->leaf7_ebx & LEAF7_EBX_AVX2) != 0 &&
           (x86->saved_registers & SAVES_XMM_AND_YMM) == SAVES_XMM_AND_YMM;
}

int fsm_x86_has_avx512(const struct fsm_x86 *x86) {
    const uint32_t wanted = LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512DQ | LEAF7_EBX_AVX512BW | LEAF7_EBX_AVX512VL;
    return fsm_x86_has_avx2(x86) && (x86->leaf7_ebx & wanted) == wanted &&
           (x86->saved_registers & SAVES_MASKS_AND_ZMM) == SAVES_MASKS_AND_ZMM;
}

/* A leaf beyond the highest repeats another one's bits. */
static struct fsm_x86 ask_cpu(void) {
    const uint32_t highest_leaf = cpuid(0, 0).eax;
    struct fsm_x86 x86 = {0, 0, 0};
    if (highest_leaf >= 1) x86.leaf1_ecx = cpuid(1, 0).ecx;
    if (highest_leaf >= 7) x86.leaf7_ebx = cpuid(7, 0).ebx;
    if (x86.leaf1_ecx & LEAF1_ECX_OSXSAVE) x86.saved_registers = saved_registers();
    return x86;
}

int fsm_cpu_has_avx2(void) {
    const struct fsm_x86 x86 = ask_cpu();
    return fsm_x86_has_avx2(&x86);
}
int fsm_cpu_has_avx512(void) {
    const struct fsm_x86 x86 = ask_cpu();
    return fsm_x86_has_avx512(&x86);
}

int fsm_cpu_has_sse2(void) { return 1; } /* part of x86-64 */
int fsm_cpu_has_neon(void) { return 0; }

#else

int fsm_cpu_has_avx512(void) { return 0; }
int fsm_cpu_has_avx2(void) { return 0; }
int fsm_cpu_has_sse2(void) { return 0; }
#if defined(__aarch64__) || defined(_M_ARM64)
int fsm_cpu_has_neon(void) { return 1; } /* part of AArch64 */
#else
int fsm_cpu_has_neon(void) { return 0; }
#endif

#endif

int fsm_cpu_has_scalar(void) { return 1; }
