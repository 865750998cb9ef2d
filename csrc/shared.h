/* What the extension module uses of the library, beside what is public. */
#ifndef FSM_SHARED_H
#define FSM_SHARED_H

#if defined(_WIN32)
#if defined(FASTSOFTMAX_BUILDS_LIBRARY)
#define FSM_SHARED __declspec(dllexport)
#else
#define FSM_SHARED __declspec(dllimport)
#endif
#elif defined(FASTSOFTMAX_BUILDS_LIBRARY)
#define FSM_SHARED __attribute__((visibility("default")))
#else
#define FSM_SHARED
#endif

#endif
