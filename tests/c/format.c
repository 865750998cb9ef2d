#include "format.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

const struct format formats[FORMATS] = {
    {"float32", FSM_FLOAT32, 4, 24, -149, 128, 1},
    {"float64", FSM_FLOAT64, 8, 53, -1074, 1024, 1},
    {"float16", FSM_FLOAT16, 2, 11, -24, 16, 0},
    {"bfloat16", FSM_BFLOAT16, 2, 8, -133, 128, 0},
};

double format_largest(const struct format *format) { return ldexp(1 - ldexp(1, -format->digits), format->top); }

/* The exponent of the last place of the numbers near a finite value. */
static int last_place(const struct format *format, double value) {
    int exponent;
    (void)frexp(value, &exponent);
    exponent -= format->digits;
    return value == 0 || exponent < format->bottom ? format->bottom : exponent;
}

double format_round(const struct format *format, double value) {
    if (!isfinite(value)) return value;
    const int place = last_place(format, value);
    const double rounded = ldexp(rint(ldexp(value, -place)), place), largest = format_largest(format);
    return fabs(rounded) > largest ? copysign(largest, value) : rounded;
}

double format_below(const struct format *format, double value) {
    return format_round(format, value - ldexp(1, last_place(format, value)));
}

/* A number of two bytes: its sign, its exponent, and its significand but for the leading bit. */
static uint16_t encode(const struct format *format, double value) {
    const int stored = format->digits - 1;
    const unsigned sign = signbit(value) ? 0x8000u : 0, infinity = 0x7fffu >> stored << stored;
    if (isnan(value)) return (uint16_t)(sign | infinity | 1u << (stored - 1));
    if (isinf(value)) return (uint16_t)(sign | infinity);
    const int place = last_place(format, value);
    const unsigned significand = (unsigned)ldexp(fabs(value), -place);
    const unsigned exponent = (unsigned)(place - format->bottom) << stored;
    /* A normal number's leading bit, which is not stored, adds the 1 that tells its exponent from a subnormal's. */
    return (uint16_t)(sign | (exponent + significand));
}

static double decode(const struct format *format, uint16_t bits) {
    const int stored = format->digits - 1, exponent = (bits & 0x7fff) >> stored;
    const int significand = bits & ((1 << stored) - 1);
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == 0x7fff >> stored) return significand ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0) return sign * ldexp(significand, format->bottom);
    return sign * ldexp(significand + (1 << stored), format->bottom + exponent - 1);
}

double format_load(const struct format *format, const char *element) {
    float single;
    double value;
    uint16_t bits;
    switch (format->storage) {
    case FSM_FLOAT32: memcpy(&single, element, sizeof single); return single;
    case FSM_FLOAT64: memcpy(&value, element, sizeof value); return value;
    default: memcpy(&bits, element, sizeof bits); return decode(format, bits);
    }
}

void format_store(const struct format *format, char *element, double value) {
    const float single = (float)value;
    uint16_t bits;
    switch (format->storage) {
    case FSM_FLOAT32: memcpy(element, &single, sizeof single); break;
    case FSM_FLOAT64: memcpy(element, &value, sizeof value); break;
    default: bits = encode(format, value); memcpy(element, &bits, sizeof bits);
    }
}
