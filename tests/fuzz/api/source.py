"""Choices, from the bytes of a fuzzer's input; behind their end all choices are the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Source:
    """Takes a byte a choice."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, n: int) -> int:
        """Return a number from 0 to n - 1, of at most 256."""
        byte = self._data[self._at] if self._at < len(self._data) else 0
        self._at += 1
        return byte % n

    def of(self, choices: Sequence[T]) -> T:
        """Return one of them."""
        return choices[self.below(len(choices))]

    def one_in(self, n: int) -> bool:
        """Return whether what happens once in n times happens now; not behind the end."""
        return self.below(n) == n - 1
