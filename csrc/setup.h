/* What is to be done once in a process, and what the environment says. */
#ifndef FSM_SETUP_H
#define FSM_SETUP_H

#include <stddef.h>

#include "shared.h"

#ifndef FSM_BUILD
#define FSM_BUILD "of an unknown build"
#endif

/* The library's FSM_BUILD. Modules that use more of it than is public are built with the same. */
FSM_SHARED const char *fsm_build(void);

/* Before anything else of the library; costs next to nothing after the first time. 0, or -1 if FASTSOFTMAX_ISA names
   an instruction set that this build or CPU does not have. */
FSM_SHARED int fsm_setup(void);

/* FASTSOFTMAX_NUM_THREADS, or without it the CPUs that this process may use; 0 if the variable is no number of at
   least 1. */
size_t fsm_default_threads(void);

#endif
