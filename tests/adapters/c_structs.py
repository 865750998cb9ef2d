"""The structs of fastsoftmax.h for ctypes, and calls of the library on NumPy arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastsoftmax as fs

SUFFIXES = (".so", ".dylib", ".dll")
OK, NULL, DTYPE, CLASSES, SIZE, ALIGNMENT, OVERLAP, LABEL, WEIGHT, OPTION, ENVIRONMENT = range(11)
LABELS_INT32, LABELS_INT64, PROBABILITIES = range(3)
DTYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 3}


class Shape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("outer", "inner", "classes")]


class View(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        *((name, ctypes.c_ssize_t) for name in ("outer", "inner", "classes")),
    ]


class Targets(ctypes.Structure):
    _fields_ = [*View._fields_, ("kind", ctypes.c_int)]


class Error(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_char_p), ("index", ctypes.c_ssize_t)]


class Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("num_threads", ctypes.c_size_t),
        ("error", ctypes.POINTER(Error)),
        ("where", View),
        ("sample_weight", View),
        ("class_weight", ctypes.c_void_p),
        ("label_smoothing", ctypes.c_double),
        ("ignore_index", ctypes.c_int64),
        ("has_ignore_index", ctypes.c_int),
        ("reduction", ctypes.c_int),
        ("hessian", ctypes.c_int),
    ]


def load() -> ctypes.CDLL:
    (path,) = (
        file
        for file in Path(fs.get_library_dir()).iterdir()
        if file.stem in ("libfastsoftmax", "fastsoftmax") and file.suffix in SUFFIXES
    )
    return ctypes.CDLL(str(path))


def view(array: Any) -> View:
    """An array of (outer, inner) or (outer, inner, classes)."""
    classes = array.strides[2] if array.ndim == 3 else 0
    return View(array.ctypes.data, array.strides[0], array.strides[1], classes)


def targets(array: Any) -> Targets:
    kind = PROBABILITIES
    if array.ndim == 2:
        kind = LABELS_INT32 if array.dtype == np.int32 else LABELS_INT64
    seen = view(array)
    return Targets(seen.data, seen.outer, seen.inner, seen.classes, kind)


def options(**values: Any) -> Options:
    result = Options(size=ctypes.sizeof(Options))
    for name, value in values.items():
        if name in ("where", "sample_weight"):
            value = view(value)
        elif name == "class_weight":
            value = value.ctypes.data
        elif name == "error":
            value = ctypes.pointer(value)
        setattr(result, name, value)
    return result


def call(function: Callable[..., int], like: Any, *arguments: Any, **values: Any) -> int:
    """Call a function of any strides: arrays become views, None stays."""
    passed = [
        ctypes.byref(view(a))
        if isinstance(a, np.ndarray) and a.ndim > 1
        else ctypes.c_void_p(a.ctypes.data)
        if isinstance(a, np.ndarray)
        else ctypes.byref(a)
        if isinstance(a, ctypes.Structure)
        else a
        for a in arguments
    ]
    dtype = DTYPES.get(str(like.dtype), 9)
    shape = ctypes.byref(Shape(*like.shape))
    return function(dtype, shape, *passed, ctypes.byref(options(**values)))
