/* Checks the choice of an instruction set: cpus [NAME]

   Of CPUs that are made up, and of the one this runs on, where NAME is to be what is chosen. */
#include <stdio.h>
#include <string.h>

#include "cpu.h"
#include "dispatch.h"

static int faults;

#if defined(__x86_64__) || defined(_M_X64)
/* The bits of Intel's manual (Software Developer's Manual, volume 2, CPUID; volume 1, 13.2 for XCR0). */
enum { FMA = 1u << 12, XSAVE = 1u << 26, OSXSAVE = 1u << 27, AVX = 1u << 28, F16C = 1u << 29 };
enum { AVX2 = 1u << 5, F = 1u << 16, DQ = 1u << 17, BW = 1u << 30 };
#define VL (1u << 31)
enum { X87 = 1, XMM = 2, YMM = 4, MASKS = 0x20, UPPER_HALVES = 0x40, UPPER_ZMM = 0x80 };

static const struct fsm_x86 everything = {FMA | XSAVE | OSXSAVE | AVX | F16C, AVX2 | F | DQ | BW | VL,
                                          X87 | XMM | YMM | MASKS | UPPER_HALVES | UPPER_ZMM};
static const struct fsm_x86 nothing = {0, 0, 0};

static void expect(const char *what, const struct fsm_x86 *x86, int avx2, int avx512) {
    if (fsm_x86_has_avx2(x86) == avx2 && fsm_x86_has_avx512(x86) == avx512) return;
    printf("%s: AVX2 %d, AVX-512 %d\n", what, fsm_x86_has_avx2(x86), fsm_x86_has_avx512(x86));
    faults++;
}

/* Each bit that is missing takes away what needs it, and no other does. */
static void take_bits_away(void) {
    for (int bit = 0; bit < 32; bit++) {
        const uint32_t one = 1u << bit;
        const int needed = (one & (FMA | OSXSAVE | AVX | F16C)) != 0, for_avx2 = one == AVX2;
        const int for_avx512 = (one & (F | DQ | BW | VL)) != 0;
        struct fsm_x86 x86 = everything;
        x86.leaf1_ecx = ~one;
        expect("leaf 1 less a bit", &x86, !needed, !needed);
        x86 = everything;
        x86.leaf7_ebx = ~one;
        expect("leaf 7 less a bit", &x86, !for_avx2, !for_avx2 && !for_avx512);
        x86 = everything;
        x86.saved_registers = ~(uint64_t)one;
        expect("registers less a kind", &x86, !(one & (XMM | YMM)),
               !(one & (XMM | YMM | MASKS | UPPER_HALVES | UPPER_ZMM)));
    }
}

static void try_systems(void) {
    struct fsm_x86 x86 = everything;
    expect("everything", &everything, 1, 1);
    expect("nothing", &nothing, 0, 0);
    x86.saved_registers = X87 | XMM | YMM;
    expect("a system that saves no AVX-512", &x86, 1, 0);
    x86.saved_registers = X87 | XMM;
    expect("a system that saves no AVX", &x86, 0, 0);
    x86.leaf1_ecx &= ~(uint32_t)OSXSAVE;
    x86.saved_registers = 0;
    expect("a system without XSAVE", &x86, 0, 0);
}

static void check_choice(void) {
    take_bits_away();
    try_systems();
}
#else
static void check_choice(void) {}
#endif

int main(int count, char **arguments) {
    const char *chosen = fsm_instruction_set_in_use()->name;
    check_choice();
    printf("%s is chosen\n", chosen);
    if (count > 1 && strcmp(arguments[1], chosen) != 0) {
        printf("%s was expected\n", arguments[1]);
        faults++;
    }
    printf(faults == 0 ? "all passed\n" : "FAILED\n");
    return faults == 0 ? 0 : 1;
}
