/* The element type of this translation unit: float32 or float64, by FSM_REAL_BITS. */
#ifndef FSM_REAL_H
#define FSM_REAL_H

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || defined(_M_FP_FAST)
#error "the error terms and infinities here do not survive -ffast-math, nor -Ofast, nor -ffinite-math-only"
#endif

#include <float.h>
#include <stddef.h>
#include <stdint.h>

/* A word that is called costs more than it does; what several kernels call for whole rows need not be there twice. */
#if defined(_MSC_VER) && !defined(__clang__)
#define ALWAYS_INLINE __forceinline
#define NEVER_INLINE __declspec(noinline)
#define prefetch(address) ((void)(address))
#define prefetch_far(address) ((void)(address))
#define prefetch_to_write(address) ((void)(address))
#else
#if defined(FSM_SANITIZED)
#define ALWAYS_INLINE inline /* with a sanitizer's checks in each copy a file would take minutes and gigabytes */
#else
#define ALWAYS_INLINE inline __attribute__((always_inline))
#endif
#define NEVER_INLINE __attribute__((noinline))
#define prefetch(address) __builtin_prefetch(address)
#define prefetch_far(address) __builtin_prefetch(address, 0, 2) /* not into the nearest cache */
#define prefetch_to_write(address) __builtin_prefetch(address, 1)
#endif
/* An instruction set that is to be small defines these first: what is long is called there; and where the compiler is
   not asked for all it can do, it has to be told to keep a vector's registers in registers. */
#ifndef LARGE_WORD
#define LARGE_WORD ALWAYS_INLINE
#define UNROLLED
#endif

#if FSM_REAL_BITS == 32
typedef float real;
typedef int32_t real_bits;
enum {
    MANTISSA_BITS = 23,
    EXPONENT_BIAS = 127,
    /* Exponentials are kept times 2^HEADROOM, so that none that matters is subnormal. */
    HEADROOM = 60, /* ROOM is its inverse */
    /* Factors beyond these powers of two, SMALLEST_FACTOR and LARGEST_FACTOR, are split before they are rounded. */
    SMALLEST_EXPONENT = -100,
    LARGEST_EXPONENT = 30,
    /* So many terms of a sum of exponentials start from one grid, whose exponent is at least SMALLEST_GRID. */
    LOG2_SEGMENT = 9,
    SMALLEST_GRID = -110
};
#define ROUND_TO_INTEGER 0x1.8p23f /* added and taken away again, rounds to the nearest integer */
#define LOG2E 0x1.715476p+0f
#define EXPONENT_MASK 0x7f800000
#define ROOM 0x1p-60
/* Beyond this the maximum is subtracted first; see shift_for in exponential.h. */
#define LARGEST_UNSHIFTED 256.0f
#define LARGEST_REAL FLT_MAX
#define LARGEST_NUMBER INT32_MAX /* in a lane */
#define SMALLEST_FACTOR 0x1p-100
#define LARGEST_FACTOR 0x1p30
/* Products with factors are made so many times larger, so that no part of a small one is subnormal. */
#define PRODUCT_SCALE 0x1p32f
#define UNSCALED_FACTOR 0x1p28 /* but for factors so large that none of their products is small */
#define DISTANCE_UNIT 0x1p-2f  /* the sum of two distances is in range */
#define SMALL_DISTANCES 0      /* no product of two float32 numbers is too small for a float64 sum */
#define LARGE_DISTANCE_UNIT 1
#else
typedef double real;
typedef int64_t real_bits;
enum {
    MANTISSA_BITS = 52,
    EXPONENT_BIAS = 1023,
    HEADROOM = 256,
    SMALLEST_EXPONENT = -500,
    LARGEST_EXPONENT = 500,
    LOG2_SEGMENT = 8,
    SMALLEST_GRID = -1000
};
#define ROUND_TO_INTEGER 0x1.8p52
#define LOG2E 0x1.71547652b82fep+0
#define EXPONENT_MASK 0x7ff0000000000000
#define ROOM 0x1p-256
#define UPPER_HALF ((int64_t)0xfffffffff8000000) /* 26 of 53 bits */
#define LARGEST_UNSHIFTED 2048.0
#define LARGEST_REAL DBL_MAX
#define LARGEST_NUMBER INT64_MAX
#define SMALLEST_FACTOR 0x1p-500
#define LARGEST_FACTOR 0x1p500
#define PRODUCT_SCALE 0x1p160
#define UNSCALED_FACTOR 0x1p200
#define DISTANCE_UNIT 0x1p-64       /* room too for the splitting of products */
#define SMALL_DISTANCES 0x1p-636    /* sums of products, in whose terms digits may be lost with that unit, */
#define LARGE_DISTANCE_UNIT 0x1p448 /* and none with this one */
#endif

#include "powers.h"

/* A kernel sees the machine as this many lanes, 64 bytes of them, on every instruction set: what is summed
   in which order, and so every bit of a result, is then the same on all that fuse multiply and add. */
enum { LANES = 512 / FSM_REAL_BITS, SEGMENT = 1 << LOG2_SEGMENT };

#endif
