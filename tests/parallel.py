"""Which tests are not for several threads at once, as ``pytest --parallel-threads=4`` runs them.

Those are marked that do what the whole process, or the whole machine, would see: themselves, in
functions of their module, or in fixtures made for them alone. What only looks so is not marked by
hand either: a test for several threads is worth the trouble to write it for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest

__all__ = ["mark_unsafe"]

_PROCESSES = "starts processes, which share nothing with other threads' ones but the machine"
_MEMORY = "measures the memory of the process"
_PRECISION = "sets mpmath's precision, which is the process's; the oracle takes turns"
_TRACING = "has PyTorch trace a function, for which it patches its own modules"
_BLAS = "compares BLAS's number of threads, a setting of the process, before and after"

REASONS = {
    "run_python": _PROCESSES,
    "subprocess": _PROCESSES,
    "multiprocessing": _PROCESSES,
    "LocalCluster": _PROCESSES,
    "opcheck": _TRACING,
    "compile": _TRACING,
    "fork": "forks, which is to be done by a thread whose test does not expect others",
    "set_backend": "sets the backend of the process",
    "set_num_threads": "sets the number of threads of the process",
    "use_instruction_set": "sets the instruction set of the process",
    "tracemalloc": _MEMORY,
    "getrusage": _MEMORY,
    "workprec": _PRECISION,
    "workdps": _PRECISION,
    "threadpool_info": _BLAS,
    "setswitchinterval": "measures when the interpreter switches between threads",
    "sched_setaffinity": "moves the process to other CPUs",
    "DocTestRunner": "runs examples, whose output is that of the process",
    "redirect_stdout": "takes the output of the process",
    "filterwarnings": "sets what the process does with warnings",
    "simplefilter": "sets what the process does with warnings",
}


def mark_unsafe(items: list[pytest.Item]) -> None:
    """Mark the tests that must have the process to themselves, each with its reason."""
    for item in items:
        reason = next(filter(None, map(REASONS.get, _names_in(item))), None)
        if reason is not None:
            item.add_marker(pytest.mark.thread_unsafe(reason=reason))


def _names_in(item: pytest.Item) -> Iterator[str]:
    """All names that a test may use on its way."""
    function = getattr(item, "function", None)
    fixtures: dict[str, Any] = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    made = [f.func for fs in fixtures.values() for f in fs if f.scope == "function"]
    pending: list[Callable[..., Any]] = [function, *made] if function else []
    seen = set()
    while pending:
        each = pending.pop()
        each = getattr(each, "__wrapped__", each)
        each = getattr(getattr(each, "hypothesis", None), "inner_test", each)
        each = getattr(each, "__func__", each)
        if each in seen or not isinstance(each, FunctionType):
            continue
        seen.add(each)
        for name in _names_of(each.__code__):
            yield name
            other = each.__globals__.get(name)
            if isinstance(other, FunctionType) and other.__module__.startswith("tests."):
                pending.append(other)


def _names_of(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_of(constant)
