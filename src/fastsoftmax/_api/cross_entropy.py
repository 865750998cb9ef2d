"""Cross-entropy of logits with labels or probabilities, and its gradients."""

from __future__ import annotations

from typing import Literal, SupportsFloat, SupportsIndex, Unpack, overload

from numpy.typing import NDArray

from .._backends import plain
from .._control import SETTINGS, resolve_backend
from .._typing import Array, ArrayLike, BackendName, Float, Scalar
from ..typing import CrossEntropyOptions, MeanOrSum, OutputArray, Reduction
from .evaluation import evaluate

__all__ = [
    "cross_entropy",
    "cross_entropy_grad",
    "cross_entropy_mean_grad",
    "cross_entropy_value_and_grad",
    "cross_entropy_value_and_mean_grad",
]


@overload
def cross_entropy(
    logits: NDArray[Float],
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: MeanOrSum = "mean",
    **options: Unpack[CrossEntropyOptions],
) -> Float: ...


@overload
def cross_entropy(
    logits: NDArray[Float],
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: Literal["none"],
    **options: Unpack[CrossEntropyOptions],
) -> NDArray[Float]: ...


@overload
def cross_entropy(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: MeanOrSum = "mean",
    **options: Unpack[CrossEntropyOptions],
) -> Scalar: ...


@overload
def cross_entropy(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: Literal["none"],
    **options: Unpack[CrossEntropyOptions],
) -> Array: ...


