#define FSM_ISA sse2
#define FSM_REAL_BITS 64

#include "words_sse2.h"

#include "template.h"
