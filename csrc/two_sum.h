/* What a floating-point sum leaves out. */
#ifndef FSM_TWO_SUM_H
#define FSM_TWO_SUM_H

/* a + b is exactly `sum`, its rounded value, plus the result (Knuth's two-sum). */
static inline double fsm_sum_error(double a, double b, double sum) {
    double b_part = sum - a;
    return (a - (sum - b_part)) + (b - b_part);
}

#endif
