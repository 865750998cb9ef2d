"""How many CPUs this process may use, and what says so."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

__all__ = ["limits", "usable_cpus"]


def usable_cpus() -> tuple[int, str]:
    """Return the least of the CPUs there are, the CPUs allowed and the container's quota.

    The second value says which of them it was.
    """
    return min(limits(), key=lambda limit: limit[0])


def limits() -> list[tuple[int, str]]:
    """Return the CPUs there are, the CPUs allowed and the container's quota, each with its name."""
    found = [(os.cpu_count() or 1, "CPUs of the machine")]
    if hasattr(os, "process_cpu_count"):  # Python 3.13; respects -X cpu_count
        found.append((os.process_cpu_count() or 1, "CPU affinity"))
    elif hasattr(os, "sched_getaffinity"):
        found.append((len(os.sched_getaffinity(0)), "CPU affinity"))
    quota = _cgroup_quota()
    if quota is not None:
        found.append((max(1, math.ceil(quota)), "CPU quota of the control group"))
    return found


def _cgroup_quota(proc: str = "/proc/self/cgroup", mount: str = "/sys/fs/cgroup") -> float | None:
    """Return the tightest CPU quota of this process's control groups, in CPUs."""
    try:
        lines = Path(proc).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    quotas: list[float] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:
            quotas += _along(Path(mount), group, _read_v2)
        elif "cpu" in controllers.split(","):
            for name in (controllers, "cpu"):
                quotas += _along(Path(mount, name), group, _read_v1)
    return min(quotas, default=None)


def _along(mount: Path, group: str, read: Callable[[Path], float | None]) -> list[float]:
    """Read the quotas of a group and of all its parents; inside a container some are missing."""
    path = PurePosixPath("/", group)
    found = (read(mount.joinpath(*level.parts[1:])) for level in (path, *path.parents))
    return [quota for quota in found if quota is not None]


def _read_v2(directory: Path) -> float | None:
    try:
        quota, period = (directory / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _read_v1(directory: Path) -> float | None:
    try:
        quota = int((directory / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period = int((directory / "cpu.cfs_period_us").read_text(encoding="ascii"))
        return quota / period if quota > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
