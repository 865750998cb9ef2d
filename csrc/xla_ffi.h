/* What of XLA's foreign function interface a handler of custom calls needs, declared in our own words.

   The layouts are those of version 0.3 of the C ABI, in xla/ffi/api/c_api.h of jaxlib 0.10;
   tests/adapters/xla_layout.c compares them with that header. Every struct begins with its size, so that a caller can
   be told from an older or a newer one: fields are only ever added at the end. */
#ifndef FSM_XLA_FFI_H
#define FSM_XLA_FFI_H

#include <stddef.h>
#include <stdint.h>

enum { XLA_MAJOR = 0, XLA_MINOR = 3 };

enum xla_error_code { XLA_INVALID_ARGUMENT = 3, XLA_RESOURCE_EXHAUSTED = 8, XLA_INTERNAL = 13 };
enum xla_type { XLA_PRED = 1, XLA_S32 = 4, XLA_S64 = 5, XLA_F16 = 10, XLA_F32 = 11, XLA_F64 = 12, XLA_BF16 = 16 };
enum { XLA_EXTENSION_METADATA = 1, XLA_IS_BUFFER = 1, XLA_IS_SCALAR = 3, XLA_STAGE_EXECUTE = 3 };

struct xla_error; /* XLA's own */

struct xla_extension {
    size_t struct_size;
    int type;
    struct xla_extension *next;
};

struct xla_version {
    size_t struct_size;
    struct xla_extension *extensions;
    int major, minor;
};

/* A handler is asked for this once, when it is registered. */
struct xla_metadata {
    size_t struct_size;
    struct xla_version version;
    uint32_t traits;
};
struct xla_metadata_extension {
    struct xla_extension base;
    struct xla_metadata *metadata;
};

struct xla_error_request {
    size_t struct_size;
    struct xla_extension *extensions;
    const char *message;
    int code;
};

/* The beginning of XLA's table of functions. */
struct xla_api {
    size_t struct_size;
    struct xla_extension *extensions;
    struct xla_version version;
    const void *internal;
    struct xla_error *(*make_error)(struct xla_error_request *);
};

/* An array in C order. */
struct xla_buffer {
    size_t struct_size;
    struct xla_extension *extensions;
    int type; /* enum xla_type */
    void *data;
    int64_t rank;
    int64_t *lengths;
};

struct xla_name {
    const char *text;
    size_t length;
};
struct xla_scalar {
    int type;
    void *value;
};

/* Arguments, and results likewise. */
struct xla_list {
    size_t struct_size;
    struct xla_extension *extensions;
    int64_t count;
    int *kinds;
    void **items;
};

struct xla_attributes {
    size_t struct_size;
    struct xla_extension *extensions;
    int64_t count;
    int *kinds;
    struct xla_name **names;
    void **items;
};

struct xla_call_frame {
    size_t struct_size;
    struct xla_extension *extensions;
    const struct xla_api *api;
    void *context;
    int stage;
    struct xla_list arguments, results;
    struct xla_attributes attributes;
};

#endif
