"""One row at a time in compiled code: the kernels with as little as possible around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, SupportsIndex

from numpy.typing import NDArray

from .._api.cross_entropy import cross_entropy, cross_entropy_value_and_grad
from .._api.probabilities import log_softmax, logsumexp, softmax
from .._backends.numba_kernels.compilation import jitted
from .._backends.numba_kernels.cross_entropy import CROSS_ENTROPY
from .._backends.numba_kernels.numba_api import TypingError, njit, overload, types
from .._backends.numba_kernels.run import COMBINE
from .._typing import Array, Float
from .arguments import check_array, check_logits, check_output
from .checks import check_classes, output_like, separated
from .errors import LabelError
from .linking import linked
from .views import (
    as_output_rows,
    as_rows,
    counters,
    label_of_row,
    nothing,
    sums_of_chunk,
)

__all__ = [
    "cross_entropy_row",
    "cross_entropy_value_and_grad_row",
    "log_softmax_row",
    "logsumexp_row",
    "softmax_row",
]

cross_entropy_kernel = linked(CROSS_ENTROPY, __name__)
combine = linked(COMBINE, __name__)
no_labels = nothing(types.int32, 2)
no_vector = nothing(types.float64, 1)
no_table = nothing(types.float64, 2)


# --- probabilities ---------------------------------------------------------------------------


def softmax_row(x: NDArray[Float], out: NDArray[Float]) -> None:
    """Write the probabilities of a row of logits into `out`.

    Parameters
    ----------
    x : array of float32 or float64, shape (K,)
        The logits, at any stride.
    out : array of the same dtype, shape (K,)
        Where to put the probabilities; may be `x`.

    Raises
    ------
    ValueError
        If there are no classes, or `out` is of another length or read-only.
    numba.TypingError
        If an argument is of an unsupported type.

    Notes
    -----
    See `fastsoftmax.softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax.numba import softmax_row
    >>> p = np.empty(2)
    >>> softmax_row(np.array([0.0, np.log(3.0)]), p)
    >>> p.round(6).tolist()
    [0.25, 0.75]
    """
    _check_row(x)
    softmax(x, out=out)


def log_softmax_row(x: NDArray[Float], out: NDArray[Float]) -> None:
    """Write the logarithms of the probabilities of a row of logits into `out`.

    Parameters
    ----------
    x, out : array, shape (K,)
        As in `softmax_row`.

    Raises
    ------
    ValueError, numba.TypingError
        As in `softmax_row`.

    Notes
    -----
    See `fastsoftmax.log_softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax.numba import log_softmax_row
    >>> row = np.array([0.0, np.log(3.0)])
    >>> log_softmax_row(row, row)
    >>> row.round(6).tolist()
    [-1.386294, -0.287682]
    """
    _check_row(x)
    log_softmax(x, out=out)


def logsumexp_row(x: NDArray[Float]) -> float:
    """Return the logarithm of the sum of the exponentials of a row.

    Parameters
    ----------
    x : array of float32 or float64, shape (K,)
        The row, at any stride.

    Returns
    -------
    float32 or float64
        Of the row's dtype; to Python, a float.

    Raises
    ------
    ValueError, numba.TypingError
        As in `softmax_row`.

    Notes
    -----
    See `fastsoftmax.logsumexp`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax.numba import logsumexp_row
    >>> round(logsumexp_row(np.array([1000.0, 1000.0])), 3)
    1000.693
    """
    _check_row(x)
    result: float = logsumexp(x)
    return result


# --- cross-entropy ---------------------------------------------------------------------------


def cross_entropy_row(logits: NDArray[Float], target: SupportsIndex | Array) -> float:
    """Return the cross-entropy of a row of logits with its target.

    Parameters
    ----------
    logits : array of float32 or float64, shape (K,)
        At any stride.
    target : int, or array of shape (K,)
        The label, from 0 to K-1, or the probabilities of the classes.

    Returns
    -------
    float32 or float64
        The loss, of the logits' dtype; to Python, a float.

    Raises
    ------
    ValueError
        If the label is out of range, the probabilities are not K, or there are no classes.
    numba.TypingError
        If an argument is of an unsupported type.

    Notes
    -----
    See `fastsoftmax.cross_entropy`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax.numba import cross_entropy_row
    >>> round(cross_entropy_row(np.array([2.0, 1.0, 0.0]), 0), 6)
    0.407606
    """
    return _loss(logits, target)


def cross_entropy_value_and_grad_row(
    logits: NDArray[Float], target: SupportsIndex | Array, out: NDArray[Float]
) -> float:
    """Return the cross-entropy of a row with its target; write its gradient p - t into `out`.

    Parameters
    ----------
    logits, target
        As in `cross_entropy_row`.
    out : array of the logits' dtype, shape (K,)
        Where to put the gradient; may be `logits`.

    Returns
    -------
    float32 or float64
        The loss, as from `cross_entropy_row`.

    Raises
    ------
    ValueError, numba.TypingError
        As in `cross_entropy_row`, and for `out` as in `softmax_row`. Nothing is written then.

    Notes
    -----
    See `fastsoftmax.cross_entropy_value_and_grad`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax.numba import cross_entropy_value_and_grad_row
    >>> grad = np.empty(2)
    >>> round(cross_entropy_value_and_grad_row(np.array([0.0, 0.0]), 1, grad), 6)
    0.693147
    >>> grad.round(6).tolist()
    [0.5, -0.5]
    """
    return _loss_and_grad(logits, target, out)


# --- a label's -------------------------------------------------------------------------------


def _row(argument: Any, name: str) -> Any:
    row = check_logits(argument, name)
    if row.ndim != 1:
        raise TypingError(f"{name} must be one row, an array with 1 axis, not {row.ndim}")
    return row


def _check_row(x: Any) -> None:
    raise NotImplementedError("for compiled code only")


@overload(_check_row, strict=False)
def _check_row_type(x: Any) -> Callable[..., Any]:
    _row(x, "x")
    return lambda x: None


@jitted
def check_label(label: Any, logits: Any) -> None:
    if not 0 <= label < logits.size:
        raise LabelError(label, 0, logits.shape, False, 0)


def _kernel_for(real: Any, grad_of: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled function (logits, label, out) -> loss."""
    no_rows, no_losses = nothing(real, 3), nothing(real, 2)

    @jitted
    def work(logits: Any, label: Any, out: Any) -> Any:
        sums = sums_of_chunk()
        cross_entropy_kernel(
            as_rows(logits, 0, 1, 1, 0, 0), no_labels(), label_of_row(label), no_rows(),
            no_vector(), no_table(), False, 0, 0.0, 1.0, True, no_losses(), grad_of(out), sums,
            no_table(), 1, counters(),
        )  # fmt: skip
        return logits.dtype.type(combine(sums, no_table(), no_vector(), 1.0))

    return work


