"""What the figures were measured on, and with what."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import fastsoftmax
from bench.cases import all_threads
from bench.peers import PEERS
from fastsoftmax._cli.timing import Spread, ratio

__all__ = ["SHARES", "describe", "noise_text", "text"]

#: The name, among the series of the noise, of the least share of a CPU that a thread had.
SHARES = "shares"
_MOST = 0.95


def describe() -> dict[str, Any]:
    """Return the CPU, the system and the versions of all that takes part."""
    config = fastsoftmax.show_config(mode="dicts")
    peers = {peer.package: peer for peer in PEERS.values()}
    return {
        "cpu": config["machine"]["CPU"],
        "cpus": all_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "instruction set": config["instruction sets"].get("in use", "none"),
        "versions": {
            package: peer.version() for package, peer in peers.items() if peer.missing() is None
        },
        "missing": [name for name, peer in PEERS.items() if peer.missing() is not None],
    }


def text(machine: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return two sentences on the machine and the settings."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    absent = ", ".join(machine["missing"])
    effort = settings["effort"]
    quick = " Fewer samples than the table's: only to try the command." * bool(effort["quick"])
    return (
        f"{machine['cpu']}, {machine['cpus']} usable CPUs, {machine['system']}, instruction set "
        f"{machine['instruction set']}; Python {machine['python']}, {versions}"
        f"{f' (not installed: {absent})' * bool(absent)}; backend {settings['ours']}. "
        f"At most {effort['rounds']} rounds or about {effort['seconds']:g} s a case, "
        f"at least 3 rounds.{quick}"
    )


def noise_text(noise: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return a sentence a process on how much the same measurements differed over the run."""
    return " ".join(_noise_of(int(threads), series) for threads, series in noise.items())


def _noise_of(threads: int, series: Mapping[str, Sequence[float]]) -> str:
    parts, count = [], 0
    for name, times in series.items():
        if name == SHARES:
            continue
        values, count = np.array(times), len(times)
        slowest = 100 * (values.max() / np.median(values) - 1)
        parts.append(f"`{name}` ±{Spread.of(values).percent:.1f}%, at worst +{slowest:.0f}%")
    sentence = (
        f"Noise of the machine on {threads} thread{'s' * (threads > 1)}, from {count} repeats of "
        f"the same measurement over the run: {'; '.join(parts)}."
    )
    if "exp, split" in series:
        gain = ratio(np.array(series["exp"]), np.array(series["exp, split"]))
        sentence += f" All threads together were {gain.median:.2f} times as fast as one."
    if SHARES in series:
        share = float(np.median(series[SHARES]))
        sentence += f" A thread at work had its CPU for {100 * share:.0f}% of the time."
        if share < _MOST:
            sentence += " **Other processes had the rest: these figures do not count.**"
    return sentence
