/* One call of a public function with all that it is given, right or wrong. */
#ifndef FSM_FUZZ_CALL_H
#define FSM_FUZZ_CALL_H

#include <string.h>

#include "bytes.h"
#include "fastsoftmax.h"

enum function { SOFTMAX, LOG_SOFTMAX, LOGSUMEXP, SOFTMAX_BACKWARD, LOG_SOFTMAX_BACKWARD, CROSS_ENTROPY, GRAD_HESS };
enum { FUNCTIONS = GRAD_HESS + 1 };

/* What an array is to its function: the inputs, then the outputs. */
enum role {
    INPUT, /* the logits, or grad_output */
    OTHER, /* the output of a backward function */
    TARGETS,
    WHERE,
    SAMPLE_WEIGHT,
    CLASS_WEIGHT,
    OUT, /* probabilities, or the gradient */
    HESS,
    LOSSES, /* a number for each sample: logsumexp's too */
    MEAN_GRAD,
    LOSS
};
enum { ROLES = LOSS + 1, FIRST_OUTPUT = OUT, AXES = 3 };

enum {
    MOST_ELEMENTS = 2048, /* of an array that is there in memory */
    MOST_BLOCK = 1 << 16, /* bytes from the first to the last element of arrays that share memory */
    OPTIONS_BEYOND = 64   /* bytes behind the known options, at most */
};

struct array {
    int described; /* its struct, or what stands for it, is not NULL */
    int has_data;
    int is_backed; /* there is memory wherever it says that there are elements */
    size_t item, count[AXES];
    ptrdiff_t stride[AXES];
    enum role shares; /* the role of the array whose memory it lies in: its own if in none */
    ptrdiff_t at;     /* its first element's place, from that array's first */
    char *data;
};

struct call {
    enum function function;
    int plain; /* by the function on matrices in C order */
    int dtype, kind;
    int has_shape;
    fastsoftmax_shape shape;
    struct array array[ROLES];
    int has_options;
    fastsoftmax_options options; /* without its pointers, which follow from the arrays */
    size_t options_bytes;        /* the size that they claim, and have */
    unsigned char beyond;        /* what the last byte behind the known options is */
    int misaligned;              /* the role of an array that lies a byte off, or -1 */
    unsigned flavour;            /* of the numbers in the arrays */
    uint64_t seed;               /* of these numbers */
    unsigned bad_values;         /* which of labels and weights there are invalid ones in */
};

/* Sets of roles. */
#define ROLE(role) (1u << (role))
unsigned roles_of(enum function function);          /* that it needs, or that may be NULL */
unsigned optional_roles_of(enum function function); /* the latter: options, and the results of cross_entropy */
const char *role_name(enum function function, enum role role);

int is_output(enum role role);
int has_classes(const struct call *call, enum role role);
size_t sample_count(const struct call *call);

/* From the input; nothing has memory yet. */
void draw_call(struct bytes *b, struct call *call);

/* The address of an element. */
static inline char *element(const struct array *a, size_t outer, size_t inner, size_t k) {
    return a->data + (ptrdiff_t)outer * a->stride[0] + (ptrdiff_t)inner * a->stride[1] + (ptrdiff_t)k * a->stride[2];
}

static inline void copy_element(char *to, const char *from, size_t item) {
    switch (item) {
    case 8: memcpy(to, from, 8); break;
    case 4: memcpy(to, from, 4); break;
    case 2: memcpy(to, from, 2); break;
    default: *to = *from;
    }
}

/* Calls the library and returns its status. `error` is where errors are to be told, if there are options. */
int make_call(const struct call *call, fastsoftmax_error *error);

#endif
