/* Checks the kernels against a reference in 113 bits: kernels [--seed N] [--every N]

   With --every N, only each N-th problem is worked, a seed's own. Prints the largest error for each instruction set,
   dtype and operation in units in the last place; exits with 1 if anything exceeds its bound, or if bits depend on
   what they must not depend on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "threads.h"

struct options {
    unsigned long seed, every;
};

struct shape {
    size_t rows, classes;
    int small;     /* of those that formats that are converted are tried with too */
    int all_kinds; /* not the random ones alone */
};

enum { MOST_SHAPES = 64 };

/* Every length up to a few vectors, those around whole vectors and switches of method, and ones for more threads,
   which have chunks of rows each or share long rows. */
static size_t list_shapes(struct shape *shapes) {
    static const struct shape longer[] = {{40, 63, 1, 1},   {40, 64, 0, 1},   {40, 65, 0, 1},   {40, 100, 0, 1},
                                          {40, 127, 0, 1},  {40, 128, 0, 1},  {40, 129, 1, 1},  {40, 255, 0, 1},
                                          {40, 257, 0, 1},  {17, 1000, 1, 1}, {3, 4099, 0, 1},  {20000, 4, 0, 0},
                                          {6600, 10, 0, 0}, {1300, 51, 0, 0}, {450, 150, 0, 0}, {67, 1000, 0, 0},
                                          {16, 4099, 0, 0}, {1, 70001, 0, 1}, {3, 32768, 0, 0}, {5, 33000, 0, 0}};
    size_t count = 0;
    for (size_t k = 1; k <= 40; k++)
        shapes[count++] = (struct shape){40, k, k <= 4 || k % 5 == 2 || k == 16 || k == 31, 1};
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++) shapes[count++] = longer[i];
    return count;
}

static int parse_number(const char *text, unsigned long *number) {
    char *end;
    errno = 0;
    *number = strtoul(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' ? 0 : -1;
}

static int parse(int count, char **arguments, struct options *options) {
    *options = (struct options){1, 1};
    for (int i = 1; i < count; i += 2) {
        unsigned long *number = strcmp(arguments[i], "--seed") == 0    ? &options->seed
                                : strcmp(arguments[i], "--every") == 0 ? &options->every
                                                                       : NULL;
        if (number == NULL || i + 1 == count || parse_number(arguments[i + 1], number) < 0) return -1;
    }
    return options->every == 0 ? -1 : 0;
}

static int is_tried(const struct format *format, const struct shape *shape, size_t kind) {
    const size_t mixed = kind_count() - 1;
    if (!format->native && !shape->small) return 0;
    return shape->all_kinds || kind == 1 || kind == mixed;
}

/* One problem, with random numbers that depend on its number and the seed alone. */
static int check_number(struct verdicts *v, const struct options *o, const struct format *format,
                        const struct shape *shape, size_t kind, size_t number) {
    struct generator g = {(uint64_t)o->seed << 32 | number};
    struct problem *problem = make_problem(format, kind, shape->rows, shape->classes, &g);
    const int thorough = kind == kind_count() - 1 && shape->all_kinds;
    int status = problem == NULL ? -1 : check_problem(v, problem, thorough, &g);
    free_problem(problem);
    return status;
}

static int check_all(struct verdicts *v, const struct options *o) {
    struct shape shapes[MOST_SHAPES];
    const size_t shape_count = list_shapes(shapes);
    size_t number = 0;
    for (size_t f = 0; f < FORMATS; f++)
        for (size_t s = 0; s < shape_count; s++)
            for (size_t kind = 0; kind < kind_count(); kind++) {
                if (!is_tried(&formats[f], &shapes[s], kind)) continue;
                number++;
                if (number % o->every != o->seed % o->every) continue;
                if (check_number(v, o, &formats[f], &shapes[s], kind, number) < 0) return -1;
            }
    return 0;
}

int main(int count, char **arguments) {
    struct options options;
    if (parse(count, arguments, &options) < 0) {
        fprintf(stderr, "usage: %s [--seed N] [--every N]\n", arguments[0]);
        return 2;
    }
    struct verdicts *verdicts = make_verdicts();
    fsm_threads_setup();
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    printf("seed %lu, every %lu\n", options.seed, options.every);
    if (verdicts == NULL || check_all(verdicts, &options) < 0) {
        fprintf(stderr, "no memory\n");
        return 2;
    }
    print_verdicts(verdicts);
    const size_t failures = count_failures(verdicts);
    printf(failures == 0 ? "all passed\n" : "FAILED\n");
    free(verdicts);
    return failures == 0 ? 0 : 1;
}
