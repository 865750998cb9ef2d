/* The right answers, in 113 bits, and the distance of others from them.

   Everything is written by its definition but for two things: exponentials are those of x - max x, since the exponent
   of 113-bit numbers ends too, and 1 - p is the others' share, since the smallest 1 - p that a format can hold has
   more zeros than any p of 113 bits has digits. */
#ifndef FSM_TEST_REFERENCE_H
#define FSM_TEST_REFERENCE_H

#include "cases.h"
#include "tasks.h"

/* (hi + lo) 2^unit, where 2^unit is the unit that errors are measured in. */
struct value {
    double hi, lo;
    int unit;
};

struct answer {
    struct value *part[PARTS]; /* NULL where the task has no such part */
    int loss_overflows;        /* a row's alone exceeds float64, in which they are summed */
};

struct reference;

/* Also completes the problem with its outputs for the backward operations. NULL where there is no memory. */
struct reference *make_reference(struct problem *problem);
void free_reference(struct reference *reference);

/* 0, or -1 where there is no memory. */
int find_answer(const struct reference *reference, const struct task *task, struct answer *answer);
void free_answer(struct answer *answer);

/* The distance in units in the last place of the format, which at the bottom are the smallest subnormal. NaN agrees
   with nothing but NaN, and an infinite value with itself; a finite value beyond the largest number counts as the
   power of two there, and so does an infinity in its place. */
double error_of(const struct format *format, double actual, const struct value *right);

#endif
