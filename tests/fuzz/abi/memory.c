#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNED = 16, PLACES = 2 * MOST_BLOCK };

/* Room for what lies beside the blocks; they themselves are allocated each time. */
static struct {
    char before[MOST_BLOCK];
    uint16_t owners[MOST_BLOCK];
} beside[ROLES];
static _Alignas(ALIGNED) char nowhere[ALIGNED + 1];

struct reach {
    __int128 low, high; /* from the first element of the array whose memory is shared */
};

static int is_empty(const struct array *a) { return a->count[0] == 0 || a->count[1] == 0 || a->count[2] == 0; }

static struct reach reach_of(const struct array *a) {
    struct reach r = {a->at, a->at};
    if (is_empty(a)) return r;
    for (int i = 0; i < AXES; i++) {
        const __int128 steps = (__int128)(a->count[i] - 1) * a->stride[i];
        *(steps < 0 ? &r.low : &r.high) += steps;
    }
    r.high += (__int128)a->item;
    return r;
}

static int is_small(const struct array *a) {
    const size_t most = 2 * MOST_ELEMENTS;
    return a->count[0] <= most && a->count[1] <= most && a->count[2] <= most &&
           a->count[0] * a->count[1] * a->count[2] <= most;
}

static int is_there(const struct array *a) { return a->described && a->has_data; }

/* The block reaches over those arrays that fit; it begins at a multiple of ALIGNED, or one byte off. */
static void place_block(struct memory *m, struct call *call, enum role role) {
    struct reach all = {0, 0};
    struct block *block = &m->block[role];
    for (enum role other = role; other < ROLES; other++) {
        struct array *a = &call->array[other];
        if (!is_there(a) || a->shares != role) continue;
        const struct reach r = reach_of(a);
        const __int128 low = r.low < all.low ? r.low : all.low, high = r.high > all.high ? r.high : all.high;
        a->is_backed = is_empty(a) || (is_small(a) && high - low <= MOST_BLOCK - 2 * ALIGNED);
        if (a->is_backed) all = (struct reach){low, high};
    }
    const size_t below = (size_t)-all.low, lead = (ALIGNED - below % ALIGNED) % ALIGNED;
    const size_t off = call->misaligned == (int)role;
    block->bytes = lead + off + (size_t)(all.high - all.low);
    if ((block->memory = malloc(block->bytes > 0 ? block->bytes : 1)) == NULL) abort();
    block->before = beside[role].before;
    block->owners = beside[role].owners;
    for (enum role other = role; other < ROLES; other++) {
        struct array *a = &call->array[other];
        if (is_there(a) && a->shares == role) {
            a->data = a->is_backed ? block->memory + lead + off + below + a->at : nowhere + off;
        }
    }
}

void place_arrays(struct memory *m, struct call *call) {
    memset(m, 0, sizeof *m);
    for (enum role role = INPUT; role < ROLES; role++)
        if (is_there(&call->array[role]) && call->array[role].shares == role) place_block(m, call, role);
}

static void own(struct block *block, const struct array *a, enum role role) {
    for (size_t i = 0; i < a->count[0]; i++)
        for (size_t j = 0; j < a->count[1]; j++)
            for (size_t k = 0; k < a->count[2]; k++) {
                uint16_t *const owners = block->owners + (element(a, i, j, k) - block->memory);
                for (size_t byte = 0; byte < a->item; byte++) owners[byte] |= (uint16_t)ROLE(role);
            }
}

void keep_memory(struct memory *m, const struct call *call) {
    for (enum role role = INPUT; role < ROLES; role++) {
        struct block *block = &m->block[role];
        if (block->memory == NULL) continue;
        memcpy(block->before, block->memory, block->bytes);
        memset(block->owners, 0, block->bytes * sizeof *block->owners);
    }
    for (enum role role = INPUT; role < ROLES; role++) {
        const struct array *a = &call->array[role];
        if (is_there(a) && a->is_backed && !is_empty(a)) own(&m->block[a->shares], a, role);
    }
}

void restore_memory(struct memory *m) {
    for (enum role role = INPUT; role < ROLES; role++) {
        struct block *block = &m->block[role];
        if (block->memory != NULL) memcpy(block->memory, block->before, block->bytes);
    }
}

void free_memory(struct memory *m) {
    for (enum role role = INPUT; role < ROLES; role++) free(m->block[role].memory);
}

int has_changed_beyond(const struct memory *m, unsigned roles) {
    for (enum role role = INPUT; role < ROLES; role++) {
        const struct block *block = &m->block[role];
        if (block->memory == NULL || memcmp(block->memory, block->before, block->bytes) == 0) continue;
        for (size_t i = 0; i < block->bytes; i++)
            if (block->memory[i] != block->before[i] && !(block->owners[i] & roles)) return 1;
    }
    return 0;
}

unsigned sharers_of(const struct memory *m, const struct call *call, enum role role) {
    const struct array *a = &call->array[role];
    const struct block *block = &m->block[a->shares];
    unsigned sharers = 0;
    if (!is_there(a) || !a->is_backed) return 0;
    for (size_t i = 0; i < block->bytes; i++)
        if (block->owners[i] & ROLE(role)) sharers |= block->owners[i];
    return sharers & ~ROLE(role);
}

/* By marking every byte; most arrays are laid out so that a look at the strides is enough. */
int overlaps_itself(const struct array *a) {
    static char marked[PLACES];
    const struct reach r = reach_of(a);
    int found = 0;
    if (is_empty(a)) return 0;
    if (r.high - r.low > PLACES || !a->is_backed) return -1;
    memset(marked, 0, (size_t)(r.high - r.low));
    for (size_t i = 0; i < a->count[0]; i++)
        for (size_t j = 0; j < a->count[1]; j++)
            for (size_t k = 0; k < a->count[2]; k++) {
                const ptrdiff_t place = (ptrdiff_t)i * a->stride[0] + (ptrdiff_t)j * a->stride[1] +
                                        (ptrdiff_t)k * a->stride[2] + a->at - (ptrdiff_t)r.low;
                for (size_t byte = 0; byte < a->item; byte++) {
                    found |= marked[place + (ptrdiff_t)byte];
                    marked[place + (ptrdiff_t)byte] = 1;
                }
            }
    return found;
}
