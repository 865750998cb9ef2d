#define FSM_ISA scalar
#define FSM_REAL_BITS 64

#include "words_scalar.h"

#include "template.h"
