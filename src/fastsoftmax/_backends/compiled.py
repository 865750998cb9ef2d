"""The ``c`` backend: plain functions on checked arrays, those of the extension module itself."""

from collections.abc import Callable, Mapping
from typing import Any

from fastsoftmax import _c
from fastsoftmax._c import (
    check_labels,
    cross_entropy,
    grad_hess,
    in_default_environment,
    log_softmax,
    log_softmax_backward,
    logsumexp,
    partial_state,
    shard_exponentials,
    softmax,
    softmax_backward,
)

from . import plain

__all__ = [
    "NAME",
    "PLAIN",
    "check_labels",
    "compilations",
    "cross_entropy",
    "grad_hess",
    "in_default_environment",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "partial_state",
    "shard_exponentials",
    "softmax",
    "softmax_backward",
]

NAME = "c"
PLAIN: Mapping[str, Callable[..., Any]] = {}  # the extension module has them already

plain.provide(_c)


def compilations() -> Mapping[str, Callable[[], str | None]]:
    """All was compiled when the package was built."""
    return {}
