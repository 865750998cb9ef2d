#include "fastsoftmax.h"

int fastsoftmax_abi_version(void) { return FASTSOFTMAX_ABI_VERSION; }

const char *fastsoftmax_status_message(int status) {
    switch (status) {
    case FASTSOFTMAX_OK: return "no error";
    case FASTSOFTMAX_ERROR_NULL: return "a pointer that is needed is NULL";
    case FASTSOFTMAX_ERROR_DTYPE:
        return "the dtype, or the kind of the targets, is not one of those in fastsoftmax.h";
    case FASTSOFTMAX_ERROR_CLASSES: return "there are 0 classes; there must be at least 1";
    case FASTSOFTMAX_ERROR_SIZE: return "the shape and strides reach further than memory can";
    case FASTSOFTMAX_ERROR_ALIGNMENT: return "an address or a stride is no multiple of what the dtype needs";
    case FASTSOFTMAX_ERROR_OVERLAP:
        return "an output overlaps itself, another output, or an input at whose very place it may not be";
    case FASTSOFTMAX_ERROR_LABEL: return "a label is neither a class, from 0 to classes - 1, nor ignored";
    case FASTSOFTMAX_ERROR_WEIGHT: return "a weight is negative or not a number";
    case FASTSOFTMAX_ERROR_OPTION: return "an option is unknown, out of range, or has no meaning for this function";
    case FASTSOFTMAX_ERROR_ENVIRONMENT:
        return "FASTSOFTMAX_NUM_THREADS is not an integer of at least 1, or FASTSOFTMAX_ISA not an instruction set "
               "that "
               "this build and CPU have";
    case FASTSOFTMAX_ERROR_MEMORY: return "there is no memory for intermediate results";
    default: return "not a status of fastsoftmax";
    }
}
