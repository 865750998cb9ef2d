"""Where a C compiler finds the header and the library."""

from __future__ import annotations

import importlib.util
import os

from . import _backends

__all__ = ["get_include", "get_library_dir"]


def get_include() -> str:
    """Return the directory of ``fastsoftmax.h``, for a C compiler's ``-I``.

    Returns
    -------
    str
        It is there whether or not the library was built.

    Examples
    --------
    >>> import os
    >>> os.listdir(get_include())
    ['fastsoftmax.h']
    """
    return os.path.join(os.path.dirname(__file__), "include")  # noqa: PTH118, PTH120


def get_library_dir() -> str:
    """Return the directory of the library ``fastsoftmax``, for ``-L`` and ``-rpath``.

    Returns
    -------
    str
        What is there has no Python in it, and is what the backend ``"c"`` runs.

    Raises
    ------
    ImportError
        If the package was installed without it.

    Examples
    --------
    >>> import os
    >>> any("fastsoftmax" in name for name in os.listdir(get_library_dir()))
    True
    """
    _backends.require("c")
    extension = importlib.util.find_spec("fastsoftmax._c")
    if extension is None or extension.origin is None:
        raise ImportError("the extension fastsoftmax._c has no file of its own")
    return os.path.dirname(extension.origin)  # noqa: PTH120
