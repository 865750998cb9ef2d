#define FSM_ISA sse2
#define FSM_REAL_BITS 32

#include "words_sse2.h"

#include "template.h"
