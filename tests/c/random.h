/* Random numbers that are the same on every machine. */
#ifndef FSM_TEST_RANDOM_H
#define FSM_TEST_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct generator {
    uint64_t state;
};

/* Steele, Lea and Flood's SplitMix64. */
static inline uint64_t random_bits(struct generator *g) {
    uint64_t z = g->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static inline double random_unit(struct generator *g) { return (double)(random_bits(g) >> 11) * 0x1p-53; }
static inline double random_between(struct generator *g, double low, double high) {
    return low + (high - low) * random_unit(g);
}
static inline size_t random_below(struct generator *g, size_t n) { return (size_t)(random_bits(g) % n); }
/* Near enough to normal, and without a logarithm, whose bits differ between libraries. */
static inline double random_normal(struct generator *g) {
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += random_unit(g);
    return sum;
}

#endif