def cross_entropy(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    reduction: Reduction = "mean",
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Scalar | Array:
    r"""Compute the cross-entropy of logits with targets.

    The loss of a sample with logits f and targets t over K classes is

    .. math:: L = \sum_k y_k \Bigl(\log \sum_j \exp(f_j) - f_k\Bigr), \qquad
        y_k = w_k \Bigl((1 - \varepsilon) t_k + \frac{\varepsilon}{K}\Bigr)

    where a label c stands for the probabilities t that are 1 for class c and 0 for the others.
    A term with :math:`y_k = 0` is 0 even where :math:`f_k = -\infty`.

    Parameters
    ----------
    logits : array_like
        Real, of any shape. float32 and float64 are worked on as they are, at any strides. float16
        and bfloat16 are computed in float32 and rounded once; integers, bools and long doubles are
        computed and returned in float64. Arrays of other libraries on the CPU are used where they
        lie, if they have ``__dlpack__`` or the buffer protocol.
    targets : array_like
        Either labels: integers from 0 to K-1, of the shape of `logits` without `axis`. Or
        probabilities, soft or one-hot, of the shape of `logits`; their sum need not be 1.
    axis : int, default -1
        The axis of the classes.
    weight : array_like, optional
        The weights w of the K classes, not negative; by default 1.
    sample_weight : array_like, optional
        The weights of the samples, not negative, of the shape of the labels; by default 1.
        The loss of a sample is multiplied by its weight.
    ignore_index : int, optional
        Samples with this label, which need not be a class, have no loss and no gradient and do
        not count in the mean. Only for labels.
    label_smoothing : float, default 0.0
        The share :math:`\varepsilon` in [0, 1] of each target that is spread over all classes.
    reduction : {"mean", "sum", "none"}, default "mean"
        ``"sum"`` adds the losses, ``"none"`` returns them one by one. ``"mean"`` divides the sum:
        for labels by the sum over the samples of the class weight of the label times the sample
        weight; for probabilities by the sum of the sample weights. Without weights both are
        the number of samples that count.
    backend : {"c", "numba", "numpy"}, optional
        By default the one in effect, see `get_backend`.
    num_threads : int, optional
        By default the number in effect, see `get_num_threads`.

    Returns
    -------
    scalar or ndarray
        The loss as a NumPy scalar of the dtype of the logits, accumulated in float64. For
        ``"none"`` an array of the shape of the labels, or a scalar if there is but one sample and
        no axis for it.

    Raises
    ------
    ValueError
        If a label is out of range, a shape does not fit, a weight is negative or NaN, an option is
        unknown or has no meaning for these targets, or there are no classes.
    TypeError
        If a dtype is of the wrong kind.
    numpy.exceptions.AxisError
        If `logits` has no such axis.
    ImportError
        If the backend is not installed.

    Notes
    -----
    The mean over no samples, or over samples whose weights are all 0, is NaN. A sample with NaN
    or +inf among its logits, or with nothing but -inf, has the loss NaN.

    The loss does not vanish when the target's probability rounds to 1: for the largest class it is
    computed as ``log1p(s)`` with s the sum of the other classes' exponentials over its own [1]_.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and
       softmax functions", IMA Journal of Numerical Analysis 41(4), 2021.

    Examples
    --------
    >>> import fastsoftmax as fs
    >>> logits = [[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    >>> round(float(fs.cross_entropy(logits, [0, 2])), 6)
    0.753109
    >>> fs.cross_entropy(logits, [0, 2], reduction="none").round(6).tolist()
    [0.407606, 1.098612]
    >>> print(f"{fs.cross_entropy([100.0, 0.0, 0.0, 0.0], 0):.6e}")
    1.116023e-43
    """
    result = plain.cross_entropy(
        logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing, reduction,
        None, backend, num_threads, SETTINGS,
    )  # fmt: skip
    if result is not None:
        return result
    loss: Scalar | Array = evaluate(
        resolve_backend(backend), True, False, False, logits, targets, axis, weight, sample_weight,
        ignore_index, label_smoothing, reduction, None, num_threads,
    )[0]  # fmt: skip
    return loss


@overload
def cross_entropy_grad(
    logits: NDArray[Float],
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: Reduction = "mean",
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> NDArray[Float]: ...


@overload
def cross_entropy_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: Reduction = "mean",
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> Array: ...


def cross_entropy_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    reduction: Reduction = "mean",
    out: OutputArray | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Array:
    r"""Compute the gradient of the cross-entropy with respect to the logits.

    With :math:`p = \operatorname{softmax}(f)` and y as in `cross_entropy`, a sample's gradient is
    :math:`p_k \sum_j y_j - y_k`, which is p - t without options; times its weight, and for
    ``"mean"`` divided as the loss is.

    Parameters
    ----------
    logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing, reduction
        As in `cross_entropy`. ``"none"`` gives the same as ``"sum"``.
    out : ndarray, optional
        Where to put the gradient: of its shape and dtype. May be `logits` itself, or overlap it.
    backend, num_threads
        As in `cross_entropy`.

    Returns
    -------
    ndarray
        The gradient, of the shape of `logits`; `out` if it was given.

    Raises
    ------
    ValueError, TypeError, numpy.exceptions.AxisError, ImportError
        As in `cross_entropy`. Nothing is written then.

    Notes
    -----
    At a class whose probability rounds to 1 the gradient is computed as the negative sum of the
    other classes' probabilities, and so is not 0. The gradient of the mean over nothing is all 0.

    Examples
    --------
    >>> import fastsoftmax as fs
    >>> fs.cross_entropy_grad([[0.0, 0.0], [0.0, 0.0]], [0, 1], reduction="sum").round(6).tolist()
    [[-0.5, 0.5], [0.5, -0.5]]
    >>> print(*(f"{entry:.6e}" for entry in fs.cross_entropy_grad([100.0, 0.0], 0)))
    -3.720076e-44 3.720076e-44
    """
    result = plain.cross_entropy_grad(
        logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing, reduction,
        out, backend, num_threads, SETTINGS,
    )  # fmt: skip
    if result is not None:
        return result
    gradient: Array = evaluate(
        resolve_backend(backend), False, True, False, logits, targets, axis, weight, sample_weight,
        ignore_index, label_smoothing, reduction, out, num_threads,
    )[1]  # fmt: skip
    return gradient


@overload
def cross_entropy_mean_grad(
    logits: NDArray[Float],
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: MeanOrSum = "mean",
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> NDArray[Float]: ...


@overload
def cross_entropy_mean_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: MeanOrSum = "mean",
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> Array: ...


def cross_entropy_mean_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    reduction: MeanOrSum = "mean",
    out: OutputArray | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Array:
    r"""Compute the gradient of the cross-entropy summed over the samples, a vector of K numbers.

    For ``"mean"`` this is :math:`\frac 1 m \sum_i (p^{(i)} - t^{(i)})`, the gradient with respect
    to a bias added to the logits of all samples. Nothing of the size of float32 or float64 logits
    is allocated.

    Parameters
    ----------
    logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing
        As in `cross_entropy`.
    reduction : {"mean", "sum"}, default "mean"
        Whether to divide the sum, as the loss is.
    out : ndarray, optional
        Where to put the K numbers: of their dtype.
    backend, num_threads
        As in `cross_entropy`.

    Returns
    -------
    ndarray
        Of shape (K,) and the dtype of the logits, accumulated in float64; `out` if it was given.

    Raises
    ------
    ValueError, TypeError, numpy.exceptions.AxisError, ImportError
        As in `cross_entropy`.

    Examples
    --------
    >>> import fastsoftmax as fs
    >>> fs.cross_entropy_mean_grad([[0.0, 0.0], [0.0, 0.0]], [0, 0]).round(6).tolist()
    [-0.5, 0.5]
    """
    result = plain.cross_entropy_mean_grad(
        logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing, reduction,
        out, backend, num_threads, SETTINGS,
    )  # fmt: skip
    if result is not None:
        return result
    gradient: Array = evaluate(
        resolve_backend(backend), False, False, True, logits, targets, axis, weight, sample_weight,
        ignore_index, label_smoothing, reduction, out, num_threads,
    )[1]  # fmt: skip
    return gradient


@overload
def cross_entropy_value_and_grad(
    logits: NDArray[Float],
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: MeanOrSum = "mean",
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> tuple[Float, NDArray[Float]]: ...


@overload
def cross_entropy_value_and_grad(
    logits: NDArray[Float],
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: Literal["none"],
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> tuple[NDArray[Float], NDArray[Float]]: ...


@overload
def cross_entropy_value_and_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: MeanOrSum = "mean",
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> tuple[Scalar, Array]: ...


@overload
def cross_entropy_value_and_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: Literal["none"],
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> tuple[Array, Array]: ...


def cross_entropy_value_and_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    reduction: Reduction = "mean",
    out: OutputArray | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> tuple[Scalar | Array, Array]:
    r"""Compute the cross-entropy and its gradient in one pass.

    Parameters
    ----------
    logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing, reduction
        As in `cross_entropy`.
    out : ndarray, optional
        Where to put the gradient, as in `cross_entropy_grad`.
    backend, num_threads
        As in `cross_entropy`.

    Returns
    -------
    loss : scalar or ndarray
        As from `cross_entropy`: with ``reduction="none"`` the loss of each sample.
    grad : ndarray
        As from `cross_entropy_grad`.

    Raises
    ------
    ValueError, TypeError, numpy.exceptions.AxisError, ImportError
        As in `cross_entropy`. Nothing is written then.

    Examples
    --------
    >>> import fastsoftmax as fs
    >>> loss, grad = fs.cross_entropy_value_and_grad([[0.0, 0.0]], [[0.25, 0.75]])
    >>> round(float(loss), 6), grad.round(6).tolist()
    (0.693147, [[0.25, -0.25]])
    """
    result = plain.cross_entropy_value_and_grad(
        logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing, reduction,
        out, backend, num_threads, SETTINGS,
    )  # fmt: skip
    if result is not None:
        return result
    loss, gradient = evaluate(
        resolve_backend(backend), True, True, False, logits, targets, axis, weight, sample_weight,
        ignore_index, label_smoothing, reduction, out, num_threads,
    )  # fmt: skip
    return loss, gradient


@overload
def cross_entropy_value_and_mean_grad(
    logits: NDArray[Float],
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: MeanOrSum = "mean",
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> tuple[Float, NDArray[Float]]: ...


@overload
def cross_entropy_value_and_mean_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    reduction: MeanOrSum = "mean",
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> tuple[Scalar, Array]: ...


def cross_entropy_value_and_mean_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    reduction: MeanOrSum = "mean",
    out: OutputArray | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> tuple[Scalar, Array]:
    r"""Compute the cross-entropy and its gradient summed over the samples, reading logits once.

    Parameters
    ----------
    logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing
        As in `cross_entropy`.
    reduction : {"mean", "sum"}, default "mean"
        As in `cross_entropy`; ``"none"`` has no meaning here.
    out : ndarray, optional
        Where to put the mean gradient: K numbers of its dtype.
    backend, num_threads
        As in `cross_entropy`.

    Returns
    -------
    loss : scalar
        As from `cross_entropy`.
    mean_grad : ndarray
        As from `cross_entropy_mean_grad`.

    Raises
    ------
    ValueError, TypeError, numpy.exceptions.AxisError, ImportError
        As in `cross_entropy`.

    Examples
    --------
    >>> import fastsoftmax as fs
    >>> loss, mean_grad = fs.cross_entropy_value_and_mean_grad([[0.0, 0.0], [0.0, 0.0]], [0, 0])
    >>> round(float(loss), 6), mean_grad.round(6).tolist()
    (0.693147, [-0.5, 0.5])
    """
    result = plain.cross_entropy_value_and_mean_grad(
        logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing, reduction,
        out, backend, num_threads, SETTINGS,
    )  # fmt: skip
    if result is not None:
        return result
    loss, gradient = evaluate(
        resolve_backend(backend), True, False, True, logits, targets, axis, weight, sample_weight,
        ignore_index, label_smoothing, reduction, out, num_threads,
    )  # fmt: skip
    return loss, gradient
