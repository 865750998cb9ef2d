#include "overlap.h"

#include <stdint.h>

enum { MOST_TERMS = 2 * FSM_AXES, MOST_WORK = 10000 };

/* The multiples least ... most of a step. */
struct term {
    int64_t step, least, most; /* step > 0 */
};

struct range {
    int64_t low, high;
};

static int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static int64_t ceil_divide(int64_t a, int64_t b) { return a / b + (a % b > 0); }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static void add_term(struct term *terms, int *count, int64_t step, int64_t least, int64_t most) {
    if (step == 0) step = 1, least = most = 0;
    if (step < 0) {
        const int64_t negated = -least;
        step = -step, least = -most, most = negated;
    }
    for (int i = 0; i < *count; i++) {
        if (terms[i].step != step) continue;
        terms[i].least += least, terms[i].most += most;
        return;
    }
    int place = (*count)++;
    for (; place > 0 && terms[place - 1].step < step; place--) terms[place] = terms[place - 1];
    terms[place] = (struct term){step, least, most};
}

/* Whether a sum of one multiple from each term lies in the range. Terms with wide steps come first, and leave few
   multiples that the others can make up for. */
static int reaches(const struct term *terms, int count, struct range range, int *work) {
    struct range rest = {0, 0};
    if (count == 0) return range.low <= 0 && 0 <= range.high;
    for (int i = 1; i < count; i++) {
        rest.low += terms[i].least * terms[i].step;
        rest.high += terms[i].most * terms[i].step;
    }
    const int64_t first = larger(terms->least, ceil_divide(range.low - rest.high, terms->step));
    const int64_t last = smaller(terms->most, floor_divide(range.high - rest.low, terms->step));
    for (int64_t n = first; n <= last; n++) {
        const struct range left = {range.low - n * terms->step, range.high - n * terms->step};
        if (++*work > MOST_WORK || reaches(terms + 1, count - 1, left, work)) return 1;
    }
    return 0;
}

int fsm_footprint_is_finite(const struct fsm_footprint *a) {
    for (int i = 0; i < FSM_AXES; i++) {
        const int64_t most = INT64_MAX / 64, steps = (int64_t)(a->count[i] - 1), stride = a->stride[i];
        if (steps == 0) continue;
        if (steps < 0 || stride > most / steps || stride < -(most / steps)) return 0;
    }
    return 1;
}

/* From the lowest address up to the end of the highest element. */
static struct range extent(const struct fsm_footprint *a) {
    struct range range = {(int64_t)(intptr_t)a->data, (int64_t)(intptr_t)a->data + (int64_t)a->item};
    for (int i = 0; i < FSM_AXES; i++) {
        const int64_t reach = (int64_t)(a->count[i] - 1) * a->stride[i];
        if (a->count[i] > 1) *(reach < 0 ? &range.low : &range.high) += reach;
    }
    return range;
}

int fsm_overlap(const struct fsm_footprint *a, const struct fsm_footprint *b) {
    const struct range of_a = extent(a), of_b = extent(b);
    if (of_a.high <= of_b.low || of_b.high <= of_a.low) return 0;
    struct term terms[MOST_TERMS];
    int count = 0, work = 0;
    for (int i = 0; i < FSM_AXES; i++) {
        if (a->count[i] > 1) add_term(terms, &count, a->stride[i], 0, (int64_t)(a->count[i] - 1));
        if (b->count[i] > 1) add_term(terms, &count, b->stride[i], -(int64_t)(b->count[i] - 1), 0);
    }
    const int64_t apart = (int64_t)((intptr_t)b->data - (intptr_t)a->data);
    const struct range range = {apart - (int64_t)a->item + 1, apart + (int64_t)b->item - 1};
    return reaches(terms, count, range, &work);
}

/* Two different elements differ in some axis; in those before the first such axis they agree. */
int fsm_overlaps_itself(const struct fsm_footprint *a) {
    const struct range range = {1 - (int64_t)a->item, (int64_t)a->item - 1};
    for (int first = 0; first < FSM_AXES; first++) {
        struct term terms[MOST_TERMS];
        int count = 0, work = 0;
        if (a->count[first] <= 1) continue;
        if (a->stride[first] == 0) return 1;
        add_term(terms, &count, a->stride[first], 1, (int64_t)(a->count[first] - 1));
        for (int i = first + 1; i < FSM_AXES; i++) {
            const int64_t most = (int64_t)(a->count[i] - 1);
            if (most > 0) add_term(terms, &count, a->stride[i], -most, most);
        }
        if (reaches(terms, count, range, &work)) return 1;
    }
    return 0;
}

int fsm_is_same_place(const struct fsm_footprint *a, const struct fsm_footprint *b) {
    if (a->data != b->data || a->item != b->item) return 0;
    for (int i = 0; i < FSM_AXES; i++)
        if (a->count[i] != b->count[i] || (a->count[i] > 1 && a->stride[i] != b->stride[i])) return 0;
    return 1;
}
