"""Types shared by the whole package, among them what a backend must offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from .typing import ArrayLike, BackendName

__all__ = [
    "Array",
    "ArrayLike",
    "Backend",
    "BackendName",
    "BoolArray",
    "Float",
    "Float64Array",
    "Scalar",
]

Array: TypeAlias = NDArray[Any]
BoolArray: TypeAlias = NDArray[np.bool_]
Float64Array: TypeAlias = NDArray[np.float64]
Scalar: TypeAlias = np.floating[Any]

Float = TypeVar("Float", bound=np.float16 | np.float32 | np.float64)
"""A dtype that results keep. long double is not: it becomes float64."""


class Backend(Protocol):
    """Plain functions on checked arrays.

    Logits are (A, B, K) with the classes last and any byte strides, in native byte order and
    aligned, with no axis of length 0; arrays with one entry a sample are (A, B). A backend checks
    nothing, keeps nothing, and overwrites only its outputs. An output may be exactly an input.
    """

    @property
    def NAME(self) -> str: ...

    @property
    def PLAIN(self) -> Mapping[str, Callable[[Any, Any], Array | None]]:
        """Shorter ways for plain calls, by the functions' names, from what the caller gave.

        From logits and `out` they lead to the result, or to None, with nothing done, where the call
        is not plain after all. All other arguments have their defaults.
        """

    def in_default_environment(
        self, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        """Call a function where arithmetic rounds to nearest and keeps subnormal numbers.

        Or as things are, where the backend does not promise that.
        """

    def compilations(self) -> Mapping[str, Callable[[], str | None]]:
        """What the first calls would wait for, by name: each of these compiles one part.

        They return the directory that keeps the machine code, or None if it is in memory only.
        """

    def softmax(self, x: Array, where: Array | None, out: Array, num_threads: int) -> None: ...

    def log_softmax(self, x: Array, where: Array | None, out: Array, num_threads: int) -> None: ...

    def logsumexp(self, x: Array, where: Array | None, out: Array, num_threads: int) -> None: ...

    def softmax_backward(
        self, grad_output: Array, output: Array, out: Array, num_threads: int
    ) -> None: ...

    def log_softmax_backward(
        self, grad_output: Array, output: Array, out: Array, num_threads: int
    ) -> None: ...

    def check_labels(
        self,
        labels: Array,
        num_classes: int,
        ignore_index: int | None,
        weight: Float64Array | None,
        sample_weight: Float64Array | None,
    ) -> tuple[int, int, float]:
        """Return (first label out of range or -1, labels that count, their total weight)."""

    def cross_entropy(
        self,
        logits: Array,
        labels: Array | None,
        probabilities: Array | None,
        weight: Float64Array | None,
        sample_weight: Float64Array | None,
        ignore_index: int | None,
        label_smoothing: float,
        divisor: float,
        losses: Array | None,
        grad: Array | None,
        mean_grad: Float64Array | None,
        want_loss: bool,
        num_threads: int,
    ) -> float: ...

    def grad_hess(
        self,
        logits: Array,
        labels: Array | None,
        probabilities: Array | None,
        sample_weight: Float64Array | None,
        hessian: str,
        grad: Array,
        hess: Array,
        num_threads: int,
    ) -> None: ...

    def partial_state(
        self, x: Array, targets: Array | None, state: Float64Array, num_threads: int
    ) -> None:
        """Write what rows that are a shard of the classes come to, to `state` (A, B, 8).

        That is, the sums as hi and lo: the maximum M, NaN where a row has a NaN; the sum of
        e^(x - M) without the largest class, times 2^256, 0 where M is not finite; and of targets y
        (A, B, K), of the dtype of x, the sum of y (M - x), the sum of y without the largest class,
        and that class's own. Without targets the last five are left as they are.
        """

    def shard_exponentials(
        self, x: Array, targets: Array | None, rows: Float64Array, out: Array, num_threads: int
    ) -> None:
        """Write factor e^(x - M) of each row's numbers (M, factor hi, lo, target, apart).

        With targets, less target y, and `apart` where x is M, unless that is NaN. All is NaN where
        M is not finite.
        """