def _loss(logits: Any, target: Any) -> float:
    raise NotImplementedError("for compiled code only")


@overload(_loss, strict=False)
def _loss_by_types(logits: Any, target: Any) -> Callable[..., Any]:
    row = _row(logits, "logits")
    if not isinstance(target, types.Integer):
        check_array(target, "target", "fib", 1)
        return lambda logits, target: cross_entropy(logits, target)
    work = _kernel_for(row.dtype, nothing(row.dtype, 3, given=1))

    def implementation(logits: Any, target: Any) -> Any:
        check_classes(logits)
        check_label(target, logits)
        return work(logits, target, logits)

    return implementation


def _loss_and_grad(logits: Any, target: Any, out: Any) -> float:
    raise NotImplementedError("for compiled code only")


@jitted
def row_to_write(out: Any) -> Any:
    return as_output_rows(out, 0, 1, 1, 0, 0)


@overload(_loss_and_grad, strict=False)
def _loss_and_grad_by_types(logits: Any, target: Any, out: Any) -> Callable[..., Any]:
    row = _row(logits, "logits")
    given = check_output(out, row.dtype, 1)
    if given is None:
        raise TypingError("out must be an array")
    if not isinstance(target, types.Integer):
        check_array(target, "target", "fib", 1)
        return lambda logits, target, out: cross_entropy_value_and_grad(logits, target, out=out)[0]
    check_out, work = output_like(given), _kernel_for(row.dtype, row_to_write)

    def implementation(logits: Any, target: Any, out: Any) -> Any:
        check_classes(logits)
        check_label(target, logits)
        check_out(out, logits.shape)
        return work(separated(logits, out), target, out)

    return implementation


softmax_row = njit(nogil=True)(softmax_row)
log_softmax_row = njit(nogil=True)(log_softmax_row)
logsumexp_row = njit(nogil=True)(logsumexp_row)
cross_entropy_row = njit(nogil=True)(cross_entropy_row)
cross_entropy_value_and_grad_row = njit(nogil=True)(cross_entropy_value_and_grad_row)
