"""What ends a command with a message instead of a result."""

from __future__ import annotations

__all__ = ["RequestError"]


class RequestError(Exception):
    """What was asked for cannot be had here; the message says why and what would help."""
