"""Gradient and diagonal Hessian of each sample's cross-entropy."""

from __future__ import annotations

from typing import Any, SupportsIndex, TypeAlias, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from .._arguments.arrays import check_logits, same_dtype
from .._arguments.layout import canonical
from .._arguments.options import check_hessian, check_sample_weight
from .._arguments.outputs import check_out, new_like, overlaps, separate, separate_all, store
from .._arguments.targets import check_targets
from .._backends.environment import in_environment_of_backend
from .._control import resolve_backend, resolve_num_threads
from .._typing import Array, ArrayLike, Backend, BackendName, Float
from ..typing import CallOptions, Hessian, OutputArray
from .evaluation import count_labels

__all__ = ["cross_entropy_grad_hess"]

OutputPair: TypeAlias = tuple[OutputArray | None, OutputArray | None]


@overload
def cross_entropy_grad_hess(
    logits: NDArray[Float],
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    sample_weight: ArrayLike | None = None,
    hessian: Hessian = "exact",
    out: OutputPair | None = None,
    **options: Unpack[CallOptions],
) -> tuple[NDArray[Float], NDArray[Float]]: ...


@overload
def cross_entropy_grad_hess(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    sample_weight: ArrayLike | None = None,
    hessian: Hessian = "exact",
    out: OutputPair | None = None,
    **options: Unpack[CallOptions],
) -> tuple[Array, Array]: ...


def cross_entropy_grad_hess(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    sample_weight: ArrayLike | None = None,
    hessian: Hessian = "exact",
    out: OutputPair | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> tuple[Array, Array]:
    r"""Compute each sample's gradient and the diagonal of its Hessian, as boosting needs them.

    Parameters
    ----------
    logits, targets, axis, sample_weight
        As in `cross_entropy`; s below is the weight of the sample, and :math:`T = \sum_k t_k`,
        which is 1 for labels.
    hessian : {"exact", "xgboost", "lightgbm"}, default "exact"
        ``"exact"`` is :math:`s T p (1 - p)`; ``"xgboost"`` is
        :math:`\max(2 s T p (1 - p), 10^{-16})`; ``"lightgbm"`` is
        :math:`\frac{K}{K-1} s T p (1 - p)`, for K > 1.
    out : tuple of two ndarrays, optional
        Where to put the gradient and the Hessian: of their shape and dtype. The first may be
        `logits` itself.
    backend, num_threads
        As in `cross_entropy`.

    Returns
    -------
    grad : ndarray
        :math:`s (T p - t)`, of the shape of the logits.
    hess : ndarray
        The diagonal of the Hessian, of the shape of the logits.

    Raises
    ------
    ValueError, TypeError, numpy.exceptions.AxisError, ImportError
        As in `cross_entropy`. Nothing is written then.

    Examples
    --------
    >>> import fastsoftmax as fs
    >>> grad, hess = fs.cross_entropy_grad_hess([[0.0, 0.0]], [1])
    >>> grad.round(6).tolist(), hess.round(6).tolist()
    ([[0.5, -0.5]], [[0.25, 0.25]])
    """
    return _grad_hess(
        resolve_backend(backend), logits, targets, axis, sample_weight, hessian, out, num_threads
    )


@in_environment_of_backend
def _grad_hess(
    kernels: Backend,
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex,
    sample_weight: ArrayLike | None,
    hessian: Hessian,
    out: OutputPair | None,
    num_threads: SupportsIndex | None,
) -> tuple[Array, Array]:
    threads = resolve_num_threads(num_threads)
    x, axis, dtype = check_logits(logits, axis, "logits")
    shape = x.shape
    samples = shape[:axis] + shape[axis + 1 :]
    check_hessian(hessian, shape[axis])
    labels, probabilities, _ = check_targets(targets, shape, samples, shape[axis], None)
    if probabilities is not None:
        x, probabilities = same_dtype(x, probabilities)
    sw = None if sample_weight is None else check_sample_weight(sample_weight, samples)
    grad_out, hess_out = _check_out_pair(out, shape, dtype)
    for place, in_place in ((grad_out, True), (hess_out, False)):
        if place is not None:
            x = separate(x, place, in_place)
            labels, probabilities, sw = separate_all((labels, probabilities, sw), place)
    grad = new_like(grad_out, x, x.dtype)
    hess = new_like(hess_out, x, x.dtype)
    if x.size:
        (rows, t, y, s, g, h), pending = canonical(
            axis, (x, labels, probabilities, sw, grad, hess), 2
        )
        if labels is not None:
            count_labels(kernels, labels, t, shape[axis], None, None, None)
        kernels.grad_hess(rows, t, y, s, hessian, g, h, threads)
        for output, temporary in pending:
            np.copyto(output, temporary)
    return store(grad, grad_out, dtype), store(hess, hess_out, dtype)


def _check_out_pair(
    out: OutputPair | None, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[Array | None, Array | None]:
    if out is None:
        return None, None
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        raise TypeError("out must be a pair of arrays, for the gradient and for the Hessian")
    grad, hess = out
    grad = check_out(grad, shape, dtype, "out[0]")
    hess = check_out(hess, shape, dtype, "out[1]")
    if grad is not None and hess is not None and overlaps(grad, hess):
        raise ValueError("out[0] and out[1] share memory")
    return grad, hess
