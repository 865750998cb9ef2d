"""PyTorch twice: by its autograd, as in training, and by hand, with ``out=`` and in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsoftmax._cli.problems import OPERATIONS, Call, Problem

from .peer import Peer

__all__ = ["TORCH", "TORCH_AUTOGRAD"]


class _ByHand:
    """The operations from PyTorch's functions, the gradients written out."""

    def __init__(self, problem: Problem) -> None:
        import torch

        self.torch = torch
        self.x = torch.from_numpy(problem.logits)
        self.labels = torch.from_numpy(problem.labels)
        self.dim, self.other = problem.axis, 1 + problem.axis
        self.m, self.classes = problem.num_samples, problem.num_classes
        self.picked = self.labels.unsqueeze(self.dim)
        self.ones = torch.ones_like(self.picked, dtype=self.x.dtype)
        self.out = torch.empty_like(self.x) if problem.reuse else None
        self.second = torch.empty_like(self.x) if problem.reuse else None

    def softmax(self) -> Any:
        return self.torch.softmax(self.x, self.dim, out=self.out)

    def log_softmax(self) -> Any:
        return self.torch.log_softmax(self.x, self.dim, out=self.out)

    def value_and_grad(self) -> Any:
        log_p = self.log_softmax()
        loss = -log_p.gather(self.dim, self.picked).mean()
        grad = log_p.exp_().scatter_add_(self.dim, self.picked, -self.ones).mul_(1 / self.m)
        return loss, grad

    def value_and_mean_grad(self) -> Any:
        log_p = self.log_softmax()
        loss = -log_p.gather(self.dim, self.picked).mean()
        mean_grad = log_p.exp_().mean(self.other)
        counts = self.torch.bincount(self.labels, minlength=self.classes)
        mean_grad.sub_(counts, alpha=1 / self.m)
        return loss, mean_grad

    def grad_hess(self) -> Any:
        p = self.softmax()
        hess = self.torch.sub(1, p, out=self.second).mul_(p)
        return p.scatter_add_(self.dim, self.picked, -self.ones), hess


def _by_hand(problem: Problem, threads: int) -> Call:
    import torch

    torch.set_num_threads(threads)
    call: Call = getattr(_ByHand(problem), problem.operation)
    return call


def _autograd(problem: Problem, threads: int) -> Call:
    import torch
    from torch.nn import functional

    torch.set_num_threads(threads)
    x = torch.from_numpy(problem.logits)
    x = x.T if problem.axis == 0 else x
    x.requires_grad_(True)
    labels = torch.from_numpy(problem.labels)

    def call() -> Any:
        loss = functional.cross_entropy(x, labels)
        (grad,) = torch.autograd.grad(loss, x)
        if problem.operation == "value_and_mean_grad":
            return loss.detach(), grad.sum(0)
        return loss.detach(), grad.T if problem.axis == 0 else grad

    return call


def _to_numpy(result: Any) -> Any:
    return tuple(map(np.asarray, result)) if isinstance(result, tuple) else np.asarray(result)


TORCH = Peer("torch", "torch", "torch", frozenset(OPERATIONS), _by_hand, to_numpy=_to_numpy)
TORCH_AUTOGRAD = Peer(
    "torch-autograd",
    "torch",
    "torch",
    frozenset({"value_and_grad", "value_and_mean_grad"}),
    _autograd,
    to_numpy=_to_numpy,
)
