#define FSM_ISA neon
#define FSM_REAL_BITS 32

#include "words_neon.h"

#include "template.h"
