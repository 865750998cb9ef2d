#include "numbers.h"

#include <math.h>
#include <string.h>

#include "random.h"

/* What a call's flavour says, besides a spice: how the numbers are spread. */
enum spread { NEAR, FAR, TIES, CONFIDENT, ENORMOUS, BITS };
enum { SPREADS = BITS + 1, UNWRITTEN = 0xa5 };

/* Of one without elements the lengths may be huge. */
size_t element_count(const struct array *a) { return a->count[0] * a->count[1] * a->count[2]; }

const struct format *format_of(const struct call *call, enum role role) {
    const int is_double = role == SAMPLE_WEIGHT || role == CLASS_WEIGHT || role == LOSS;
    const int dtype = call->dtype >= 0 && call->dtype < FORMATS ? call->dtype : FASTSOFTMAX_BFLOAT16;
    return &formats[is_double ? FASTSOFTMAX_FLOAT64 : dtype];
}

static double special(struct generator *g, const struct format *format) {
    const double values[] = {NAN,
                             INFINITY,
                             -INFINITY,
                             -INFINITY,
                             format_largest(format),
                             -format_largest(format),
                             -0.0,
                             0,
                             ldexp(1, format->bottom),
                             -ldexp(3, format->bottom)};
    return values[random_below(g, sizeof values / sizeof *values)];
}

static double spread_number(struct generator *g, const struct format *format, unsigned flavour, size_t k) {
    const double unit = random_unit(g);
    switch (flavour % SPREADS) {
    case NEAR: return 8 * unit - 4;
    case FAR: return 1000 * unit - 900;
    case TIES: return floor(4 * unit);
    case CONFIDENT: return k == 0 ? 200 * unit : 0;
    case ENORMOUS: return (unit - 0.5) * format_largest(format);
    default: return ldexp(2 * unit - 1, (int)random_below(g, 300) - 200);
    }
}

/* About one in 16 is special with a spice, of every fourth flavour; all of them with another. */
static void put_number(struct generator *g, const struct format *format, unsigned flavour, size_t k, char *at) {
    const unsigned spice = flavour / SPREADS % 4;
    double value = spread_number(g, format, flavour, k);
    if (spice == 3 && random_below(g, 16) == 0) value = special(g, format);
    if (flavour >= 250) value = special(g, format);
    format_store(format, at, format->native && isfinite(value) ? value : format_round(format, value));
}

/* From 0 to 1, some of them 0, or now and then beyond. */
static void put_probability(struct generator *g, const struct format *format, unsigned flavour, char *at) {
    const double unit = random_unit(g);
    double value = unit < 0.3 ? 0 : unit < 0.4 ? 1 : unit;
    if (flavour / SPREADS % 4 == 2 && random_below(g, 8) == 0) value = special(g, format);
    format_store(format, at, format->native && isfinite(value) ? value : format_round(format, value));
}

static void put_weight(struct generator *g, int may_be_bad, char *at) {
    const double bad[] = {-1, NAN, -0x1p-1074, -INFINITY, INFINITY, 1e308};
    const double unit = random_unit(g), good = unit < 0.2 ? 0 : 3 * unit;
    const double value = may_be_bad && random_below(g, 4) == 0 ? bad[random_below(g, 6)] : good;
    memcpy(at, &value, sizeof value);
}

static void put_label(struct generator *g, const struct call *call, int may_be_bad, size_t item, char *at) {
    const int64_t classes = (int64_t)call->shape.classes;
    const int64_t bad[] = {-1,
                           classes,
                           INT32_MIN,
                           INT32_MAX,
                           item == 8 ? INT64_MIN : -2,
                           item == 8 ? INT64_MAX : -100,
                           item == 8 ? (int64_t)1 << 32 : 1 << 30};
    int64_t label = (int64_t)random_below(g, call->shape.classes ? call->shape.classes : 1);
    if (call->options.has_ignore_index && random_below(g, 4) == 0) label = call->options.ignore_index;
    if (may_be_bad && random_below(g, 4) == 0) label = bad[random_below(g, 7)];
    if (item == 4 && label != (int32_t)label) label = 0;
    const int32_t small = (int32_t)label;
    copy_element(at, item == 8 ? (const char *)&label : (const char *)&small, item);
}

static void put_element(struct generator *g, const struct call *call, enum role role, size_t k, char *at) {
    const int bad = call->bad_values >> (role - TARGETS) & 1 && role >= TARGETS && role <= CLASS_WEIGHT;
    const struct format *const format = format_of(call, role);
    switch (role) {
    case TARGETS:
        if (call->kind == FASTSOFTMAX_PROBABILITIES)
            put_probability(g, format, call->flavour, at);
        else
            put_label(g, call, bad, call->array[TARGETS].item, at);
        break;
    case WHERE: *at = (char)(random_below(g, 4) ? 1 + random_below(g, 255) : 0); break;
    case SAMPLE_WEIGHT:
    case CLASS_WEIGHT: put_weight(g, bad, at); break;
    case OTHER:
        if (call->function == SOFTMAX_BACKWARD) {
            put_probability(g, format, call->flavour, at);
            break;
        } /* fall through */
    default: put_number(g, format, call->flavour, k, at);
    }
}

/* Elements that lie in several arrays are left as the last one has them. */
void fill_arrays(const struct call *call) {
    struct generator g = {call->seed};
    for (enum role role = ROLES; role-- > INPUT;) {
        const struct array *a = &call->array[role];
        if (!a->described || !a->has_data || !a->is_backed || element_count(a) == 0) continue;
        for (size_t i = 0; i < a->count[0]; i++)
            for (size_t j = 0; j < a->count[1]; j++)
                for (size_t k = 0; k < a->count[2]; k++)
                    if (is_output(role))
                        memset(element(a, i, j, k), UNWRITTEN, a->item);
                    else
                        put_element(&g, call, role, k, element(a, i, j, k));
    }
}

void gather(struct flat *flat, const struct call *call, unsigned roles) {
    for (enum role role = INPUT; role < ROLES; role++) {
        const struct array *a = &call->array[role];
        char *to = flat->data[role];
        if (!(roles & ROLE(role)) || !a->described || !a->has_data || element_count(a) == 0) continue;
        for (size_t i = 0; i < a->count[0]; i++)
            for (size_t j = 0; j < a->count[1]; j++)
                for (size_t k = 0; k < a->count[2]; k++, to += a->item)
                    copy_element(to, element(a, i, j, k), a->item);
    }
}

void make_flat_call(struct call *plain, const struct call *call, struct flat *flat) {
    *plain = *call;
    plain->plain = 0;
    plain->shape = (fastsoftmax_shape){1, sample_count(call), call->shape.classes};
    for (enum role role = INPUT; role < ROLES; role++) {
        struct array *a = &plain->array[role];
        const size_t rows = a->count[0] * a->count[1];
        a->count[0] = 1, a->count[1] = rows;
        a->stride[0] = 0;
        a->stride[1] = (ptrdiff_t)(a->item * a->count[2]);
        a->stride[2] = (ptrdiff_t)a->item;
        a->data = flat->data[role];
        a->described &= a->has_data;
    }
}
