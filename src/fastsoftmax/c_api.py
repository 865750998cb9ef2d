"""The C functions, for Cython, for SciPy's low-level callables, and as one capsule.

``cimport fastsoftmax.c_api`` finds the functions in ``__pyx_capi__``, and so does
``scipy.LowLevelCallable.from_cython(fastsoftmax.c_api, "vector_logsumexp")``. ``C_API`` points to
the ``fastsoftmax_api`` of ``fastsoftmax.h``.
"""

from ._backends import load

load("c")  # which says what is missing, and how to get it

from ._c import C_API, __pyx_capi__  # noqa: E402

__all__ = ["C_API", "__pyx_capi__"]
