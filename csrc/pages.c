#if defined(__linux__) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE
#endif

#include "pages.h"

#if defined(__linux__)

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

int fsm_is_in_memory(const void *address) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    unsigned char state;
    if (mincore((void *)((uintptr_t)address / page * page), 1, &state) != 0) return 1;
    return state & 1;
}

void fsm_ask_for_huge_pages(void *address, size_t bytes) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)address + page - 1) / page * page, end = (uintptr_t)address + bytes;
    if (end > begin) madvise((void *)begin, end - begin, MADV_HUGEPAGE); /* where not heeded, nothing is lost */
}

#else

int fsm_is_in_memory(const void *address) {
    (void)address;
    return 1;
}

void fsm_ask_for_huge_pages(void *address, size_t bytes) { (void)address, (void)bytes; }

#endif
