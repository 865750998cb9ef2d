#include "measured.h"

#include "cpu.h"

#define FSM_INSTRUCTION_SET(isa)                                                                                     \
    extern measured_exp32 fsm_##isa##_measured_exp_float32;                                                          \
    extern measured_exp64 fsm_##isa##_measured_exp_float64;                                                          \
    extern measured_log1p fsm_##isa##_measured_log1p_float32, fsm_##isa##_measured_log1p_float64;                    \
    extern const double fsm_##isa##_measured_scale_float32, fsm_##isa##_measured_scale_float64;
#include "kernels.def"
#undef FSM_INSTRUCTION_SET

static const struct measured table[] = {
#define FSM_INSTRUCTION_SET(isa)                                                                                     \
    {#isa,                                                                                                           \
     fsm_cpu_has_##isa,                                                                                              \
     fsm_##isa##_measured_exp_float32,                                                                               \
     fsm_##isa##_measured_exp_float64,                                                                               \
     &fsm_##isa##_measured_scale_float32,                                                                            \
     &fsm_##isa##_measured_scale_float64,                                                                            \
     fsm_##isa##_measured_log1p_float32,                                                                             \
     fsm_##isa##_measured_log1p_float64},
#include "kernels.def"
#undef FSM_INSTRUCTION_SET
};

const struct measured *measured_at(size_t instruction_set) { return &table[instruction_set]; }
