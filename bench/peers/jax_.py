"""JAX: jitted functions, waited for; always into new arrays.

The number of its threads is that of the CPUs the process may use when JAX starts, so it is
entered only for that number. For one thread run under ``taskset -c 0``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.cases import CLASSES_LAST, Layout
from fastsoftmax._cli.problems import OPERATIONS, Call, Problem

from .peer import Peer

__all__ = ["JAX"]


def _function(operation: str, axis: int) -> Callable[..., Any]:
    """Return a function of logits and labels, to be jitted."""
    import jax
    import jax.numpy as jnp

    def mean_loss(x: Any, labels: Any) -> Any:
        log_p = jax.nn.log_softmax(x, axis)
        picked = jnp.take_along_axis(log_p, jnp.expand_dims(labels, axis), axis)
        return -picked.mean()

    def biased_loss(bias: Any, x: Any, labels: Any) -> Any:
        # The mean gradient is the derivative by a number added to all logits of a class.
        return mean_loss(x + jnp.expand_dims(bias, 1 + axis), labels)

    def value_and_mean_grad(x: Any, labels: Any) -> Any:
        return jax.value_and_grad(biased_loss)(jnp.zeros(x.shape[axis], x.dtype), x, labels)

    def grad_hess(x: Any, labels: Any) -> Any:
        p = jax.nn.softmax(x, axis)
        targets = jax.nn.one_hot(labels, x.shape[axis], axis=axis, dtype=x.dtype)
        return p - targets, p * (1 - p)

    functions: dict[str, Callable[..., Any]] = {
        "softmax": lambda x, labels: jax.nn.softmax(x, axis),
        "log_softmax": lambda x, labels: jax.nn.log_softmax(x, axis),
        "value_and_grad": jax.value_and_grad(mean_loss),
        "value_and_mean_grad": value_and_mean_grad,
        "grad_hess": grad_hess,
    }
    return functions[operation]


def _prepare(problem: Problem, threads: int) -> Call:
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)
    x = jax.device_put(problem.logits)
    labels = jax.device_put(problem.labels)
    compiled = jax.jit(_function(problem.operation, problem.axis)).lower(x, labels).compile()
    return lambda: jax.block_until_ready(compiled(x, labels))


def _to_numpy(result: Any) -> Any:
    return tuple(map(np.asarray, result)) if isinstance(result, tuple) else np.asarray(result)


JAX = Peer(
    "jax",
    "jax",
    "jax",
    frozenset(OPERATIONS),
    _prepare,
    to_numpy=_to_numpy,
    threads="process",
    layouts=(CLASSES_LAST, Layout("C", 0)),
)
