#define FSM_ISA avx512
#define FSM_REAL_BITS 64

#include "words_avx512.h"

#include "template.h"
