/* float16 and bfloat16: exact to float32, rounded to nearest even from it. */

#include <stdint.h>
#include <string.h>

static inline float float_from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static inline uint32_t bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_from_float16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, magnitude = (uint32_t)(half & 0x7fffu) << 13;
    /* The bits lie as in a float32 whose exponent is biased by 112 less; that factor also normalises
       float16's subnormals. */
    uint32_t finite = bits_of_float(float_from_bits(magnitude) * 0x1p112f);
    uint32_t special = magnitude | 0x7f800000u; /* infinity or NaN */
    return float_from_bits(sign | (magnitude >= 0x0f800000u ? special : finite));
}

static inline uint16_t float16_from_float(float x) {
    uint32_t bits = bits_of_float(x), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
    /* Below 2^-14: added to 1/2, whose unit in the last place is float16's smallest subnormal. */
    uint32_t subnormal = bits_of_float(float_from_bits(magnitude) + 0.5f) - 0x3f000000u;
    uint32_t tie_to_even = (magnitude >> 13) & 1u;
    uint32_t normal = (magnitude - 0x38000000u + 0x0fffu + tie_to_even) >> 13;
    uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
    half = magnitude >= 0x477ff000u ? 0x7c00u : half; /* 65520 and more round to infinity */
    half = magnitude > 0x7f800000u ? 0x7e00u : half;
    return (uint16_t)(sign | half);
}

static inline float float_from_bfloat16(uint16_t brain) { return float_from_bits((uint32_t)brain << 16); }

static inline uint16_t bfloat16_from_float(float x) {
    uint32_t bits = bits_of_float(x);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 0x40u : rounded);
}
