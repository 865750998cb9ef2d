"""JSON for other programs: valid, and alone on standard output."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import RequestError

__all__ = ["STANDARD_OUTPUT", "check_target", "write"]

#: The name that stands for standard output.
STANDARD_OUTPUT = "-"


def check_target(target: str | None) -> None:
    """Raise `RequestError` if a file cannot be written there, before there is anything to write."""
    if target is None or target == STANDARD_OUTPUT:
        return
    path = Path(target)
    if path.is_dir() or not path.absolute().parent.is_dir():
        reason = "it is a directory" if path.is_dir() else f"there is no directory {path.parent}"
        raise RequestError(f"cannot write {target}: {reason}")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise RequestError(f"cannot write {target}: Permission denied")


def write(target: str, document: Mapping[str, Any]) -> None:
    """Write a document to a file, or to standard output; what is no finite number becomes null."""
    # In ASCII, which every stream takes.
    text = json.dumps(_valid(document), indent=2, allow_nan=False)
    if target == STANDARD_OUTPUT:
        print(text)
        return
    try:
        Path(target).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise RequestError(f"cannot write {target}: {error.strerror}") from error


def _valid(value: Any) -> Any:
    """Return it in the types of JSON, which has no NaN and no infinity."""
    if isinstance(value, Mapping):
        return {str(key): _valid(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_valid(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return _valid(value.tolist()) if hasattr(value, "tolist") else str(value)
