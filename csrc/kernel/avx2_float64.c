#define FSM_ISA avx2
#define FSM_REAL_BITS 64

#include "words_avx2.h"

#include "template.h"
