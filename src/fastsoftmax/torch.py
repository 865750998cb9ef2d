"""Softmax and cross-entropy for PyTorch on the CPU, as ``torch.nn.functional`` has them.

One line puts them under a training loop::

    from fastsoftmax.torch import cross_entropy     # in place of torch.nn.functional's

Tensors are read where they lie, the gradient is computed together with the loss, and a sample that
the network is sure of keeps its gradient. Everything runs on the threads of
`fastsoftmax.get_num_threads`, whatever ``torch.set_num_threads`` was told.
"""

from __future__ import annotations

from ._extras import require

require("torch", "torch")

from ._in_torch.cross_entropy import cross_entropy
from ._in_torch.linear import linear_cross_entropy
from ._in_torch.module import CrossEntropyLoss
from ._in_torch.probabilities import log_softmax, softmax

__all__ = ["CrossEntropyLoss", "cross_entropy", "linear_cross_entropy", "log_softmax", "softmax"]


def __dir__() -> list[str]:
    return sorted(__all__)
