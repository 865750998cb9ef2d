#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#if defined(__APPLE__) && !defined(_DARWIN_C_SOURCE)
#define _DARWIN_C_SOURCE
#endif

#include "cpu_count.h"

#if defined(_WIN32)

size_t fsm_usable_cpus(void) { return 1; } /* there is no pool */

#else

#include <unistd.h>

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

#if defined(__linux__)

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_LENGTH = 4096, LINE_LENGTH = 8192 };

static size_t allowed_cpus(void) {
    for (int most = 1024; most <= 1 << 20; most *= 4) {
        cpu_set_t *set = CPU_ALLOC(most);
        const size_t bytes = CPU_ALLOC_SIZE(most);
        if (set == NULL) return 0;
        const int status = sched_getaffinity(0, bytes, set);
        const int count = status == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0) return (size_t)count;
    }
    return 0;
}

/* The first line of a file in a directory; 0, or -1 where there is none. */
static int read_line(const char *directory, const char *name, char *line, int length) {
    char path[PATH_LENGTH];
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) return -1;
    FILE *file = fopen(path, "r");
    if (file == NULL) return -1;
    const int found = fgets(line, length, file) != NULL;
    fclose(file);
    return found ? 0 : -1;
}

static double quota_over(double quota, double period) { return quota > 0 && period > 0 ? quota / period : INFINITY; }

/* "quota period" or "max period". */
static double quota_v2(const char *directory) {
    char line[LINE_LENGTH];
    double quota, period;
    if (read_line(directory, "cpu.max", line, sizeof line) < 0) return INFINITY;
    return sscanf(line, "%lf %lf", &quota, &period) == 2 ? quota_over(quota, period) : INFINITY;
}

static double quota_v1(const char *directory) {
    char quota[LINE_LENGTH], period[LINE_LENGTH];
    if (read_line(directory, "cpu.cfs_quota_us", quota, sizeof quota) < 0) return INFINITY;
    if (read_line(directory, "cpu.cfs_period_us", period, sizeof period) < 0) return INFINITY;
    return quota_over(strtod(quota, NULL), strtod(period, NULL));
}

/* The tightest quota of a group and of all its parents; inside a container some are missing. */
static double quota_along(const char *mount, const char *group, double (*quota_of)(const char *directory)) {
    char directory[PATH_LENGTH];
    double least = INFINITY;
    const size_t root = strlen(mount);
    if (snprintf(directory, sizeof directory, "%s%s", mount, group) >= (int)sizeof directory) return INFINITY;
    for (;;) {
        least = fmin(least, quota_of(directory));
        char *end = strrchr(directory, '/');
        if (end == NULL || (size_t)(end - directory) < root) return least;
        *end = 0;
    }
}

static int lists_cpu(const char *controllers) {
    for (const char *p = controllers; *p != 0;) {
        const size_t length = strcspn(p, ",");
        if (length == 3 && strncmp(p, "cpu", 3) == 0) return 1;
        p += length + (p[length] == ',');
    }
    return 0;
}

/* A line of /proc/self/cgroup, "number:controllers:/group", without controllers for version 2. */
static double quota_of_line(char *line) {
    char mount[PATH_LENGTH];
    char *controllers = strchr(line, ':'), *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (group == NULL) return INFINITY;
    *group++ = 0;
    group[strcspn(group, "\n")] = 0;
    controllers++;
    if (*controllers == 0) return quota_along("/sys/fs/cgroup", group, quota_v2);
    if (!lists_cpu(controllers)) return INFINITY;
    if (snprintf(mount, sizeof mount, "/sys/fs/cgroup/%s", controllers) >= (int)sizeof mount) return INFINITY;
    return fmin(quota_along(mount, group, quota_v1), quota_along("/sys/fs/cgroup/cpu", group, quota_v1));
}

static double cgroup_quota(void) {
    char line[LINE_LENGTH];
    double least = INFINITY;
    FILE *file = fopen("/proc/self/cgroup", "r");
    if (file == NULL) return INFINITY;
    while (fgets(line, sizeof line, file) != NULL) least = fmin(least, quota_of_line(line));
    fclose(file);
    return least;
}

static size_t limit(size_t cpus) {
    const size_t allowed = allowed_cpus();
    const double quota = ceil(cgroup_quota());
    if (allowed > 0) cpus = smaller(cpus, allowed);
    return quota < (double)cpus ? (size_t)quota : cpus;
}

#else

static size_t limit(size_t cpus) { return smaller(cpus, 1024); }

#endif

size_t fsm_usable_cpus(void) {
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return limit(cpus < 1 ? 1 : (size_t)cpus);
}

#endif
