/* The fuzzer's input, taken a few bytes at a time; behind its end there are zeros. */
#ifndef FSM_FUZZ_BYTES_H
#define FSM_FUZZ_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *next, *end;
};

static inline unsigned take(struct bytes *b) { return b->next < b->end ? *b->next++ : 0; }
static inline size_t take_below(struct bytes *b, size_t n) { return take(b) % n; }
static inline uint64_t take_word(struct bytes *b, int bytes) {
    uint64_t word = 0;
    while (bytes-- > 0) word = word << 8 | take(b);
    return word;
}

#endif
