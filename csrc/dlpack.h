/* What of DLPack's exchange of arrays in C is needed here, declared in our own words.

   The layouts are those of version 1.3 of its header, https://github.com/dmlc/dlpack; tests/adapters/dlpack_layout.c
   compares them with that header. A library's type of arrays holds a table of C functions in a capsule, as its
   attribute DLPACK_TABLE. Within a major version the layouts stay, and what is new is added at the end. */
#ifndef FSM_DLPACK_H
#define FSM_DLPACK_H

#include <stdint.h>

#define DLPACK_TABLE "__dlpack_c_exchange_api__"
#define DLPACK_TABLE_CAPSULE "dlpack_exchange_api"

enum { DLPACK_MAJOR = 1, DLPACK_MINOR = 3 };
enum dlpack_device_type { DLPACK_CPU = 1 };
enum dlpack_kind { DLPACK_INT = 0, DLPACK_FLOAT = 2 };

struct dlpack_version {
    uint32_t major, minor;
};

struct dlpack_device {
    int32_t type, number;
};

struct dlpack_dtype {
    uint8_t kind, bits;
    uint16_t lanes;
};

struct dlpack_tensor {
    void *data;
    struct dlpack_device device;
    int32_t ndim;
    struct dlpack_dtype dtype;
    int64_t *shape, *strides; /* in elements; without strides the order is C's */
    uint64_t byte_offset;
};

/* A tensor that lives until its deleter is called. */
struct dlpack_managed {
    struct dlpack_version version;
    void *context;
    void (*deleter)(struct dlpack_managed *self);
    uint64_t flags;
    struct dlpack_tensor tensor;
};

/* The functions return 0, or -1 with an error raised in Python. What the library has beyond them is not needed. */
struct dlpack_table {
    struct dlpack_version version;
    struct dlpack_table *older;
    void (*allocate)(void); /* not needed either; of another type */
    int (*export_object)(void *object, struct dlpack_managed **exported);
    int (*to_object)(struct dlpack_managed *taken, void **object);
};

#endif
