#define FSM_ISA avx2
#define FSM_REAL_BITS 32

#include "words_avx2.h"

#include "template.h"
