"""Plain calls: those that need no preparation, for which a backend can have a shorter way.

A public function first offers its arguments, as its caller gave them, to the function of its name
here, with `_control.SETTINGS` after them. That returns the result, or None where the call is for
another backend or is not plain in any respect; nothing has been written then, and nothing raised.
Until the backend ``c`` is loaded, no call is plain.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

from .._typing import Array, Scalar

__all__ = [
    "cross_entropy",
    "cross_entropy_grad",
    "cross_entropy_mean_grad",
    "cross_entropy_value_and_grad",
    "cross_entropy_value_and_mean_grad",
    "exchanged_cross_entropy",
    "exchanged_cross_entropy_value_and_grad",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "provide",
    "softmax",
    "softmax_backward",
]

ToArray: TypeAlias = "Callable[..., Array | None]"
ToLoss: TypeAlias = "Callable[..., Scalar | None]"
ToBoth: TypeAlias = "Callable[..., tuple[Scalar, Array] | None]"


def _not_plain(*arguments: object) -> None:
    return None


softmax: ToArray = _not_plain
log_softmax: ToArray = _not_plain
logsumexp: Callable[..., Array | Scalar | None] = _not_plain
softmax_backward: ToArray = _not_plain
log_softmax_backward: ToArray = _not_plain
cross_entropy: ToLoss = _not_plain
cross_entropy_grad: ToArray = _not_plain
cross_entropy_mean_grad: ToArray = _not_plain
cross_entropy_value_and_grad: ToBoth = _not_plain
cross_entropy_value_and_mean_grad: ToBoth = _not_plain

# Logits and results are of a library that exchanges arrays by DLPack's table of C functions.
exchanged_cross_entropy: Callable[..., Any] = _not_plain
exchanged_cross_entropy_value_and_grad: Callable[..., Any] = _not_plain


def provide(extension: ModuleType) -> None:
    """Make the functions here those of the extension module."""
    for name in __all__:
        if name != "provide":
            globals()[name] = getattr(extension, f"plain_{name}")
