"""The operations with their derivatives, of every order, forward and in reverse.

A derivative rule is a linear function of the tangent, made of JAX's own operations and of what the
kernels return. JAX transposes it for gradients: from the tangent d·v of a loss, with d = p - t from
the loss's own pass over the logits, comes the gradient d times the loss's cotangent.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from . import calls
from .calls import Settings

__all__ = ["log_softmax", "losses", "softmax"]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def softmax(settings: Settings, x: jax.Array, where: jax.Array | None) -> jax.Array:
    """Return probabilities, which are 0 outside of `where`."""
    return calls.softmax(settings, x, where)


@softmax.defjvp
def _softmax_jvp(settings: Settings, primals: Any, tangents: Any) -> Any:
    p = softmax(settings, *primals)
    wide = p.astype(_wide(p))
    return p, _projected(settings, wide, tangents[0].astype(wide.dtype)).astype(p.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def log_softmax(settings: Settings, x: jax.Array, where: jax.Array | None) -> jax.Array:
    """Return log-probabilities, which are -inf outside of `where`."""
    return calls.log_softmax(settings, x, where)


@log_softmax.defjvp
def _log_softmax_jvp(settings: Settings, primals: Any, tangents: Any) -> Any:
    _, where = primals
    log_p = log_softmax(settings, *primals)
    v = tangents[0].astype(_wide(log_p))
    if where is not None:
        v = jnp.where(where, v, 0)
    mean = jnp.sum(jnp.exp(log_p.astype(v.dtype)) * v, settings.axis, keepdims=True)
    tangent = v - mean if where is None else jnp.where(where, v - mean, 0)
    return log_p, tangent.astype(log_p.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def losses(settings: Settings, logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the loss of each sample, of labels or probabilities; labels of -1 have none."""
    return calls.losses(settings, logits, targets)


@partial(losses.defjvp, symbolic_zeros=True)
def _losses_jvp(settings: Settings, primals: Any, tangents: Any) -> Any:
    loss, grad = _losses_and_grad(settings, *primals)
    return loss, _tangent_of_loss(settings, primals, tangents, loss, grad)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _losses_and_grad(
    settings: Settings, logits: jax.Array, targets: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return calls.losses_and_grad(settings, logits, targets)


@partial(_losses_and_grad.defjvp, symbolic_zeros=True)
def _losses_and_grad_jvp(settings: Settings, primals: Any, tangents: Any) -> Any:
    """The gradient p Y - y, with Y the sum of the targets y, has Y p (v - p·v) by the logits."""
    logits, targets = primals
    of_logits, of_targets = tangents
    loss, grad = _losses_and_grad(settings, logits, targets)
    p = softmax(settings, logits, None)
    wide = p.astype(_wide(p))
    tangent = jnp.zeros_like(wide)
    if not isinstance(of_logits, SymbolicZero):
        if targets.ndim < logits.ndim:
            total = jnp.expand_dims(targets >= 0, settings.axis).astype(wide.dtype)
        else:
            total = jnp.sum(targets.astype(wide.dtype), settings.axis, keepdims=True)
        tangent += total * _projected(settings, wide, of_logits.astype(wide.dtype))
    if _has_tangent(of_targets):
        v = of_targets.astype(wide.dtype)
        tangent += wide * jnp.sum(v, settings.axis, keepdims=True) - v
    of_loss = _tangent_of_loss(settings, primals, tangents, loss, grad)
    return (loss, grad), (of_loss, tangent.astype(grad.dtype))


def _tangent_of_loss(
    settings: Settings, primals: Any, tangents: Any, loss: jax.Array, grad: jax.Array
) -> jax.Array:
    """The derivative of the loss by the logits is its gradient, by the targets -log p."""
    dtype = _wide(loss)
    tangent = jnp.zeros(loss.shape, dtype)
    of_logits, of_targets = tangents
    if not isinstance(of_logits, SymbolicZero):
        tangent += jnp.sum(grad.astype(dtype) * of_logits.astype(dtype), settings.axis)
    if _has_tangent(of_targets):
        log_p = log_softmax(settings, primals[0], None).astype(dtype)
        tangent -= jnp.sum(log_p * of_targets.astype(dtype), settings.axis)
    return tangent.astype(loss.dtype)


def _projected(settings: Settings, p: jax.Array, v: jax.Array) -> jax.Array:
    return p * (v - jnp.sum(p * v, settings.axis, keepdims=True))


def _has_tangent(tangent: Any) -> bool:
    """Whether there is one: labels, being integers, have none."""
    return not isinstance(tangent, SymbolicZero) and tangent.dtype != jax.dtypes.float0


def _wide(x: jax.Array) -> Any:
    """The dtype to compute derivatives in."""
    return jnp.promote_types(x.dtype, jnp.float32)
