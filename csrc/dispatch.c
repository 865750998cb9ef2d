#include "dispatch.h"

#include <stdatomic.h>
#include <string.h>

#include "cpu.h"

#define FSM_INSTRUCTION_SET(isa)                                                                                     \
    extern const struct fsm_kernels fsm_##isa##_float32;                                                             \
    extern const struct fsm_kernels fsm_##isa##_float64;
#include "kernels.def"
#undef FSM_INSTRUCTION_SET

enum {
#define FSM_INSTRUCTION_SET(isa) INDEX_OF_##isa,
#include "kernels.def"
#undef FSM_INSTRUCTION_SET
    INSTRUCTION_SETS
};

static struct fsm_instruction_set table[INSTRUCTION_SETS];
static _Atomic(const struct fsm_instruction_set *) in_use;

/* Filled at first use: another translation unit's struct is no constant initialiser in C11. The module
   makes the first call while it is imported, under the import lock. */
static void fill_table(void) {
    if (table[0].name != NULL) return;
#define FSM_INSTRUCTION_SET(isa)                                                                                     \
    table[INDEX_OF_##isa] =                                                                                          \
        (struct fsm_instruction_set){#isa, fsm_cpu_has_##isa, fsm_##isa##_float32, fsm_##isa##_float64};
#include "kernels.def"
#undef FSM_INSTRUCTION_SET
}

size_t fsm_instruction_set_count(void) { return INSTRUCTION_SETS; }

const struct fsm_instruction_set *fsm_instruction_set_at(size_t index) {
    fill_table();
    return &table[index];
}

const struct fsm_instruction_set *fsm_instruction_set_in_use(void) {
    const struct fsm_instruction_set *current = atomic_load(&in_use);
    if (current != NULL) return current;
    for (size_t i = 0; i < INSTRUCTION_SETS; i++) {
        const struct fsm_instruction_set *candidate = fsm_instruction_set_at(i);
        if (candidate->supported()) {
            atomic_store(&in_use, candidate);
            return candidate;
        }
    }
    return NULL; /* not reached: the scalar kernels run everywhere */
}

int fsm_use_instruction_set(const char *name) {
    for (size_t i = 0; i < INSTRUCTION_SETS; i++) {
        const struct fsm_instruction_set *candidate = fsm_instruction_set_at(i);
        if (strcmp(candidate->name, name) == 0 && candidate->supported()) {
            atomic_store(&in_use, candidate);
            return 0;
        }
    }
    return -1;
}

const struct fsm_kernels *fsm_kernels_for(enum fsm_storage storage) {
    const struct fsm_instruction_set *current = fsm_instruction_set_in_use();
    return storage == FSM_FLOAT64 ? &current->float64 : &current->float32;
}
