"""The loss as a module."""

from __future__ import annotations

import torch

from .cross_entropy import cross_entropy

__all__ = ["CrossEntropyLoss"]


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    """The cross-entropy loss as a module: ``torch.nn.CrossEntropyLoss``, computed here.

    Takes the arguments of PyTorch's module, is an instance of it, and has its state.

    Parameters
    ----------
    weight : Tensor, optional
        The weights of the C classes, not negative.
    size_average, reduce : bool, optional
        Deprecated; see `reduction`.
    ignore_index : int, default -100
        Samples with this label do not count.
    reduction : {"mean", "sum", "none"}, default "mean"
        How the samples' losses become one.
    label_smoothing : float, default 0.0
        The share of each target, in [0, 1], that is spread over all classes.

    See Also
    --------
    cross_entropy : The same as a function; shapes, dtypes and errors are described there.

    Examples
    --------
    >>> import torch
    >>> from fastsoftmax.torch import CrossEntropyLoss
    >>> criterion = CrossEntropyLoss(label_smoothing=0.1)
    >>> round(criterion(torch.zeros(2, 4), torch.tensor([1, 3])).item(), 6)
    1.386294
    """

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of logits with labels or probabilities."""
        return cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )
