"""Softmax and cross-entropy for JAX on the CPU, with the names of jax.nn and optax.

Each works inside `jax.jit`, `jax.grad`, `jax.vmap` and their like, on float16, bfloat16, float32
and float64 arrays. With the backend ``"c"`` XLA calls the kernels on its own memory, without Python
and without a copy; with another, JAX calls back. The backend and the number of threads are those in
effect when a function is traced, and stay with what was compiled.

For other devices there are no kernels: XLA says so when it compiles.
"""

from __future__ import annotations

from typing import Any

from ._extras import require

require("jax", "jax")

import jax
import jax.numpy as jnp

from ._in_jax import derivatives
from ._in_jax.arguments import Axis, as_logits, as_mask, merge_axes, to_labels
from ._in_jax.calls import settings_for
from ._typing import ArrayLike

__all__ = [
    "log_softmax",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
]

# Calls outside of jit are compiled once for each shape.
_softmax = jax.jit(derivatives.softmax, static_argnums=0)
_log_softmax = jax.jit(derivatives.log_softmax, static_argnums=0)
_losses = jax.jit(derivatives.losses, static_argnums=0)


def softmax(x: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None) -> jax.Array:
    r"""Turn logits into probabilities, as `jax.nn.softmax`.

    .. math:: p_k = \exp(x_k) / \sum_j \exp(x_j)

    Parameters
    ----------
    x : array_like
        Logits, real, of any shape. Integers become floats of JAX's default dtype.
    axis : int, sequence of int or None, default -1
        The axis of the classes, or the axes over which they are spread; None for all.
    where : array_like of bool, optional
        Which classes take part; must broadcast to the shape of `x`. The others get 0, and so does
        a row with nothing left.

    Returns
    -------
    jax.Array
        Probabilities, of the shape of `x`, within 2 ulp in float32 and float64.

    Raises
    ------
    TypeError
        If `x` is not real or `where` not bool.
    ValueError
        If there are no classes, or `where` does not fit.
    numpy.exceptions.AxisError
        If `x` has no such axis.

    Examples
    --------
    >>> import fastsoftmax.jax as fsj
    >>> fsj.softmax([[0.0, 0.0]]).tolist()
    [[0.5, 0.5]]
    """
    return _probabilities(_softmax, x, axis, where)


def log_softmax(x: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None) -> jax.Array:
    r"""Compute the logarithm of the probabilities, as `jax.nn.log_softmax`.

    .. math:: x_k - \log \sum_j \exp(x_j)

    Parameters
    ----------
    x, axis, where
        As in `softmax`; classes left out get -inf.

    Returns
    -------
    jax.Array
        Log-probabilities, within 4 ulp, also where they are close to 0.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As in `softmax`.

    Examples
    --------
    >>> import fastsoftmax.jax as fsj
    >>> print(f"{float(fsj.log_softmax([30.0, 0.0])[0]):.4e}")
    -9.3576e-14
    """
    return _probabilities(_log_softmax, x, axis, where)


