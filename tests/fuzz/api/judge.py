"""What must hold of a call, whatever it was given.

It raises one of the exceptions that are documented, and then no output has changed; or its results
are those of their definitions in extended precision. No input changes, but for the memory that it
shares with an output.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

import fastsoftmax as fs

from .calls import Call
from .hostile import Array

DOCUMENTED = (ValueError, TypeError, IndexError, MemoryError, ImportError)
WIDE = np.longdouble


def check(call: Call) -> bool:
    """Make the call; whether it was done. AssertionError tells what did not hold."""
    inputs, outputs = call.inputs(), call.outputs()
    before = [_bytes(a) for a in (*inputs, *outputs)]
    exact = _Exact(call)
    refusal: Exception | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)  # of numpy.matrix
            result = call()
    except DOCUMENTED as error:
        refusal = error
    finally:
        if call.name == "control":
            fs.set_backend(None)
            fs.set_num_threads(None)
    if refusal is not None:
        assert str(refusal), f"{refusal!r} says nothing"
        after = [_bytes(a) for a in (*inputs, *outputs)]
        assert after == before, f"something has changed, in spite of {refusal!r}"
        return False
    for array, content in zip(inputs, before, strict=False):
        if not any(np.may_share_memory(array, out) for out in outputs):
            assert _bytes(array) == content, "an input has changed"
    exact.judge(result)
    return True


def _bytes(array: Array) -> bytes:
    """All of the memory that a view is of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    if array.dtype.hasobject:
        return repr(np.asarray(array).tolist()).encode()
    return np.asarray(array).tobytes()


