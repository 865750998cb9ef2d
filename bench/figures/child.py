"""The process that measures on one number of threads: requests come in, records go out, as JSON.

JAX and others take the number of their threads from the CPUs that a process may use when they
start, so those are settled before anything else is imported.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

__all__ = ["main"]


def main() -> None:
    """Carry out the request on standard input; answer with a JSON object a line."""
    request = json.load(sys.stdin)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, request["cpus"])
    # What the peers print is not to get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _measure(request, answers)


def _measure(request: dict[str, Any], answers: TextIO) -> None:
    from .lines import LINES
    from .machine import SHARES
    from .measuring import Effort, Noise, measure_line

    def answer(kind: str, content: Any) -> None:
        print(json.dumps({kind: content}), file=answers, flush=True)

    noise = Noise(request["threads"])
    noise.listen()
    for number in request["lines"]:
        for record in measure_line(
            LINES[number],
            request["dtypes"],
            request["threads"],
            request["ours"],
            Effort(**request["effort"]),
        ):
            answer("record", record.to_json())
            noise.listen()
    answer("noise", {**noise.times, SHARES: noise.shares})


if __name__ == "__main__":
    main()
