"""Places in a Markdown file that are filled: ``<!-- figures:KEY -->`` … ``<!-- end -->``."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["fill", "keys", "part"]

_PLACE = re.compile(r"(<!-- figures:(?P<key>[\w-]+) -->\n)(?P<old>.*?)(<!-- end -->)", re.DOTALL)


def keys(document: str) -> list[str]:
    """Return the keys of the places of a document."""
    return [match["key"] for match in _PLACE.finditer(document)]


def part(document: str, key: str) -> str:
    """Return what stands in a place of a document; nothing where there is none."""
    return next((match["old"] for match in _PLACE.finditer(document) if match["key"] == key), "")


def fill(document: str, parts: Mapping[str, str]) -> str:
    """Return a document with the parts put in their places; other places stay as they are.

    Raises
    ------
    ValueError
        If there is no place for a part.
    """
    missing = sorted(parts.keys() - set(keys(document)))
    if missing:
        raise ValueError(f"no place for {', '.join(missing)}: add <!-- figures:{missing[0]} -->")

    def replaced(match: re.Match[str]) -> str:
        old = match["old"]
        part = parts.get(match["key"])
        return match[1] + (old if part is None else f"{part.strip()}\n") + match[4]

    return _PLACE.sub(replaced, document)
