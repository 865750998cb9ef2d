r"""Shards: softmax and cross-entropy where classes or samples are split over workers.

Classes. Each worker has the logits of some of the classes, and all labels (or its own part of the
probabilities). It makes a small state of them, the states of all workers are gathered and merged,
and from the merged state come the loss and each worker's part of the gradient::

    own = sharded.partial_state(logits, labels, first_class=first, num_classes=K)
    state = sharded.merge_states(gathered)              # an all-gather of `own`
    loss = sharded.cross_entropy(state, labels)
    grad = sharded.cross_entropy_grad(
        logits, labels, state, first_class=first, num_classes=K
    )

Samples. Each worker has all classes of some of the samples; `total_weight` says what their mean is
over, and `loss_sums`, `merge_sums` and `mean_loss` what it is. Both go together: `divisor` is the
total weight of all samples, where a mean of a worker's own would be over fewer.

What comes out is as accurate as `fastsoftmax` itself: probabilities within 2 ulp, losses and
gradients within 4, also where a sample is confident, in whichever shard its label is.

A state is an array of float64: `STATE_SIZE` = 8 numbers a sample along a last axis, of classes j
with logits x, targets y and the largest logit M, which is at class c.

== ============================================== ================================================
0  :math:`M`                                      NaN if a logit is NaN
1  :math:`\sum_{j \ne c} e^{x_j - M}`, hi         times :math:`2^{256}`; 0 where M is not finite
2  lo
3  :math:`\sum_j y_j (M - x_j)`, hi
4  lo
5  :math:`\sum_{j \ne c} y_j`, hi
6  lo
7  :math:`y_c`
== ============================================== ================================================

hi + lo is a number to twice the precision of float64. Class c is left out of two sums, for then
1 - p and the loss of a confident sample are sums too, and no differences.
"""

from __future__ import annotations

from ._in_sharded.classes import cross_entropy_grad, log_softmax, partial_state, softmax
from ._in_sharded.losses import cross_entropy, logsumexp
from ._in_sharded.samples import (
    loss_sums,
    loss_sums_and_grad,
    mean_grad,
    mean_loss,
    merge_sums,
    total_weight,
)
from ._in_sharded.state import STATE_SIZE, merge_states

__all__ = [
    "STATE_SIZE",
    "cross_entropy",
    "cross_entropy_grad",
    "log_softmax",
    "logsumexp",
    "loss_sums",
    "loss_sums_and_grad",
    "mean_grad",
    "mean_loss",
    "merge_states",
    "merge_sums",
    "partial_state",
    "softmax",
    "total_weight",
]


def __dir__() -> list[str]:
    return sorted(__all__)
