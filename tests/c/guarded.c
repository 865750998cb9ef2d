#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE
#endif

#include "guarded.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MARK = 0xC3, MARGIN = 64 };

#if defined(__SANITIZE_ADDRESS__)
#define HAS_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_POISON 1
#endif
#endif

/* Bytes on both sides of an array, as far as there are any. */
struct around {
    char *begin;
    size_t before, bytes, after;
};

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static struct around around(const struct guarded *memory, char *at, size_t bytes) {
    const size_t before = smaller(MARGIN, (size_t)(at - memory->begin));
    return (struct around){at - before, before, bytes, smaller(MARGIN, (size_t)(memory->end - at) - bytes)};
}

#if defined(HAS_POISON)

#include <sanitizer/asan_interface.h>

static void forbid_around(const struct guarded *memory, char *at, size_t bytes) {
    ASAN_POISON_MEMORY_REGION(memory->begin, (size_t)(memory->end - memory->begin));
    ASAN_UNPOISON_MEMORY_REGION(at, bytes);
}

static int is_marked(const struct around *a) {
    (void)a;
    return 1;
}

#else

static void forbid_around(const struct guarded *memory, char *at, size_t bytes) {
    const struct around a = around(memory, at, bytes);
    memset(a.begin, MARK, a.before);
    memset(at + bytes, MARK, a.after);
}

static int is_marked(const struct around *a) {
    for (size_t i = 0; i < a->before; i++)
        if ((unsigned char)a->begin[i] != MARK) return 0;
    for (size_t i = 0; i < a->after; i++)
        if ((unsigned char)a->begin[a->before + a->bytes + i] != MARK) return 0;
    return 1;
}

#endif

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

int make_guarded(size_t bytes, struct guarded *memory) {
    const size_t page = page_size(), room = (bytes + page - 1) / page * page;
    char *all = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || mprotect(all + page, room, PROT_READ | PROT_WRITE) != 0) return -1;
    *memory = (struct guarded){all + page, all + page + room};
    return 0;
}

int is_forbidden(const struct guarded *memory, const void *address) {
    const char *p = address;
    return (p < memory->begin && p >= memory->begin - page_size()) ||
           (p >= memory->end && p < memory->end + page_size());
}

char *guarded_at(const struct guarded *memory, int at_high_end, size_t apart, size_t bytes) {
    char *at = at_high_end ? memory->end - apart - bytes : memory->begin + apart;
    forbid_around(memory, at, bytes);
    return at;
}

int is_written_around(const struct guarded *memory, const char *at, size_t bytes) {
    const struct around a = around(memory, memory->begin + (at - memory->begin), bytes);
    return !is_marked(&a);
}
