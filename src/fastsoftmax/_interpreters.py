"""The one interpreter of a process that this package works in.

NumPy keeps what it has in the process, not in an interpreter, and mostly refuses to be imported
into a second one; Numba's compiled code goes back to the first one and waits for it without end.
"""

from __future__ import annotations

import ctypes

__all__ = ["require_main_interpreter"]


def require_main_interpreter() -> None:
    """Raise ImportError in a subinterpreter."""
    try:
        current = ctypes.pythonapi.PyInterpreterState_Get
        main = ctypes.pythonapi.PyInterpreterState_Main
    except AttributeError:
        return  # a Python without them has no subinterpreters
    current.restype = main.restype = ctypes.c_void_p
    if current() != main():
        raise ImportError(
            "fastsoftmax cannot be imported into a subinterpreter, as NumPy and Numba work in a "
            "process's main interpreter alone. Import it there (with mod_wsgi: "
            "WSGIApplicationGroup %{GLOBAL}), and use threads or processes in place of "
            "subinterpreters"
        )
