"""What machine this is: its CPU and how much of it this process may use."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from ._cpu_count import limits

__all__ = ["cpu_features", "cpu_model", "describe"]

# The features that kernels are chosen by, as Linux names them.
FEATURES = (
    "sse2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "asimd",
)  # fmt: skip


def describe() -> dict[str, Any]:
    """Return system, CPU, and all that limits the number of CPUs, by what says so."""
    return {
        "system": platform.platform(),
        "architecture": platform.machine(),
        "CPU": cpu_model(),
        "CPU features": cpu_features(),
        **{what: number for number, what in limits()},
    }


def cpu_model() -> str:
    """Return the name of the CPU as the system knows it."""
    for name in ("model name", "Processor", "cpu"):
        if value := _cpuinfo().get(name):
            return value
    return platform.processor() or os.environ.get("PROCESSOR_IDENTIFIER") or "unknown"


def cpu_features() -> tuple[str, ...]:
    """Return those of the features in question that the CPU has, where Linux lists them."""
    fields = _cpuinfo()
    listed = set(fields.get("flags", fields.get("Features", "")).split())
    return tuple(name for name in FEATURES if name in listed)


def _cpuinfo() -> dict[str, str]:
    """Return what ``/proc/cpuinfo`` says of the first CPU; nothing where there is no such file."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