def softmax_cross_entropy(
    logits: ArrayLike, labels: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    r"""Compute the cross-entropy of logits with probabilities, as `optax.softmax_cross_entropy`.

    The loss of a sample is :math:`-\sum_k y_k \log p_k`, its gradient :math:`p \sum_k y_k - y`,
    computed with the loss in one pass.

    Parameters
    ----------
    logits : array_like
        Real floating-point numbers of any shape.
    labels : array_like
        Probabilities, soft or one-hot, of the shape of the logits or broadcast to it; their sum
        need not be 1. Derivatives by them are there as well.
    axis : int, sequence of int or None, default -1
        The axis or axes of the classes.
    where : array_like of bool, optional
        What takes part: classes, in a shape that broadcasts to the logits', or whole samples, in
        the losses' shape. The loss of a sample with nothing left is 0.

    Returns
    -------
    jax.Array
        The loss of each sample, in the wider of the two dtypes.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As in `softmax`, and if a shape does not fit.

    Notes
    -----
    As in optax the term of a class with target 0 is 0; here also where its logit is -inf.

    Examples
    --------
    >>> import fastsoftmax.jax as fsj
    >>> print(f"{fsj.softmax_cross_entropy([0.0, 0.0], [0.25, 0.75]):.4f}")
    0.6931
    """
    x, y = as_logits(logits, "logits"), as_logits(labels, "labels")
    dtype = jnp.promote_types(x.dtype, jnp.asarray(labels).dtype)
    x = x.astype(dtype)
    try:
        y = jnp.broadcast_to(y.astype(dtype), x.shape)
    except ValueError:
        raise ValueError(
            f"labels must be probabilities of the shape of the logits, {x.shape}, not {y.shape}; "
            "for integer labels there is softmax_cross_entropy_with_integer_labels"
        ) from None
    mask = None if where is None else as_mask(where, x, axis)
    (x, y, mask), position, _ = merge_axes((x, y, mask), axis, "logits")
    if mask is not None:
        x, y = _kept(x, mask, position), jnp.where(mask, y, 0)
    loss: jax.Array = _losses(settings_for(position, x.ndim), x, y)
    return loss


def softmax_cross_entropy_with_integer_labels(
    logits: ArrayLike, labels: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    r"""Compute the cross-entropy of logits with labels, as optax's function of this name.

    The loss of a sample with label c is :math:`-\log p_c`, its gradient p with 1 taken from entry
    c, computed with the loss in one pass. Neither vanishes where :math:`p_c` rounds to 1.

    Parameters
    ----------
    logits : array_like
        Real floating-point numbers of any shape.
    labels : array_like
        Integers from 0 to K-1, of the shape of the logits without the class axes. Where the classes
        are spread over several axes, the last of them varies fastest. As with optax, negative
        labels count from the end.
    axis : int or sequence of int, default -1
        The axis or axes of the classes.
    where : array_like of bool, optional
        As in `softmax_cross_entropy`. A label that is left out has probability 0 and the loss +inf,
        where optax subtracts its logit from the others' log-sum-exp.

    Returns
    -------
    jax.Array
        The loss of each sample, in the dtype of the logits. As with optax it is NaN for a label
        out of range, since nothing can be raised in compiled code; its gradient is 0.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As in `softmax`, and if the labels are not integers or their shape does not fit.

    Examples
    --------
    >>> import jax, fastsoftmax.jax as fsj
    >>> loss = lambda x: fsj.softmax_cross_entropy_with_integer_labels(x, 0)
    >>> x = jax.numpy.array([20.0, 0.0, 0.0, 0.0])
    >>> print(f"{loss(x):.4e} {jax.grad(loss)(x)[0]:.4e}")
    6.1835e-09 -6.1835e-09
    """
    x = as_logits(logits, "logits")
    mask = None if where is None else as_mask(where, x, axis)
    (x, mask), position, _ = merge_axes((x, mask), axis, "logits")
    samples = x.shape[:position] + x.shape[position + 1 :]
    classes, valid = to_labels(labels, x.shape[position], samples)
    if mask is not None:
        x = _kept(x, mask, position)
    loss = _losses(settings_for(position, x.ndim), x, classes)
    if mask is not None:
        loss = jnp.where(mask.any(position), loss, 0)
    return jnp.where(valid, loss, jnp.nan)


def _probabilities(function: Any, x: ArrayLike, axis: Axis, where: Any) -> jax.Array:
    array = as_logits(x, "x")
    mask = None if where is None else as_mask(where, array, None)
    (array, mask), position, restore = merge_axes((array, mask), axis, "x")
    return restore(function(settings_for(position, array.ndim), array, mask))


def _kept(x: jax.Array, mask: jax.Array, axis: int) -> jax.Array:
    """The logits with -inf outside of the mask; samples with nothing left are all 0."""
    return jnp.where(mask, x, jnp.where(mask.any(axis, keepdims=True), -jnp.inf, 0).astype(x.dtype))


def __dir__() -> list[str]:
    return sorted(__all__)
