/* Compares the layouts of csrc/xla_ffi.h with those of jaxlib's own header: compiled, each difference is an error. */
#include "xla/ffi/api/c_api.h"
#include "xla_ffi.h"

#define SAME_SIZE(ours, theirs) _Static_assert(sizeof(struct ours) == sizeof(theirs), #ours)
#define SAME_PLACE(ours, our_field, theirs, their_field)                                                             \
    _Static_assert(offsetof(struct ours, our_field) == offsetof(theirs, their_field) &&                              \
                       sizeof(((struct ours *)0)->our_field) == sizeof(((theirs *)0)->their_field),                  \
                   #ours "." #our_field)

SAME_SIZE(xla_extension, XLA_FFI_Extension_Base);
SAME_PLACE(xla_extension, type, XLA_FFI_Extension_Base, type);
SAME_SIZE(xla_version, XLA_FFI_Api_Version);
SAME_PLACE(xla_version, minor, XLA_FFI_Api_Version, minor_version);
SAME_PLACE(xla_version, major, XLA_FFI_Api_Version, major_version);
SAME_PLACE(xla_metadata, version, XLA_FFI_Metadata, api_version);
SAME_PLACE(xla_metadata, traits, XLA_FFI_Metadata, traits);
SAME_SIZE(xla_metadata_extension, XLA_FFI_Metadata_Extension);
SAME_PLACE(xla_metadata_extension, metadata, XLA_FFI_Metadata_Extension, metadata);
SAME_SIZE(xla_error_request, XLA_FFI_Error_Create_Args);
SAME_PLACE(xla_error_request, message, XLA_FFI_Error_Create_Args, message);
SAME_PLACE(xla_error_request, code, XLA_FFI_Error_Create_Args, errc);
SAME_PLACE(xla_api, version, XLA_FFI_Api, api_version);
SAME_PLACE(xla_api, make_error, XLA_FFI_Api, XLA_FFI_Error_Create);
SAME_SIZE(xla_buffer, XLA_FFI_Buffer);
SAME_PLACE(xla_buffer, type, XLA_FFI_Buffer, dtype);
SAME_PLACE(xla_buffer, data, XLA_FFI_Buffer, data);
SAME_PLACE(xla_buffer, rank, XLA_FFI_Buffer, rank);
SAME_PLACE(xla_buffer, lengths, XLA_FFI_Buffer, dims);
SAME_SIZE(xla_name, XLA_FFI_ByteSpan);
SAME_PLACE(xla_name, length, XLA_FFI_ByteSpan, len);
SAME_SIZE(xla_scalar, XLA_FFI_Scalar);
SAME_PLACE(xla_scalar, value, XLA_FFI_Scalar, value);
SAME_SIZE(xla_list, XLA_FFI_Args);
SAME_SIZE(xla_list, XLA_FFI_Rets);
SAME_PLACE(xla_list, count, XLA_FFI_Args, size);
SAME_PLACE(xla_list, kinds, XLA_FFI_Args, types);
SAME_PLACE(xla_list, items, XLA_FFI_Args, args);
SAME_SIZE(xla_attributes, XLA_FFI_Attrs);
SAME_PLACE(xla_attributes, kinds, XLA_FFI_Attrs, types);
SAME_PLACE(xla_attributes, names, XLA_FFI_Attrs, names);
SAME_PLACE(xla_attributes, items, XLA_FFI_Attrs, attrs);
SAME_PLACE(xla_call_frame, api, XLA_FFI_CallFrame, api);
SAME_PLACE(xla_call_frame, stage, XLA_FFI_CallFrame, stage);
SAME_PLACE(xla_call_frame, arguments, XLA_FFI_CallFrame, args);
SAME_PLACE(xla_call_frame, results, XLA_FFI_CallFrame, rets);
SAME_PLACE(xla_call_frame, attributes, XLA_FFI_CallFrame, attrs);

_Static_assert(XLA_MAJOR == XLA_FFI_API_MAJOR && XLA_MINOR <= XLA_FFI_API_MINOR, "version");
_Static_assert((int)XLA_PRED == XLA_FFI_DataType_PRED && (int)XLA_S32 == XLA_FFI_DataType_S32 &&
                   (int)XLA_S64 == XLA_FFI_DataType_S64 && (int)XLA_F16 == XLA_FFI_DataType_F16 &&
                   (int)XLA_F32 == XLA_FFI_DataType_F32 && (int)XLA_F64 == XLA_FFI_DataType_F64 &&
                   (int)XLA_BF16 == XLA_FFI_DataType_BF16,
               "types");
_Static_assert((int)XLA_EXTENSION_METADATA == XLA_FFI_Extension_Metadata &&
                   (int)XLA_IS_BUFFER == XLA_FFI_ArgType_BUFFER && (int)XLA_IS_BUFFER == XLA_FFI_RetType_BUFFER &&
                   (int)XLA_IS_SCALAR == XLA_FFI_AttrType_SCALAR &&
                   (int)XLA_STAGE_EXECUTE == XLA_FFI_ExecutionStage_EXECUTE,
               "tags");
_Static_assert((int)XLA_INVALID_ARGUMENT == XLA_FFI_Error_Code_INVALID_ARGUMENT &&
                   (int)XLA_RESOURCE_EXHAUSTED == XLA_FFI_Error_Code_RESOURCE_EXHAUSTED &&
                   (int)XLA_INTERNAL == XLA_FFI_Error_Code_INTERNAL,
               "codes");

int main(void) { return 0; }
