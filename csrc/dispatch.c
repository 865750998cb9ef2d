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

/* The first that the CPU supports, of any name or of this one; NULL where there is none. */
static const struct fsm_instruction_set *find(const char *name) {
    for (size_t i = 0; i < INSTRUCTION_SETS; i++)
        if ((name == NULL || strcmp(table[i].name, name) == 0) && table[i].supported()) return &table[i];
    return NULL;
}

/* What another thread has chosen meanwhile stays. Returns what is in use then. */
static const struct fsm_instruction_set *use_at_first(const struct fsm_instruction_set *choice) {
    const struct fsm_instruction_set *current = NULL;
    return atomic_compare_exchange_strong(&in_use, &current, choice) ? choice : current;
}

const struct fsm_instruction_set *fsm_instruction_set_in_use(void) {
    const struct fsm_instruction_set *current = atomic_load(&in_use);
    return current != NULL ? current : use_at_first(find(NULL)); /* the last runs everywhere */
}

int fsm_use_instruction_set(const char *name) {
    const struct fsm_instruction_set *choice = find(name);
    if (choice != NULL) atomic_store(&in_use, choice);
    return choice != NULL ? 0 : -1;
}

int fsm_use_instruction_set_at_first(const char *name) {
    const struct fsm_instruction_set *choice = find(name);
    if (choice != NULL) (void)use_at_first(choice);
    return choice != NULL ? 0 : -1;
}

const struct fsm_kernels *fsm_kernels_for(enum fsm_storage storage) {
    const struct fsm_instruction_set *current = fsm_instruction_set_in_use();
    return storage == FSM_FLOAT64 ? current->float64 : current->float32;
}
