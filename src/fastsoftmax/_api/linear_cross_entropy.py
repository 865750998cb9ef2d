"""Cross-entropy of the logits of a linear layer, and its gradients, without the logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, SupportsFloat, SupportsIndex, TypeAlias, Unpack, overload

from numpy.typing import NDArray

from .._control import resolve_backend
from .._typing import Array, ArrayLike, BackendName, Float, Scalar
from ..typing import LinearCrossEntropyOptions, MeanOrSum, OutputArray, Reduction, Wrt
from .linear_evaluation import evaluate_linear

__all__ = ["linear_cross_entropy", "linear_cross_entropy_value_and_grad"]

WORKSPACE_BYTES = 64 << 20

OutputTriple: TypeAlias = Sequence[OutputArray | None]

# Of a layer without a bias the last is None, which need not trouble those whose layer has one.
Gradients: TypeAlias = tuple[NDArray[Float], NDArray[Float], NDArray[Float] | Any]
SomeGradients: TypeAlias = tuple[Array | None, Array | None, Array | None]


@overload
def linear_cross_entropy(
    x: NDArray[Float],
    weight: NDArray[Float],
    targets: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    reduction: MeanOrSum = "mean",
    **options: Unpack[LinearCrossEntropyOptions],
) -> Float: ...


@overload
def linear_cross_entropy(
    x: NDArray[Float],
    weight: NDArray[Float],
    targets: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    reduction: Literal["none"],
    **options: Unpack[LinearCrossEntropyOptions],
) -> NDArray[Float]: ...


@overload
def linear_cross_entropy(
    x: ArrayLike,
    weight: ArrayLike,
    targets: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    reduction: MeanOrSum = "mean",
    **options: Unpack[LinearCrossEntropyOptions],
) -> Scalar: ...


@overload
def linear_cross_entropy(
    x: ArrayLike,
    weight: ArrayLike,
    targets: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    reduction: Literal["none"],
    **options: Unpack[LinearCrossEntropyOptions],
) -> Array: ...


def linear_cross_entropy(
    x: ArrayLike,
    weight: ArrayLike,
    targets: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    class_weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    reduction: Reduction = "mean",
    workspace_bytes: SupportsIndex = WORKSPACE_BYTES,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Scalar | Array:
    r"""Compute the cross-entropy of the logits of a linear layer, without holding the logits.

    It is `cross_entropy` of the logits :math:`f = x W^T + b`, of which only as many rows exist at
    a time as the memory to work in has room for.

    Parameters
    ----------
    x : array_like
        Real, of shape (..., d): the samples along all axes but the last, d features along it.
    weight : array_like
        Real, of shape (K, d): a row of weights W for each of the K classes.
    targets : array_like
        Labels of the shape of the samples, or probabilities of that shape and (K,).
    bias : array_like, optional
        b, of shape (K,); by default 0.
    class_weight : array_like, optional
        The weights of the K classes, as `weight` of `cross_entropy`.
    sample_weight, ignore_index, label_smoothing, reduction
        As in `cross_entropy`.
    workspace_bytes : int, default 64 MiB
        How much memory the call may use beside its arguments and results, at least 64 KiB. It has
        room for one sample's logits at least. What is more than these arrays need is not used.
    backend : {"c", "numba", "numpy"}, optional
        Of the kernels. The products are NumPy's, by its BLAS.
    num_threads : int, optional
        By default the number in effect, see `get_num_threads`. BLAS uses its own number, but no
        more than this.

    Returns
    -------
    scalar or ndarray
        The loss, as from `cross_entropy`, in the common dtype of `x` and `weight`.

    Raises
    ------
    ValueError, TypeError, ImportError
        As in `cross_entropy`; if the shapes or dtypes of the layer do not go together.

    See Also
    --------
    linear_cross_entropy_value_and_grad

    Notes
    -----
    Arrays in float32 and float64 are used where they lie, if BLAS can multiply them there. Others
    are converted part by part, float16 and bfloat16 to float32, which the products, the kernels and
    all sums use. The logits are rounded as BLAS rounds them; what follows is as accurate as
    `cross_entropy` is for these logits.

    Examples
    --------
    >>> import numpy as np, fastsoftmax as fs
    >>> x = np.array([[1.0, 2.0], [0.0, 1.0]])
    >>> weight = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> loss = fs.linear_cross_entropy(x, weight, [2, 0])
    >>> print(f"{loss:.6f} {fs.cross_entropy(x @ weight.T, [2, 0]):.6f}")
    1.134800 1.134800
    """
    loss: Scalar | Array = evaluate_linear(
        resolve_backend(backend), True, (), x, weight, targets, bias, class_weight, sample_weight,
        ignore_index, label_smoothing, reduction, None, workspace_bytes, num_threads,
    )[0]  # fmt: skip
    return loss


@overload
def linear_cross_entropy_value_and_grad(
    x: NDArray[Float],
    weight: NDArray[Float],
    targets: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    reduction: MeanOrSum = "mean",
    wrt: None = None,
    out: OutputTriple | None = None,
    **options: Unpack[LinearCrossEntropyOptions],
) -> tuple[Float, Gradients[Float]]: ...


@overload
def linear_cross_entropy_value_and_grad(
    x: NDArray[Float],
    weight: NDArray[Float],
    targets: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    reduction: Literal["none"],
    wrt: None = None,
    out: OutputTriple | None = None,
    **options: Unpack[LinearCrossEntropyOptions],
) -> tuple[NDArray[Float], Gradients[Float]]: ...


@overload
def linear_cross_entropy_value_and_grad(
    x: ArrayLike,
    weight: ArrayLike,
    targets: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    reduction: MeanOrSum = "mean",
    wrt: None = None,
    out: OutputTriple | None = None,
    **options: Unpack[LinearCrossEntropyOptions],
) -> tuple[Scalar, Gradients[Any]]: ...


@overload
def linear_cross_entropy_value_and_grad(
    x: ArrayLike,
    weight: ArrayLike,
    targets: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    reduction: Literal["none"],
    wrt: None = None,
    out: OutputTriple | None = None,
    **options: Unpack[LinearCrossEntropyOptions],
) -> tuple[Array, Gradients[Any]]: ...


@overload
def linear_cross_entropy_value_and_grad(
    x: ArrayLike,
    weight: ArrayLike,
    targets: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    reduction: MeanOrSum = "mean",
    wrt: Sequence[Wrt] | None,
    out: OutputTriple | None = None,
    **options: Unpack[LinearCrossEntropyOptions],
) -> tuple[Scalar, SomeGradients]: ...


@overload
def linear_cross_entropy_value_and_grad(
    x: ArrayLike,
    weight: ArrayLike,
    targets: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    reduction: Literal["none"],
    wrt: Sequence[Wrt] | None,
    out: OutputTriple | None = None,
    **options: Unpack[LinearCrossEntropyOptions],
) -> tuple[Array, SomeGradients]: ...


def linear_cross_entropy_value_and_grad(
    x: ArrayLike,
    weight: ArrayLike,
    targets: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    class_weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    reduction: Reduction = "mean",
    wrt: Sequence[Wrt] | None = None,
    out: OutputTriple | None = None,
    workspace_bytes: SupportsIndex = WORKSPACE_BYTES,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> tuple[Scalar | Array, SomeGradients]:
    r"""Compute the cross-entropy of the logits of a linear layer and its gradients in one pass.

    With G the gradient of the loss with respect to the logits (`cross_entropy_grad`, (p - t)/m for
    the mean) they are

    .. math:: \frac{\partial J}{\partial x} = G W, \qquad
        \frac{\partial J}{\partial W} = G^T x, \qquad
        \frac{\partial J}{\partial b} = \sum_i G_i,

    and neither the logits nor G are held whole.

    Parameters
    ----------
    x, weight, targets, bias, class_weight, sample_weight, ignore_index, label_smoothing, reduction
        As in `linear_cross_entropy`. With the reduction ``"none"`` the gradients are those of the
        sum.
    wrt : sequence of {"x", "weight", "bias"}, optional
        What to give gradients with respect to; by default all that the layer has. The gradient
        with respect to a bias may be asked for where there is none.
    out : tuple of three (ndarray or None), optional
        Where to put the gradients with respect to x, weight and bias: of their shapes and of the
        common dtype of `x` and `weight`. They may overlap the arguments, which are then copied,
        but not each other.
    workspace_bytes, backend, num_threads
        As in `linear_cross_entropy`.

    Returns
    -------
    loss : scalar or ndarray
        As from `linear_cross_entropy`.
    gradients : tuple of three (ndarray or None)
        With respect to x, weight and bias, of their shapes, in the common dtype of `x` and
        `weight`; None for those that are not asked for.

    Raises
    ------
    ValueError, TypeError, ImportError
        As in `linear_cross_entropy`. Nothing is written then.

    Notes
    -----
    The gradient with respect to `weight` is summed in the dtype that is computed in. Where that is
    not the dtype of the result, as for float16, the sums take memory of their own, 4 K d bytes.

    Examples
    --------
    >>> import numpy as np, fastsoftmax as fs
    >>> x, weight = np.array([[1.0, 2.0]]), np.zeros((2, 2))
    >>> loss, (dx, dweight, dbias) = fs.linear_cross_entropy_value_and_grad(
    ...     x, weight, [0], bias=np.zeros(2)
    ... )
    >>> print(f"{loss:.6f}", dx.tolist(), dweight.tolist(), dbias.tolist())
    0.693147 [[0.0, 0.0]] [[-0.5, -1.0], [0.5, 1.0]] [-0.5, 0.5]
    """
    loss, (dx, dweight, dbias) = evaluate_linear(
        resolve_backend(backend), True, wrt, x, weight, targets, bias, class_weight, sample_weight,
        ignore_index, label_smoothing, reduction, out, workspace_bytes, num_threads,
    )  # fmt: skip
    return loss, (dx, dweight, dbias)
