"""The public functions inside functions that a user compiles with Numba.

    linking         kernels called from compiled code by symbol, not compiled into it
    views           arrays as the kernels take them, without a copy
    merge, layout   the sample axes of several arrays, merged to two
    whole           what a call of cross-entropy does between checks of shapes and kernels
    arguments       types of arguments: what is supported, and how it is brought into form
    checks, errors  shapes and values, when the compiled code runs; what is raised
    probabilities, cross_entropy
                    what each public function becomes, given the types of its arguments

Nothing of this is loaded before Numba meets one of the functions; see `_numba_extension`.
"""
