/* Powers of two between one integer exponent and the next, which the exponential looks up.

   2^(j / POWER_STEPS) times a common factor, POWER_FACTOR, at which softmax does not look. The factor is chosen, by
   search, so that all of them are numbers that a `real` holds almost exactly: to 0.05 units of roundoff in float32,
   0.002 in float64. They stand there as often as 64 bytes have room, for instructions that look up by more bits. */
#ifndef FSM_POWERS_H
#define FSM_POWERS_H

#if FSM_REAL_BITS == 32
enum { POWER_BITS = 3 };
#define POWER_FACTOR 0x1.16747bf8d4p+0
#define POWERS                                                                                                       \
    0x1.16747cp+0f, 0x1.2fa848p+0f, 0x1.4b2404p+0f, 0x1.691c8ap+0f, 0x1.89cb7cp+0f, 0x1.ad6fb4p+0f, 0x1.d44dbcp+0f,  \
        0x1.feb052p+0f
static const real power_table[16] = {POWERS, POWERS};
#else
enum { POWER_BITS = 2 };
#define POWER_FACTOR 0x1.22b8cd67902d2p+0
#define POWERS 0x1.22b8cd67902d2p+0, 0x1.59ba8126f9acbp+0, 0x1.9b24909bc0356p+0, 0x1.e8ef19599aaafp+0
static const real power_table[8] = {POWERS, POWERS};
#endif
#undef POWERS

enum { POWER_STEPS = 1 << POWER_BITS };

#endif
