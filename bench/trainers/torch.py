"""Loss and backward pass in PyTorch, by its own function and by ours: a table in Markdown."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

import fastsoftmax
import fastsoftmax.torch as ours
from bench.figures.machine import describe
from fastsoftmax._cli.timing import Spread, duration, measure, ratio

SHAPES = ((1, 4), (256, 1000), (1_000_000, 10), (4096, 4096), (64, 32_000))
TARGET = {(1, 4): 1.0}
"""How many times as fast as PyTorch is asked for; 3 where nothing is said."""


def main() -> None:
    """Measure all shapes on the numbers of threads asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=3.0, help="a case")
    options = parser.parse_args()
    machine = describe()
    print(
        f"{machine['cpu']}, {machine['cpus']} usable CPUs, instruction set "
        f"{machine['instruction set']}; Python {machine['python']}, PyTorch {torch.__version__}\n"
    )
    print("| m × K, float32 | threads | PyTorch | fastsoftmax | times as fast | asked |")
    print("|---|---|---|---|---|---|")
    for threads in options.threads:
        torch.set_num_threads(threads)
        fastsoftmax.set_num_threads(threads)
        for shape in SHAPES:
            times = measure(_calls(shape), options.rounds, options.seconds)
            gain = ratio(times["torch"], times["ours"])
            theirs, own = (Spread.of(times[name]) for name in ("torch", "ours"))
            print(
                f"| {shape[0]} × {shape[1]} | {threads} "
                f"| {duration(theirs.median)} ±{theirs.percent:.0f}% "
                f"| {duration(own.median)} ±{own.percent:.0f}% "
                f"| {gain.median:.2f} ±{gain.percent:.0f}% | {TARGET.get(shape, 3.0):g} |"
            )


def _calls(shape: tuple[int, int]) -> dict[str, Callable[[], Any]]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).requires_grad_()
    labels = torch.randint(shape[1], shape[:1], generator=generator)

    def step(loss: Callable[..., torch.Tensor]) -> torch.Tensor:
        x.grad = None
        loss(x, labels).backward()
        assert x.grad is not None
        return x.grad

    torch.testing.assert_close(step(ours.cross_entropy), step(functional.cross_entropy))
    return {
        "torch": lambda: step(functional.cross_entropy),
        "ours": lambda: step(ours.cross_entropy),
    }


if __name__ == "__main__":
    main()
