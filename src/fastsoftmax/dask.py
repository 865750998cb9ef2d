"""Softmax and cross-entropy of Dask arrays, chunked along samples, along classes, or along both.

The functions have the names, options and meanings of the package's own, and nothing is computed
when they are called: they return Dask arrays, of no dimension where a scalar is meant.

- Chunked along the samples alone, each block goes to the package's own function. Chunked along the
  classes, each block first becomes a state of 64 bytes a sample, the states of the blocks of a
  sample are merged, and each block is finished with what they come to. No task has more than one
  block of the logits, and blocks are not rechunked.
- Labels, soft targets, weights and masks may be Dask arrays or NumPy's. They are cut as the logits
  are; soft targets with them, the others are small.
- Sums over blocks are compensated, in float64, by a tree whose shape is that of the chunks: results
  have the same bits on any scheduler and any number of threads, processes or workers, as long as
  the chunks are the same. (On workers whose CPUs have no fused multiply-add, see FASTSOFTMAX_ISA,
  last bits differ.)
- Dask runs blocks in its own threads, one for each CPU, so a task uses one thread of ours unless
  `num_threads` says otherwise, whatever `set_num_threads` was told. Give more where there are fewer
  blocks than CPUs, or workers have one thread each for several CPUs.
- The backend in effect where a function is called is the one that all tasks use.
- A label out of range, or a bad weight in a Dask array, is found when it is computed.
"""

from __future__ import annotations

from typing import SupportsFloat, SupportsIndex

from ._extras import require

require("dask", "dask")

import dask.array as da

from ._in_dask import cross_entropy as _cross_entropy
from ._in_dask import probabilities as _probabilities
from ._in_dask.arguments import DaskLike
from ._in_dask.problem import Problem
from .typing import BackendName, MeanOrSum, Reduction

__all__ = [
    "cross_entropy",
    "cross_entropy_value_and_grad",
    "cross_entropy_value_and_mean_grad",
    "log_softmax",
    "logsumexp",
    "softmax",
]


