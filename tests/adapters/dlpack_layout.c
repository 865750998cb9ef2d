/* Compares the layouts of csrc/dlpack.h with those of DLPack's own header, as PyTorch has it: compiled, each
   difference is an error. */
#include <stddef.h>

#include "dlpack.h" /* ours comes first on the path */

#include "ATen/dlpack.h"

#define SAME_SIZE(ours, theirs) _Static_assert(sizeof(struct ours) == sizeof(theirs), #ours)
#define SAME_PLACE(ours, our_field, theirs, their_field)                                                             \
    _Static_assert(offsetof(struct ours, our_field) == offsetof(theirs, their_field) &&                              \
                       sizeof(((struct ours *)0)->our_field) == sizeof(((theirs *)0)->their_field),                  \
                   #ours "." #our_field)

SAME_SIZE(dlpack_version, DLPackVersion);
SAME_PLACE(dlpack_version, major, DLPackVersion, major);
SAME_PLACE(dlpack_version, minor, DLPackVersion, minor);
SAME_SIZE(dlpack_device, DLDevice);
SAME_PLACE(dlpack_device, type, DLDevice, device_type);
SAME_PLACE(dlpack_device, number, DLDevice, device_id);
SAME_SIZE(dlpack_dtype, DLDataType);
SAME_PLACE(dlpack_dtype, kind, DLDataType, code);
SAME_PLACE(dlpack_dtype, bits, DLDataType, bits);
SAME_PLACE(dlpack_dtype, lanes, DLDataType, lanes);
SAME_SIZE(dlpack_tensor, DLTensor);
SAME_PLACE(dlpack_tensor, data, DLTensor, data);
SAME_PLACE(dlpack_tensor, device, DLTensor, device);
SAME_PLACE(dlpack_tensor, ndim, DLTensor, ndim);
SAME_PLACE(dlpack_tensor, dtype, DLTensor, dtype);
SAME_PLACE(dlpack_tensor, shape, DLTensor, shape);
SAME_PLACE(dlpack_tensor, strides, DLTensor, strides);
SAME_PLACE(dlpack_tensor, byte_offset, DLTensor, byte_offset);
SAME_SIZE(dlpack_managed, DLManagedTensorVersioned);
SAME_PLACE(dlpack_managed, version, DLManagedTensorVersioned, version);
SAME_PLACE(dlpack_managed, context, DLManagedTensorVersioned, manager_ctx);
SAME_PLACE(dlpack_managed, deleter, DLManagedTensorVersioned, deleter);
SAME_PLACE(dlpack_managed, flags, DLManagedTensorVersioned, flags);
SAME_PLACE(dlpack_managed, tensor, DLManagedTensorVersioned, dl_tensor);
SAME_PLACE(dlpack_table, version, DLPackExchangeAPI, header.version);
SAME_PLACE(dlpack_table, older, DLPackExchangeAPI, header.prev_api);
SAME_PLACE(dlpack_table, allocate, DLPackExchangeAPI, managed_tensor_allocator);
SAME_PLACE(dlpack_table, export_object, DLPackExchangeAPI, managed_tensor_from_py_object_no_sync);
SAME_PLACE(dlpack_table, to_object, DLPackExchangeAPI, managed_tensor_to_py_object_no_sync);

_Static_assert((int)DLPACK_MAJOR == DLPACK_MAJOR_VERSION, "major version");
_Static_assert((int)DLPACK_CPU == kDLCPU, "CPU");
_Static_assert((int)DLPACK_INT == kDLInt && (int)DLPACK_FLOAT == kDLFloat, "kinds");
