"""The table: what is compared with what, and how far we want to get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.cases import Grid
from fastsoftmax._cli.problems import OPERATIONS

from . import calls
from .judging import OURS, Comparison, Record, Target, Verdict
from .memory import COPIES, READS

__all__ = ["LINES", "Line", "verdicts"]


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes
    ----------
    number : int
        What the command line calls it.
    key : str
        What the place of its table in a document is called.
    title : str
        What is compared, with the target.
    grid : Grid
        Its cases; ``threads`` holds 1, "all" or both.
    calls : callable
        Who is called in a case.
    comparisons : callable
        From shape and number of threads to what is compared of the times of the calls.
    """

    number: int
    key: str
    title: str
    grid: Grid
    calls: calls.Calls
    comparisons: Callable[[tuple[int, int], int], tuple[Comparison, ...]]


def verdicts(record: Record) -> list[Verdict]:
    """Return what a record says; comparisons that lack either side are left out."""
    found = [Verdict(record, c) for c in _comparisons(record)]
    return [v for v in found if v.comparison.ours in record.times and v.fastest is not None]


def _comparisons(record: Record) -> tuple[Comparison, ...]:
    return LINES[record.line].comparisons(record.shape, record.threads)


def _always(*comparisons: Comparison) -> Callable[[tuple[int, int], int], tuple[Comparison, ...]]:
    return lambda shape, threads: comparisons


def _faster(bound: float, *names: str) -> Comparison:
    return Comparison(OURS, names, Target("faster", bound))


def _within(bound: float | None, *names: str, ours: str = OURS) -> Comparison:
    return Comparison(ours, names, Target("within", bound))


def _by_threads(
    one: float, several: float, names: tuple[str, ...]
) -> Callable[[tuple[int, int], int], tuple[Comparison, ...]]:
    """Return what compares with the fastest of the names, closer on one thread or on several."""
    return lambda shape, threads: (_within(one if threads == 1 else several, *names),)


def _scaling(shape: tuple[int, int], threads: int) -> tuple[Comparison, ...]:
    """Return what compares threads with one: from 256 × 1000 on they should pay."""
    samples, classes = shape
    large = samples * classes >= 256_000
    # On tiny arrays one thread works in both cases, and noise alone decides.
    target = Target("faster", 0.9 * threads if large else 0.95)
    return (Comparison(OURS, (calls.ONE_THREAD,), target, (*COPIES, *READS) if large else ()),)


_PROBABILITIES = ("numpy", "scipy", "torch", "jax", "onnxruntime")
_LOSSES = ("torch", "torch-autograd", "jax", "sklearn")
_LARGE = (4096, 4096)
_MANY = (1_000_000, 10)
_FEW_CLASSES = tuple((1_000_000, k) for k in (2, 3, 4, 5, 8, 10, 16, 32))