def softmax(
    x: DaskLike,
    axis: SupportsIndex = -1,
    *,
    where: DaskLike | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex = 1,
) -> da.Array:
    r"""Turn logits into probabilities.

    .. math:: p_k = \exp(x_k) / \sum_j \exp(x_j)

    Parameters
    ----------
    x : dask.array.Array or array_like
        Logits, real, of any shape and in any chunks; those along `axis` must be of known sizes.
        What is not a Dask array is made one, in chunks of Dask's choice.
    axis : int, default -1
        The axis of the classes.
    where : array of bool, optional
        Which classes take part; a NumPy or Dask array that broadcasts to the shape of `x`. The
        others get 0, and so does a row with nothing left.
    backend : {"c", "numba", "numpy"}, optional
        By default the one in effect here and now, see `fastsoftmax.get_backend`.
    num_threads : int, default 1
        The threads that each task uses beside Dask's own.

    Returns
    -------
    dask.array.Array
        Probabilities, in the shape and the chunks of `x`; of its dtype, float64 for integers.

    Raises
    ------
    TypeError
        If `x` does not hold real numbers, or `where` not bools.
    ValueError
        If there are no classes, a shape does not fit, or chunks are of unknown sizes where they
        have to be known.
    numpy.exceptions.AxisError
        If `x` has no such axis.
    ImportError
        If the backend is not installed.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastsoftmax.dask as fsd
    >>> x = da.zeros((6, 4), chunks=(3, 2))
    >>> p = fsd.softmax(x)
    >>> p.chunks
    ((3, 3), (2, 2))
    >>> p[0].compute().round(6).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return _probabilities.of_logits_shape("softmax", x, axis, where, backend, num_threads)


def log_softmax(
    x: DaskLike,
    axis: SupportsIndex = -1,
    *,
    where: DaskLike | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex = 1,
) -> da.Array:
    r"""Turn logits into the logarithms of probabilities.

    .. math:: \log p_k = x_k - \log \sum_j \exp(x_j)

    Parameters
    ----------
    x, axis, where, backend, num_threads
        As in `softmax`; classes left out by `where` get -inf.

    Returns
    -------
    dask.array.Array
        Log-probabilities, in the shape and the chunks of `x`.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError, ImportError
        As in `softmax`.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastsoftmax.dask as fsd
    >>> x = da.from_array([[100.0, 0.0]], chunks=(1, 1))
    >>> print(*(f"{entry:.6e}" for entry in fsd.log_softmax(x).compute()[0]))
    -3.720076e-44 -1.000000e+02
    """
    return _probabilities.of_logits_shape("log_softmax", x, axis, where, backend, num_threads)


def logsumexp(
    x: DaskLike,
    axis: SupportsIndex = -1,
    *,
    keepdims: bool = False,
    where: DaskLike | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex = 1,
) -> da.Array:
    r"""Compute the logarithm of the sum of exponentials along an axis.

    Parameters
    ----------
    x, axis, where, backend, num_threads
        As in `softmax`; of nothing the result is -inf.
    keepdims : bool, default False
        Keep the axis, with length 1.

    Returns
    -------
    dask.array.Array
        Of the shape of `x` without `axis`, chunked like it.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError, ImportError
        As in `softmax`.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastsoftmax.dask as fsd
    >>> x = da.from_array([[1000.0, 1000.0], [0.0, 0.0]], chunks=(1, 1))
    >>> fsd.logsumexp(x).compute().round(3).tolist()
    [1000.693, 0.693]
    """
    return _probabilities.logsumexp(x, axis, keepdims, where, backend, num_threads)


def cross_entropy(
    logits: DaskLike,
    targets: DaskLike,
    axis: SupportsIndex = -1,
    *,
    weight: DaskLike | None = None,
    sample_weight: DaskLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    reduction: Reduction = "mean",
    backend: BackendName | None = None,
    num_threads: SupportsIndex = 1,
) -> da.Array:
    r"""Compute the cross-entropy of logits with targets, as `fastsoftmax.cross_entropy`.

    Parameters
    ----------
    logits : dask.array.Array or array_like
        As `x` in `softmax`.
    targets : dask.array.Array or array_like
        Labels of the shape of `logits` without `axis`, or probabilities of the shape of `logits`.
        Labels and probabilities in other chunks than the logits are rechunked to theirs.
    axis : int, default -1
        The axis of the classes.
    weight : dask.array.Array or array_like, optional
        The weights of the K classes, not negative.
    sample_weight : dask.array.Array or array_like, optional
        The weights of the samples, not negative, of the shape of the labels.
    ignore_index : int, optional
        Samples with this label have no loss and no gradient and do not count in the mean.
    label_smoothing : float, default 0.0
        The share in [0, 1] of each target that is spread over all classes.
    reduction : {"mean", "sum", "none"}, default "mean"
        Over all samples of the array: ``"mean"`` divides the sum of the losses by the sum of the
        weights of all samples that count, not block by block. ``"none"`` returns them one by one.
    backend, num_threads
        As in `softmax`.

    Returns
    -------
    dask.array.Array
        The loss, without dimensions, in the dtype of the logits; it computes to a NumPy scalar. For
        ``"none"`` of the shape of the labels, in the logits' chunks.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError, ImportError
        As in `softmax`, and if an option is unknown or has no meaning for these targets. When it is
        computed: if a label is out of range, or a weight negative or NaN.

    Notes
    -----
    Sizes of chunks along the samples may be unknown, as they are where arrays come from data
    frames; targets and weights must then be Dask arrays with as many chunks.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastsoftmax.dask as fsd
    >>> logits = da.from_array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]], chunks=(1, 2))
    >>> loss = fsd.cross_entropy(logits, [0, 2])
    >>> loss.shape, round(float(loss.compute()), 6)
    ((), 0.753109)
    """
    return _cross_entropy.loss(
        Problem.of(
            logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing, reduction,
            backend, num_threads,
        )
    )  # fmt: skip


def cross_entropy_value_and_grad(
    logits: DaskLike,
    targets: DaskLike,
    axis: SupportsIndex = -1,
    *,
    weight: DaskLike | None = None,
    sample_weight: DaskLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    reduction: Reduction = "mean",
    backend: BackendName | None = None,
    num_threads: SupportsIndex = 1,
) -> tuple[da.Array, da.Array]:
    r"""Compute the cross-entropy and its gradient with respect to the logits.

    Compute both together, with `dask.compute` or in what is made of them: they share their tasks.

    Parameters
    ----------
    logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing, reduction
        As in `cross_entropy`.
    backend, num_threads
        As in `softmax`.

    Returns
    -------
    loss : dask.array.Array
        As from `cross_entropy`.
    grad : dask.array.Array
        In the shape, the chunks and the dtype of the logits.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError, ImportError
        As in `cross_entropy`.

    Notes
    -----
    What the gradient of the mean is divided by depends on labels and weights alone. Where it is not
    just the number of samples, they are all read before the first block of the gradient is made.

    Examples
    --------
    >>> import dask
    >>> import dask.array as da
    >>> import fastsoftmax.dask as fsd
    >>> logits = da.zeros((2, 2), chunks=(1, 1))
    >>> loss, grad = dask.compute(*fsd.cross_entropy_value_and_grad(logits, [0, 1]))
    >>> round(float(loss), 6), grad.round(6).tolist()
    (0.693147, [[-0.25, 0.25], [0.25, -0.25]])
    """
    return _cross_entropy.value_and_grad(
        Problem.of(
            logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing, reduction,
            backend, num_threads,
        )
    )  # fmt: skip


def cross_entropy_value_and_mean_grad(
    logits: DaskLike,
    targets: DaskLike,
    axis: SupportsIndex = -1,
    *,
    weight: DaskLike | None = None,
    sample_weight: DaskLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    reduction: MeanOrSum = "mean",
    backend: BackendName | None = None,
    num_threads: SupportsIndex = 1,
) -> tuple[da.Array, da.Array]:
    r"""Compute the cross-entropy and its gradient summed over the samples.

    Compute both together, as with `cross_entropy_value_and_grad`.

    Parameters
    ----------
    logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing
        As in `cross_entropy`.
    reduction : {"mean", "sum"}, default "mean"
        Whether to divide both sums.
    backend, num_threads
        As in `softmax`.

    Returns
    -------
    loss : dask.array.Array
        As from `cross_entropy`.
    mean_grad : dask.array.Array
        Of shape (K,), in the chunks of the classes and the dtype of the logits.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError, ImportError
        As in `cross_entropy`.

    Examples
    --------
    >>> import dask
    >>> import dask.array as da
    >>> import fastsoftmax.dask as fsd
    >>> logits = da.zeros((2, 2), chunks=(1, 1))
    >>> loss, mean_grad = dask.compute(*fsd.cross_entropy_value_and_mean_grad(logits, [0, 0]))
    >>> round(float(loss), 6), mean_grad.round(6).tolist()
    (0.693147, [-0.5, 0.5])
    """
    return _cross_entropy.value_and_mean_grad(
        Problem.of(
            logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing, reduction,
            backend, num_threads, of_mean_grad=True,
        )
    )  # fmt: skip


def __dir__() -> list[str]:
    return sorted(__all__)
