#include "dispatch.h"

#include <stdatomic.h>
#include <string.h>

#include "cpu.h"

#define FSM_INSTRUCTION_SET(isa)                                                                                     \
    extern const struct fsm_kernels fsm_##isa##_float32;                                                             \
    extern const struct fsm_kernels fsm_##isa##_float64;
#include "kernels.def"
#undef FSM_INSTRUCTION_SET

static const struct fsm_instruction_set table[] = {
#define FSM_INSTRUCTION_SET(isa) {#isa, fsm_cpu_has_##isa, &fsm_##isa##_float32, &fsm_##isa##_float64},
#include "kernels.def"
#undef FSM_INSTRUCTION_SET
};
enum { INSTRUCTION_SETS = sizeof table / sizeof *table };

static _Atomic(const struct fsm_instruction_set *) in_use;

size_t fsm_instruction_set_count(void) { return INSTRUCTION_SETS; }

const struct fsm_instruction_set *fsm_instruction_set_at(size_t index) { return &table[index]; }

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
    return storage == FSM_FLOAT64 ? current->float64 : current->float32;
}
