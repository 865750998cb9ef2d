/* Compares what the kernels compute inside with the exact values: exhaustive [--seed N] [--every N] [--points N]

   Every float32 number that the exponential and the logarithm can be given, or each N-th of them, and float64 at so
   many points. Prints the largest error in units in the last place (ulp), where it is, and how many results are not
   the number nearest to the exact value; exits with 1 if an error exceeds its bound, or if bits differ between
   instruction sets that fuse multiplication and addition. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dispatch.h"
#include "sweeps.h"
#include "threads.h"

/* The exponential's bounds follow from kernel/exponential.h and kernel/powers.h: before it is rounded it may be wrong
   by three times |r|, the polynomial's error and the table's, in units of roundoff, and so many ulp at the most.
   Those of pairs are the package's. */
static struct subject float32_subjects[FLOAT32_SUBJECTS] = {
    [EXP32] = {"exponential", 0.69, 0.69, {{0}}},
    [SUMMED_EXP32] = {"exponential, summed", 0.19, 0.19, {{0}}},
    [LOG32] = {"logarithm", 0.5 + 0x1p-24, 0.5 + 0x1p-24, {{0}}},
    [SOFTMAX32] = {"softmax of pairs", 2, 2, {{0}}},
    [LOSS32] = {"loss of pairs", 4, 4, {{0}}},
    [LOGSUMEXP32] = {"logsumexp of pairs", 4, 4, {{0}}}};
static struct subject float64_subjects[FLOAT64_SUBJECTS] = {
    [EXP64] = {"exponential", 0.81, 0.81, {{0}}}, [SUMMED_EXP64] = {"exponential, summed", 0.31, 0.31, {{0}}},
    [LOG64] = {"logarithm", 1.5, 1.5, {{0}}},     [SOFTMAX64] = {"softmax of pairs", 2, 2, {{0}}},
    [LOSS64] = {"loss of pairs", 4, 4, {{0}}},    [LOGSUMEXP64] = {"logsumexp of pairs", 4, 4, {{0}}}};

static int parse_number(const char *text, uint64_t *number) {
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' ? 0 : -1;
}

static int parse(int count, char **arguments, struct extent *extent) {
    *extent = (struct extent){1, 1, 1000000000};
    for (int i = 1; i < count; i += 2) {
        uint64_t *number = strcmp(arguments[i], "--seed") == 0     ? &extent->seed
                           : strcmp(arguments[i], "--every") == 0  ? &extent->every
                           : strcmp(arguments[i], "--points") == 0 ? &extent->points
                                                                   : NULL;
        if (number == NULL || i + 1 == count || parse_number(arguments[i + 1], number) < 0) return -1;
    }
    return extent->every == 0 ? -1 : 0;
}

static int fuses(const char *set) {
    return strcmp(set, "avx512") == 0 || strcmp(set, "avx2") == 0 || strcmp(set, "neon") == 0;
}

/* Prints what was found, and returns how much of it is a fault. */
static int judge(const char *dtype, const struct subject *subject) {
    const struct errors *fused = NULL;
    int faults = 0;
    for (size_t set = 0; set < fsm_instruction_set_count(); set++) {
        const char *name = fsm_instruction_set_at(set)->name;
        const struct errors *e = &subject->errors[set];
        if (e->count == 0) continue;
        const double bound = fuses(name) ? subject->bound : subject->bound_unfused;
        const int differs = fuses(name) && fused != NULL && fused->digest != e->digest;
        const int is_bad = e->is_wrong || !(e->worst <= bound) || differs;
        printf("%-7s %-8s %-20s %11llu  %7.4f ulp at %-24a %11llu not nearest  digest %016llx%s%s\n", name, dtype,
               subject->name, (unsigned long long)e->count, e->worst, e->at, (unsigned long long)e->not_nearest,
               (unsigned long long)e->digest, differs ? "  OTHER BITS" : "", is_bad ? "  FAILED" : "");
        faults += is_bad;
        if (fuses(name) && fused == NULL) fused = e;
    }
    return faults;
}

int main(int count, char **arguments) {
    struct extent extent;
    int faults = 0;
    if (parse(count, arguments, &extent) < 0) {
        fprintf(stderr, "usage: %s [--seed N] [--every N] [--points N]\n", arguments[0]);
        return 2;
    }
    fsm_threads_setup();
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    printf("seed %llu, every %llu, points %llu\n", (unsigned long long)extent.seed, (unsigned long long)extent.every,
           (unsigned long long)extent.points);
    sweep_float32(&extent, float32_subjects);
    for (int i = 0; i < FLOAT32_SUBJECTS; i++) faults += judge("float32", &float32_subjects[i]);
    try_float64(&extent, float64_subjects);
    for (int i = 0; i < FLOAT64_SUBJECTS; i++) faults += judge("float64", &float64_subjects[i]);
    printf(faults == 0 ? "all passed\n" : "FAILED\n");
    return faults == 0 ? 0 : 1;
}