class _Exact:
    """The results by their definitions, of plain real arrays and moderate numbers alone."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.inputs: dict[str, Array] | None = None
        with (
            contextlib.suppress(TypeError, ValueError, IndexError, OverflowError),
            np.errstate(all="ignore"),
        ):
            if all(isinstance(a, np.ndarray) for a in call.positional[:1]):
                self._prepare()

    def _prepare(self) -> None:
        name, options = self.call.name, self.call.options
        if name in ("softmax", "log_softmax", "logsumexp") and options.get("where") is None:
            self.inputs = {"x": self._rows(self.call.positional[0])}
        elif name.endswith("_backward"):
            g, y = (self._rows(a) for a in self.call.positional)
            self.inputs = {"x": g, "y": y}
        elif name.startswith("cross_entropy"):
            self._prepare_targets()

    def _rows(self, values: Any) -> npt.NDArray[Any]:
        array = np.asarray(values)
        if not (array.dtype.kind in "fiub" or array.dtype.name == "bfloat16"):
            raise TypeError
        axis = self.call.options.get("axis", -1)
        return np.moveaxis(array.astype(WIDE), axis, -1)

    def _prepare_targets(self) -> None:
        x = self._rows(self.call.positional[0])
        targets = np.asarray(self.call.positional[1])
        if targets.ndim == x.ndim:
            y = self._rows(targets)
        elif targets.dtype.kind in "iu" and not self.call.options.get("ignore_index"):
            y = (targets[..., None] == np.arange(x.shape[-1])).astype(WIDE)
        else:
            return
        if set(self.call.options) & {"weight", "sample_weight", "label_smoothing", "ignore_index"}:
            if any(
                self.call.options.get(k) is not None
                for k in ("weight", "sample_weight", "ignore_index")
            ):
                return
            smoothing = float(self.call.options.get("label_smoothing", 0))
            y = (1 - smoothing) * y + WIDE(smoothing) / x.shape[-1]
        if np.isfinite(y).all() and (np.abs(y) < 1e6).all():
            self.inputs = {"x": x, "y": y}

    def judge(self, result: Any) -> None:
        """Compare a result; AssertionError where it is not right."""
        if self.inputs is None:
            return
        x = self.inputs["x"]
        finite = x[np.isfinite(x)]
        if x.size == 0 or (np.abs(finite) > 1e4).any():
            return
        with np.errstate(all="ignore"):
            for got, want, scale in self._pairs(result, x, self.inputs.get("y")):
                _compare(self.call, got, want, scale)

    def _pairs(self, result: Any, x: Array, y: Array | None) -> list[tuple[Any, Array, Array]]:
        name = self.call.name
        if y is not None and name.endswith("_backward"):
            return [self._backward(result, x, y)]
        defined = ~(np.isnan(x) | (x == np.inf)).any(axis=-1, keepdims=True) & (x > -np.inf).any(
            -1, keepdims=True
        )
        top = x.max(axis=-1, keepdims=True)
        below = np.where(defined, x - top, np.nan)
        total = np.exp(below).sum(axis=-1, keepdims=True)
        p, log_p = np.exp(below) / total, below - np.log(total)
        if name == "softmax":
            return [(self._back(result), p, p)]
        if name == "log_softmax":
            return [(self._back(result), log_p, 1 + np.abs(log_p))]
        if name == "logsumexp":
            want = np.where(defined, top + np.log(total), top)[..., 0]
            return [(np.reshape(result, want.shape), want, 1 + np.abs(want))]
        assert y is not None
        return self._losses(result, p, log_p, y)

    def _back(self, result: Any) -> Array:
        """With the classes last again."""
        return np.moveaxis(np.asarray(result), self.call.options.get("axis", -1), -1)

    def _backward(self, result: Any, g: Array, y: Array) -> tuple[Any, Array, Array]:
        p = y if self.call.name == "softmax_backward" else np.exp(y)
        with_p = p if self.call.name == "softmax_backward" else np.ones_like(p)
        inner = (g * with_p).sum(axis=-1, keepdims=True)
        size = np.abs(g * with_p).sum(axis=-1, keepdims=True)
        if self.call.name == "softmax_backward":
            want, scale = p * (g - inner), np.abs(p) * (np.abs(g) + size)
        else:
            want, scale = g - p * inner, np.abs(g) + p * size
        fits = (y <= 2).all() and ((y >= 0).all() or "log" in self.call.name)
        if not np.isfinite(scale).all() or not fits or (y.max(axis=-1) < -100).any():
            want = np.full_like(want, np.nan)
            return want, want, want
        return self._back(result), want, scale

    def _losses(
        self, result: Any, p: Array, log_p: Array, y: Array
    ) -> list[tuple[Any, Array, Array]]:
        name = self.call.name
        samples = int(np.prod(p.shape[:-1]))
        reduction = self.call.options.get("reduction", "mean")
        unreduced = name == "cross_entropy_grad_hess"
        mean = samples if reduction == "mean" and not unreduced else 1
        undefined = np.isnan(p).any(axis=-1)
        losses = np.where(undefined, np.nan, np.where(y == 0, 0, -y * log_p).sum(axis=-1))
        sizes = np.abs(np.where(y == 0, 0, y * (1 + np.abs(log_p)))).sum(axis=-1)
        mass = y.sum(axis=-1, keepdims=True)
        grad, grad_scale = (mass * p - y) / mean, (np.abs(mass) * p + np.abs(y)) / mean
        over = tuple(range(p.ndim - 1))
        wanted = {
            "loss": (losses, sizes)
            if reduction == "none"
            else (losses.sum() / mean, sizes.sum() / mean),
            "grad": (grad, grad_scale),
            "mean": (grad.sum(axis=over), grad_scale.sum(axis=over)),
        }
        if unreduced:
            got = {"grad": self._back(result[0])}
        elif "value_and" in name:
            kind = "mean" if "mean_grad" in name else "grad"
            got = {"loss": result[0], kind: result[1] if kind == "mean" else self._back(result[1])}
        elif "mean_grad" in name:
            got = {"mean": result}
        else:
            got = {"grad": self._back(result)} if "grad" in name else {"loss": result}
        return [(got[kind], *wanted[kind]) for kind in got]


def _compare(call: Call, got: Any, want: Array, scale: Array) -> None:
    got = np.asarray(got)
    assert got.shape == np.shape(want), f"a shape of {got.shape}, not {np.shape(want)}"
    info = ml_dtypes.finfo(got.dtype)
    eps, values, largest = float(info.eps), got.astype(WIDE), float(info.max)
    unit = 8 * eps * np.abs(scale) + max(float(info.smallest_subnormal) * 4, 1e-320)
    right = np.abs(values - want) <= unit
    right |= (values == want) | (np.isnan(values) & np.isnan(want))
    right |= (np.abs(want) >= 0.99 * largest) & np.isinf(values)
    right |= np.isnan(scale) & ~np.isnan(want)
    assert right.all(), f"{call.name} gives {got[~right]}, not {np.asarray(want)[~right]}"
