/* The formats that arrays are stored in: what they can hold, and an element's way from and to memory. */
#ifndef FSM_TEST_FORMAT_H
#define FSM_TEST_FORMAT_H

#include <stddef.h>

#include "job.h"

struct format {
    const char *name;
    enum fsm_storage storage;
    size_t bytes;
    int digits; /* bits of the significand */
    int bottom; /* 2^bottom is the smallest subnormal */
    int top;    /* the largest finite number is just below 2^top */
    int native; /* a dtype of the kernels' own arithmetic, not one that is converted */
};

enum { FORMATS = 4 };
extern const struct format formats[FORMATS];

/* The nearest number of the format, ties to even; the largest finite one for a finite value beyond it. */
double format_round(const struct format *format, double value);
/* The next number below. */
double format_below(const struct format *format, double value);
double format_largest(const struct format *format);

double format_load(const struct format *format, const char *element);
/* Of a number of the format. */
void format_store(const struct format *format, char *element, double value);

#endif
