"""Entry point of ``python -m fastsoftmax`` and of the console script."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ._cli.parser import run

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0 if all went well, 1 if a check failed, 2 for a request that cannot be met.
    """
    return run(argv)


if __name__ == "__main__":
    sys.exit(main())
