"""The kernels as operations of JAX.

Those of the backend ``"c"`` are custom calls, which XLA makes from its own threads on its own
memory (https://docs.jax.dev/en/latest/ffi.html). The other backends are called back in Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from .._api import cross_entropy, probabilities
from .._control import get_backend, get_num_threads

__all__ = ["Settings", "log_softmax", "losses", "losses_and_grad", "settings_for", "softmax"]

_registered = False


class Settings(NamedTuple):
    """What a call is compiled for."""

    trailing: int
    """The number of axes after that of the classes, to which `vmap` adds none."""
    threads: int
    backend: str

    @property
    def axis(self) -> int:
        return -1 - self.trailing


def settings_for(axis: int, ndim: int) -> Settings:
    """Return the settings in effect now, for classes on this axis counted from the front."""
    return Settings(ndim - 1 - axis, get_num_threads(), get_backend())


def softmax(settings: Settings, x: jax.Array, where: jax.Array | None) -> jax.Array:
    """Return probabilities."""
    return _probability_call("softmax", probabilities.softmax, settings, x, where)


def log_softmax(settings: Settings, x: jax.Array, where: jax.Array | None) -> jax.Array:
    """Return log-probabilities."""
    return _probability_call("log_softmax", probabilities.log_softmax, settings, x, where)


def losses(settings: Settings, logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the loss of each sample; labels of -1 have none."""

    def compute(logits: Any, targets: Any) -> Any:
        return cross_entropy.cross_entropy(
            logits, targets, settings.axis, reduction="none", **_options(settings, targets)
        )

    result: jax.Array = _call(
        "cross_entropy", compute, settings, _samples(settings, logits), logits, targets
    )
    return result


def losses_and_grad(
    settings: Settings, logits: jax.Array, targets: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return the loss of each sample and its gradient, in one pass."""

    def compute(logits: Any, targets: Any) -> Any:
        return cross_entropy.cross_entropy_value_and_grad(
            logits, targets, settings.axis, reduction="none", **_options(settings, targets)
        )

    shapes = (_samples(settings, logits), _shape(logits.shape, logits.dtype))
    loss, grad = _call("cross_entropy", compute, settings, shapes, logits, targets)
    return loss, grad


def _probability_call(
    name: str,
    function: Callable[..., Any],
    settings: Settings,
    x: jax.Array,
    where: jax.Array | None,
) -> jax.Array:
    def compute(x: Any, where: Any = None) -> Any:
        return function(
            x, settings.axis, where=where, backend=settings.backend, num_threads=settings.threads
        )

    arrays = (x,) if where is None else (x, where)
    result: jax.Array = _call(name, compute, settings, _shape(x.shape, x.dtype), *arrays)
    return result


def _samples(settings: Settings, logits: jax.Array) -> jax.ShapeDtypeStruct:
    axis = logits.ndim + settings.axis
    return _shape(logits.shape[:axis] + logits.shape[axis + 1 :], logits.dtype)


def _shape(shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def _options(settings: Settings, targets: Any) -> dict[str, Any]:
    is_label = np.issubdtype(targets.dtype, np.integer)
    return {
        "ignore_index": -1 if is_label else None,
        "backend": settings.backend,
        "num_threads": settings.threads,
    }


def _call(
    name: str, compute: Callable[..., Any], settings: Settings, shapes: Any, *arrays: jax.Array
) -> Any:
    if settings.backend == "c":
        _register()
        call: Any = jax.ffi.ffi_call(f"fastsoftmax_{name}", shapes, vmap_method="broadcast_all")
        return call(
            *arrays, trailing=np.int64(settings.trailing), threads=np.int64(settings.threads)
        )

    def on_host(*arrays: Any) -> Any:
        results = compute(*map(np.asarray, arrays))
        return jax.tree.map(lambda values, shape: np.asarray(values, shape.dtype), results, shapes)

    return jax.pure_callback(on_host, shapes, *arrays, vmap_method="broadcast_all")


def _register() -> None:
    global _registered
    if _registered:
        return
    from fastsoftmax import _c

    for name, handler in _c.xla_targets().items():
        jax.ffi.register_ffi_target(f"fastsoftmax_{name}", handler, platform="cpu")
    _registered = True
