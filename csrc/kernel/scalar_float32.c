#define FSM_ISA scalar
#define FSM_REAL_BITS 32

#include "words_scalar.h"

#include "template.h"
