"""Softmax, its logarithm, and what training needs to go back through them."""

from __future__ import annotations

from typing import Any, Literal, SupportsIndex, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from .._arguments.arrays import check_logits, check_pair, check_where, to_scalar
from .._arguments.layout import canonical
from .._arguments.outputs import check_out, new_like, separate, store
from .._backends import plain
from .._backends.environment import in_environment_of_backend
from .._control import SETTINGS, resolve_backend, resolve_num_threads
from .._typing import Array, ArrayLike, Backend, BackendName, Float
from ..typing import CallOptions, OutputArray

__all__ = [
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "softmax",
    "softmax_backward",
]


@overload
def softmax(
    x: NDArray[Float],
    axis: SupportsIndex = -1,
    *,
    where: ArrayLike | None = None,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> NDArray[Float]: ...


@overload
def softmax(
    x: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    where: ArrayLike | None = None,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> Array: ...


def softmax(
    x: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    where: ArrayLike | None = None,
    out: OutputArray | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Array:
    r"""Turn logits into probabilities.

    .. math:: p_k = \exp(x_k) / \sum_j \exp(x_j)

    Parameters
    ----------
    x : array_like
        Logits, real, of any shape. float32 and float64 are worked on as they are, at any strides.
        float16 and bfloat16 are computed in float32 and rounded once; integers, bools and long
        doubles are computed and returned in float64. Arrays of other libraries on the CPU are
        used where they lie, if they have ``__dlpack__`` or the buffer protocol.
    axis : int, default -1
        The axis of the classes.
    where : array_like of bool, optional
        Which classes take part; must broadcast to the shape of `x`. The others get probability 0,
        whatever is there in `x`. A row with nothing left is all 0.
    out : ndarray, optional
        Where to put the result: of its shape and dtype. May be `x` itself, or overlap it. For
        an array of another library the result is an ndarray in its memory.
    backend : {"c", "numba", "numpy"}, optional
        By default the one in effect, see `get_backend`.
    num_threads : int, optional
        By default the number in effect, see `get_num_threads`.

    Returns
    -------
    ndarray
        Probabilities, of the shape of `x`; `out` if it was given.

    Raises
    ------
    TypeError
        If `x` does not hold real numbers, `where` not bools, or `out` is of another dtype.
    ValueError
        If there are no classes, or a shape does not fit.
    numpy.exceptions.AxisError
        If `x` has no such axis.
    ImportError
        If the backend is not installed.

    Notes
    -----
    A row with NaN or +inf in it is NaN, and so is a row of only -inf. Every probability is within
    2 ulp of the exact one, and those too small to be normal numbers are not flushed to 0.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax as fs
    >>> fs.softmax([[0.0, np.log(3.0)], [5.0, 5.0]]).round(6).tolist()
    [[0.25, 0.75], [0.5, 0.5]]
    >>> fs.softmax([1.0, 2.0, 1.0], where=[True, False, True]).round(6).tolist()
    [0.5, 0.0, 0.5]
    """
    result = plain.softmax(x, axis, where, out, backend, num_threads, SETTINGS)
    if result is not None:
        return result
    kernels = resolve_backend(backend)
    return _from_logits(kernels, "softmax", x, axis, where, out, num_threads)


@overload
def log_softmax(
    x: NDArray[Float],
    axis: SupportsIndex = -1,
    *,
    where: ArrayLike | None = None,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> NDArray[Float]: ...


@overload
def log_softmax(
    x: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    where: ArrayLike | None = None,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> Array: ...


def log_softmax(
    x: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    where: ArrayLike | None = None,
    out: OutputArray | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Array:
    r"""Turn logits into the logarithms of probabilities.

    .. math:: \log p_k = x_k - \log \sum_j \exp(x_j)

    Parameters
    ----------
    x, axis, where, out, backend, num_threads
        As in `softmax`; classes left out by `where` get -inf.

    Returns
    -------
    ndarray
        Of the shape of `x`; `out` if it was given.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError, ImportError
        As in `softmax`.

    Notes
    -----
    Accurate for the largest class too, however close its logarithm is to 0: the other classes'
    exponentials are summed without it.

    Examples
    --------
    >>> import fastsoftmax as fs
    >>> print(*(f"{entry:.6e}" for entry in fs.log_softmax([100.0, 0.0])))
    -3.720076e-44 -1.000000e+02
    """
    result = plain.log_softmax(x, axis, where, out, backend, num_threads, SETTINGS)
    if result is not None:
        return result
    kernels = resolve_backend(backend)
    return _from_logits(kernels, "log_softmax", x, axis, where, out, num_threads)


@overload
def logsumexp(
    x: NDArray[Float],
    axis: SupportsIndex = -1,
    *,
    keepdims: Literal[True],
    where: ArrayLike | None = None,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> NDArray[Float]: ...


@overload
def logsumexp(
    x: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    keepdims: Literal[True],
    where: ArrayLike | None = None,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> Array: ...


@overload
def logsumexp(
    x: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    out: NDArray[Float],
    **options: Unpack[CallOptions],
) -> NDArray[Float]: ...


@overload
def logsumexp(
    x: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> Any: ...


def logsumexp(
    x: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    out: OutputArray | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Any:
    r"""Compute the logarithm of the sum of exponentials along an axis.

    Parameters
    ----------
    x, axis, backend, num_threads
        As in `softmax`.
    keepdims : bool, default False
        Keep the axis, with length 1.
    where : array_like of bool, optional
        Which elements take part; must broadcast to the shape of `x`. Of nothing the result is -inf.
    out : ndarray, optional
        Where to put the result: of its shape and dtype.

    Returns
    -------
    ndarray or scalar
        Of the shape of `x` without `axis`. As with NumPy's own reductions, a NumPy scalar where no
        axis remains.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError, ImportError
        As in `softmax`.

    Notes
    -----
    NaN among the elements gives NaN, else +inf gives +inf; -inf alone gives -inf.

    Examples
    --------
    >>> import fastsoftmax as fs
    >>> fs.logsumexp([[1000.0, 1000.0], [0.0, 0.0]]).round(3).tolist()
    [1000.693, 0.693]
    """
    result = plain.logsumexp(x, axis, keepdims, where, out, backend, num_threads, SETTINGS)
    if result is not None:
        return result
    return _logsumexp(resolve_backend(backend), x, axis, keepdims, where, out, num_threads)


@in_environment_of_backend
def _logsumexp(
    kernels: Backend,
    x: ArrayLike,
    axis: SupportsIndex,
    keepdims: bool,
    where: ArrayLike | None,
    out: OutputArray | None,
    num_threads: SupportsIndex | None,
) -> Any:
    threads = resolve_num_threads(num_threads)
    logits, axis, dtype = check_logits(x, axis, "x")
    mask = None if where is None else check_where(where, logits.shape, "x")
    before, after = logits.shape[:axis], logits.shape[axis + 1 :]
    shape = (*before, 1, *after) if keepdims else before + after
    out = check_out(out, shape, dtype)
    work = np.empty(before + after, logits.dtype)
    if logits.size:
        (rows, kept, results), pending = canonical(axis, (logits, mask, work), 1)
        kernels.logsumexp(rows, kept, results, threads)
        for place, temporary in pending:
            np.copyto(place, temporary)
    if out is None and not shape:
        return to_scalar(float(work[()]), dtype)
    return store(work.reshape(shape) if keepdims else work, out, dtype)


@overload
def softmax_backward(
    grad_output: NDArray[Float],
    output: NDArray[Float],
    axis: SupportsIndex = -1,
    *,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> NDArray[Float]: ...


@overload
def softmax_backward(
    grad_output: ArrayLike,
    output: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> Array: ...


def softmax_backward(
    grad_output: ArrayLike,
    output: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    out: OutputArray | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Array:
    r"""Carry a gradient back through `softmax`.

    The vector-Jacobian product :math:`p_k (g_k - \sum_j g_j p_j)`.

    Parameters
    ----------
    grad_output : array_like
        The gradient g with respect to the probabilities.
    output : array_like
        The probabilities p, as `softmax` returned them; of the same shape. Where the two dtypes
        differ, the wider one is used, and float32 for float16 with bfloat16.
    axis : int, default -1
        The axis of the classes.
    out : ndarray, optional
        Where to put the result. May be `grad_output` or `output` itself.
    backend, num_threads
        As in `softmax`.

    Returns
    -------
    ndarray
        The gradient with respect to the logits; `out` if it was given.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError, ImportError
        As in `softmax`.

    Examples
    --------
    >>> import fastsoftmax as fs
    >>> fs.softmax_backward([1.0, 0.0], [0.5, 0.5]).round(6).tolist()
    [0.25, -0.25]
    """
    result = plain.softmax_backward(grad_output, output, axis, out, backend, num_threads, SETTINGS)
    if result is not None:
        return result
    kernels = resolve_backend(backend)
    return _backward(kernels, kernels.softmax_backward, grad_output, output, axis, out, num_threads)


@overload
def log_softmax_backward(
    grad_output: NDArray[Float],
    output: NDArray[Float],
    axis: SupportsIndex = -1,
    *,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> NDArray[Float]: ...


@overload
def log_softmax_backward(
    grad_output: ArrayLike,
    output: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> Array: ...


def log_softmax_backward(
    grad_output: ArrayLike,
    output: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    out: OutputArray | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Array:
    r"""Carry a gradient back through `log_softmax`.

    The vector-Jacobian product :math:`g_k - p_k \sum_j g_j` with :math:`p = \exp(output)`.

    Parameters
    ----------
    grad_output : array_like
        The gradient g with respect to the log-probabilities.
    output : array_like
        The log-probabilities, as `log_softmax` returned them.
    axis, out, backend, num_threads
        As in `softmax_backward`.

    Returns
    -------
    ndarray
        The gradient with respect to the logits; `out` if it was given.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError, ImportError
        As in `softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax as fs
    >>> fs.log_softmax_backward([1.0, 0.0], np.log([0.5, 0.5])).round(6).tolist()
    [0.5, -0.5]
    """
    result = plain.log_softmax_backward(
        grad_output, output, axis, out, backend, num_threads, SETTINGS
    )
    if result is not None:
        return result
    kernels = resolve_backend(backend)
    return _backward(
        kernels, kernels.log_softmax_backward, grad_output, output, axis, out, num_threads
    )


def _from_logits(
    kernels: Backend,
    name: str,
    x: ArrayLike,
    axis: SupportsIndex,
    where: ArrayLike | None,
    out: OutputArray | None,
    num_threads: SupportsIndex | None,
) -> Array:
    plainly = kernels.PLAIN.get(name)
    # The array is too small for threads.
    threads_fit = num_threads is None or (type(num_threads) is int and num_threads > 0)
    if plainly is not None and where is None and threads_fit and type(axis) is int and axis == -1:
        result: Array | None = plainly(x, out)
        if result is not None:
            return result
    return _from_any_logits(kernels, name, x, axis, where, out, num_threads)


@in_environment_of_backend
def _from_any_logits(
    kernels: Backend,
    name: str,
    x: ArrayLike,
    axis: SupportsIndex,
    where: ArrayLike | None,
    out: OutputArray | None,
    num_threads: SupportsIndex | None,
) -> Array:
    kernel = getattr(kernels, name)
    threads = resolve_num_threads(num_threads)
    logits, axis, dtype = check_logits(x, axis, "x")
    mask: Array | None = None if where is None else check_where(where, logits.shape, "x")
    out = check_out(out, logits.shape, dtype)
    if out is not None:
        logits = separate(logits, out, True)
        mask = None if mask is None else separate(mask, out, False)
    work = new_like(out, logits, logits.dtype)
    if mask is None and axis == 1 and logits.ndim == 2 and work.size:
        # The common case, spared what canonical() would find out.
        kernel(logits[None], None, work[None], threads)
    elif work.size:
        (rows, kept, results), pending = canonical(axis, (logits, mask, work), 1)
        kernel(rows, kept, results, threads)
        for place, temporary in pending:
            np.copyto(place, temporary)
    return store(work, out, dtype)


@in_environment_of_backend
def _backward(
    kernels: Backend,
    kernel: Any,
    grad_output: ArrayLike,
    output: ArrayLike,
    axis: SupportsIndex,
    out: OutputArray | None,
    num_threads: SupportsIndex | None,
) -> Array:
    threads = resolve_num_threads(num_threads)
    first, second, axis, dtype = check_pair(grad_output, output, axis)
    out = check_out(out, second.shape, dtype)
    if out is not None:
        first, second = separate(first, out, True), separate(second, out, True)
    work = new_like(out, second, second.dtype)
    if work.size:
        (p, g, results), pending = canonical(axis, (second, first, work), 1)
        kernel(g, p, results, threads)
        for place, temporary in pending:
            np.copyto(place, temporary)
    return store(work, out, dtype)