_ALL = (
    Line(
        1,
        "probabilities",
        "At least 1.5 times as fast as the fastest of NumPy, SciPy, PyTorch, JAX and ONNX Runtime.",
        Grid(
            ("softmax", "log_softmax"),
            ((256, 1000), (100_000, 100), _LARGE, (64, 32_000), (8, 128_256)),
        ),
        calls.against_peers(*_PROBABILITIES),
        _always(_faster(1.5, *_PROBABILITIES)),
    ),
    Line(
        2,
        "few-classes",
        "Few classes: at least 3 times as fast as the fastest of NumPy, SciPy, PyTorch, JAX and "
        "ONNX Runtime.",
        Grid(
            ("softmax", "log_softmax"),
            _FEW_CLASSES,
        ),
        calls.against_peers(*_PROBABILITIES),
        _always(_faster(3, *_PROBABILITIES)),
    ),
    Line(
        3,
        "copy",
        "softmax beside `np.copyto` of the same array (by a Python thread each on all threads, if "
        "that is faster): at most 1.5 times its time on one thread, 1.25 on all.",
        Grid(("softmax",), (_LARGE,), ("float32",)),
        calls.against_copies,
        _by_threads(1.5, 1.25, COPIES),
    ),
    Line(
        4,
        "loss-gradient",
        "Loss and gradient: at least 3 times as fast as the fastest of PyTorch (twice), JAX and "
        "scikit-learn.",
        Grid(("value_and_grad",)),
        calls.against_peers(*_LOSSES),
        _always(_faster(3, *_LOSSES)),
    ),
    Line(
        5,
        "mean-gradient",
        "Loss and mean gradient: at least 4 times as fast as the fastest of PyTorch (twice) and "
        "JAX; scikit-learn has no such function.",
        Grid(("value_and_mean_grad",)),
        calls.against_peers(*_LOSSES),
        _always(_faster(4, *_LOSSES)),
    ),
    Line(
        6,
        "read",
        "Loss and mean gradient beside one read of the array (`np.dot` with itself or `np.max`, "
        "by a Python thread each on all threads, whichever is fastest): at most twice its time "
        "on one thread, 1.4 times on all.",
        Grid(("value_and_mean_grad",), (_LARGE,), ("float32",)),
        calls.against_reads,
        _by_threads(2, 1.4, READS),
    ),
    Line(
        7,
        "gradient-hessian",
        "Gradient and Hessian: at least 20 times as fast as NumPy at its best, 4 times as fast as "
        "scikit-learn; for comparison the formula in NumPy as in a textbook.",
        Grid(("grad_hess",), (_MANY,)),
        calls.with_textbook,
        _always(
            _faster(20, "numpy"),
            _faster(4, "sklearn"),
            Comparison(OURS, (calls.TEXTBOOK,), Target("faster")),
        ),
    ),
    Line(
        8,
        "small-softmax",
        "Small softmax: at most 0.6 times the time of PyTorch.",
        Grid(("softmax",), ((1, 4), (32, 10)), threads=(1,)),
        calls.against_peers("torch"),
        _always(_within(0.6, "torch")),
    ),
    Line(
        9,
        "small-loss",
        "Small loss and gradient: at most 0.4 times the time of scikit-learn.",
        Grid(("value_and_grad",), ((1, 4), (32, 10)), threads=(1,)),
        calls.against_peers("sklearn"),
        _always(_within(0.4, "sklearn")),
    ),
    Line(
        10,
        "layouts",
        "Classes on the first axis of a C array, and on the last of a Fortran array: at most 1.3 "
        "times the time of contiguous rows.",
        Grid(("softmax", "value_and_grad"), (_LARGE, _MANY)),
        calls.layouts,
        _always(*(_within(1.3, OURS, ours=name) for name in calls.LAYOUTS)),
    ),
    Line(
        11,
        "half",
        "float16 and bfloat16: at most 1.1 times the time of float32.",
        Grid(("softmax", "value_and_grad"), (_LARGE,), ("float32",)),
        calls.halves,
        _always(*(_within(1.1, OURS, ours=name) for name in calls.HALVES)),
    ),
    Line(
        12,
        "threads",
        "All threads against one: at least 0.9 times as fast as their number from 256 × 1000 on, "
        "unless memory is the limit (within 1.4 times the time of moving the arrays on as many "
        "threads); never slower, which for smaller arrays allows 5% of noise.",
        Grid(OPERATIONS, threads=("all",)),
        calls.thread_counts,
        _scaling,
    ),
    Line(
        13,
        "options",
        "Loss and gradient with an option: at most 1.3 times the time without.",
        Grid(("value_and_grad",), ((256, 1000), _MANY, _LARGE)),
        calls.options,
        _always(*(_within(1.3, OURS, ours=name) for name in calls.OPTIONS)),
    ),
    Line(
        14,
        "fresh",
        "New outputs in each call, beside reused ones, and NumPy's `empty` and `copyto` on one "
        "thread: no target.",
        Grid(("softmax", "value_and_grad"), (_LARGE,)),
        calls.fresh_outputs,
        _always(_within(None, "reused"), _within(None, "empty and copyto")),
    ),
    Line(
        15,
        "numba",
        "The backend numba beside the backend c: at most 1.5 times its time.",
        Grid(
            OPERATIONS,
            ((256, 1000), *_FEW_CLASSES, (100_000, 100), _LARGE, (64, 32_000), (8, 128_256)),
        ),
        calls.jitted,
        _always(_within(1.5, "c", ours="numba")),
    ),
    Line(
        16,
        "numba-numpy",
        "The backend numba beside NumPy, which has one thread: at least 5 times as fast; and "
        "beside a plain loop that Numba compiles, on one thread: never slower.",
        Grid(("softmax", "value_and_grad"), ((256, 1000), _MANY)),
        calls.jitted_beside_numpy,
        _always(
            Comparison("numba", ("numpy",), Target("faster", 5)),
            Comparison("numba", (calls.LOOP,), Target("faster", 1)),
        ),
    ),
    Line(
        17,
        "numba-small",
        "The backend numba beside NumPy, a single small call: at least 3 times as fast.",
        Grid(("softmax",), ((1, 4),), threads=(1,)),
        calls.jitted_beside_numpy,
        _always(Comparison("numba", ("numpy",), Target("faster", 3))),
    ),
)

#: By number.
LINES = {line.number: line for line in _ALL}
