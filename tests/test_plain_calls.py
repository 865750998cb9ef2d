"""Plain calls take a shorter way: the same results, types, outputs and errors as the full one.

A call is made twice, the second time with the short way closed. Whatever a caller can tell apart
must be the same: the bits, the types, which object came back, the error, what became of the
arguments.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm
from fastsoftmax._backends import plain

from .interpreter import blocks_off
from .layouts import array
from .subprocesses import run_python
from .variants import INSTALLED, VARIANTS, Variant

Array = npt.NDArray[Any]

COMPILED = [variant for variant in VARIANTS if variant.name == "c" and not variant.missing]
OTHERS = [name for name in INSTALLED if name != "c"]

pytestmark = pytest.mark.skipif(not COMPILED, reason="the extension is not built")
on_every_instruction_set = pytest.mark.parametrize(
    "backend", COMPILED, indirect=True, ids=lambda variant: variant.id
)

OF_LOGITS = ("softmax", "log_softmax", "logsumexp")
BACKWARD = ("softmax_backward", "log_softmax_backward")
OF_TARGETS = (
    "cross_entropy",
    "cross_entropy_grad",
    "cross_entropy_mean_grad",
    "cross_entropy_value_and_grad",
    "cross_entropy_value_and_mean_grad",
)
FUNCTIONS = (*OF_LOGITS, *BACKWARD, *OF_TARGETS)
LARGE = (300, 260)
"""More elements than what is done without threads, or with the GIL held."""


@dataclass
class Ways:
    """Both ways of every function, and which was gone last."""

    is_open: bool = True
    short: bool = False
    originals: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def call(self, name: str, *arguments: object) -> Any:
        result = self.originals[name](*arguments) if self.is_open else None
        self.short = result is not None
        return result


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    # There is no short way before the backend is loaded and the defaults are found.
    fsm.softmax([1.0], backend="c")
    fsm.softmax([1.0])
    ways = Ways()
    for name in FUNCTIONS:
        ways.originals[name] = getattr(plain, name)
        monkeypatch.setattr(plain, name, lambda *a, name=name: ways.call(name, *a))
    return ways


class Subclass(np.ndarray):
    pass


def moved(x: Array, offset: int) -> Array:
    """The same values at an address that is `offset` bytes beyond an aligned one."""
    memory = np.zeros(x.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 32 + offset
    result = np.ndarray(x.shape, x.dtype, memory, start)
    result[...] = x
    return result


def read_only(x: Array) -> Array:
    result = x.copy()
    result.flags.writeable = False
    return result


def spaced(x: Array) -> Array:
    result = np.zeros((*x.shape, 2), x.dtype)[..., 0]
    result[...] = x
    return result


def swapped(x: Array) -> Array:
    return x.astype(x.dtype.newbyteorder())


def with_values(x: Array, *values: float) -> Array:
    result = x.copy()
    result.flat[: len(values)] = values
    return result


def plain_logits(dtype: str) -> dict[str, Array]:
    x = array((6, 7), dtype)
    return {
        "plain": x,
        "(1, 4)": array((1, 4), dtype),
        "(32, 10)": array((32, 10), dtype),
        "1-d": array((7,), dtype),
        "3-d": array((2, 3, 7), dtype),
        "4-d": array((2, 1, 3, 5), dtype),
        "one class": array((6, 1), dtype),
        "one class, one sample": array((1, 1), dtype),
        "many classes": array((3, 400), dtype),
        "large": array(LARGE, dtype),
        "read-only": read_only(x),
        "view": array((9, 7), dtype)[2:8],
        "aligned just so": moved(x, x.itemsize),
        "huge": with_values(x, 3e38, -3e38, 2e38, -3e38, 3e38),
        "inf": with_values(x, np.inf),
        "-inf": with_values(x, *[-np.inf] * 8),
        "nan": with_values(x, np.nan),
        "overflowing loss": np.tile(np.asarray([-3e38, 3e38], dtype), (5, 2)),
    }


def other_logits(dtype: str) -> dict[str, Any]:
    x = array((6, 7), dtype)
    return {
        "subclass": x.view(Subclass),
        "masked array": np.ma.masked_array(x),  # type: ignore[no-untyped-call]
        "masked entries": np.ma.masked_array(x, x > 0),  # type: ignore[no-untyped-call]
        "0-d": np.asarray(1, dtype),
        "scalar": np.dtype(dtype).type(1),
        "Fortran order": np.asfortranarray(x),
        "spaced": spaced(x),
        "reversed": x[::-1],
        "transposed": array((7, 6), dtype).T,
        "broadcast": np.broadcast_to(x[0], (6, 7)),
        "big-endian": swapped(x),
        "unaligned": moved(x, 1),
        "float16": x.astype(np.float16),
        "long double": x.astype(np.longdouble),
        "complex": x.astype(np.complex64),
        "integers": np.arange(42).reshape(6, 7),
        "bools": x > 0,
        "objects": x.astype(object),
        "list": x.tolist(),
        "no samples": np.zeros((0, 7), dtype),
        "no classes": np.zeros((6, 0), dtype),
        "None": None,
    }


def outs(shape: tuple[int, ...], dtype: str, x: Any) -> dict[str, Any]:
    """What could be passed as out, and whether that is plain where its shape and dtype are."""
    out = np.full(shape, 5, dtype)
    backing = np.zeros(2 * out.size + 8, dtype)
    result = {
        "new": None,
        "plain": out.copy(),
        "view": backing[3 : 3 + out.size].reshape(shape),
        "float16": out.astype(np.float16),
        "the other dtype": out.astype("float64" if dtype == "float32" else "float32"),
        "big-endian": swapped(out),
        "unaligned": moved(out, 1),
        "read-only": read_only(out),
        "spaced": spaced(out),
        "subclass": out.view(Subclass),
        "one axis more": out[None].copy(),
        "too large": np.zeros((*shape, 2), dtype),
        "sharing its elements": np.lib.stride_tricks.as_strided(
            out.copy(), shape, (0,) * len(shape)
        ),
        "list": out.tolist(),
    }
    if isinstance(x, np.ndarray):
        result["the input"] = x
        result["a view of the input"] = x[...]
        for name, step in (("just after", x.nbytes), ("into the input", x.itemsize)):
            memory = np.zeros(x.nbytes + step + out.nbytes, np.uint8)
            first = memory[: x.nbytes].view(x.dtype).reshape(x.shape)
            first[...] = x
            result[name] = (first, memory[step : step + out.nbytes].view(dtype).reshape(shape))
    return result


def integer_labels(shape: tuple[int, ...], num_classes: int) -> Array:
    return np.asarray(np.arange(int(np.prod(shape))).reshape(shape) % num_classes)


def plain_labels(labels: Array) -> dict[str, Any]:
    return {
        "int64": labels.astype(np.int64),
        "int32": labels.astype(np.int32),
        "long long": labels.astype(np.longlong),
        "read-only": read_only(labels),
    }


def other_labels(labels: Array, x: Array) -> dict[str, Any]:
    classes = x.shape[-1]
    changed = {}
    for name, label in (
        ("too large", classes),
        ("negative", -1),
        ("smallest", -(2**63)),
        ("largest", 2**63 - 1),
        ("not 32 bits", 2**32),
    ):
        changed[name] = labels.astype(np.int64)
        changed[name].flat[-1] = label
    return changed | {
        "too large, int32": changed["too large"].astype(np.int32),
        "int8": labels.astype(np.int8),
        "int16": labels.astype(np.int16),
        "uint8": labels.astype(np.uint8),
        "uint32": labels.astype(np.uint32),
        "uint64": labels.astype(np.uint64),
        "bool": labels > 0,
        "float": labels.astype(float),
        "objects": labels.astype(object),
        "durations": labels.astype("m8[s]"),
        "list": labels.tolist(),
        "subclass": labels.view(Subclass),
        "big-endian": swapped(labels),
        "unaligned": moved(labels, 1),
        "spaced": spaced(labels),
        "one axis more": labels[..., None].copy(),
        "one short": labels[:-1].copy() if labels.ndim else labels,
        "probabilities": np.full_like(x, 0.25),
        "None": None,
    }


@dataclass
class Outcome:
    """What a caller can tell about a call."""

    short: bool
    told: Any


def describe(result: Any, arguments: dict[str, Any]) -> Any:
    if isinstance(result, tuple):
        return "tuple", tuple(describe(entry, arguments) for entry in result)
    which = [name for name, argument in arguments.items() if argument is result]
    if isinstance(result, np.ndarray):
        layout = (result.strides, result.flags.owndata, result.flags.writeable)
        return type(result), which, result.dtype, result.shape, layout, result.tobytes()
    return type(result), np.asarray(result).tobytes()


def copied(arguments: dict[str, Any]) -> dict[str, Any]:
    """Copies that keep everything: dtype, alignment, strides, and what shares memory with what."""
    memory: dict[int, Array] = {}
    result = {}
    for name, value in arguments.items():
        if not isinstance(value, np.ndarray) or value.dtype == object:
            result[name] = value
            continue
        base: Any = value
        while isinstance(base.base, np.ndarray):
            base = base.base
        copy = memory.setdefault(id(base), base.copy(order="K"))
        offset = value.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        if not offset and value.strides == copy.strides and value.shape == copy.shape:
            twin = copy.view(type(value)) if type(copy) is not type(value) else copy
        else:
            twin = np.ndarray(value.shape, value.dtype, copy, offset, value.strides)
            twin = twin.view(type(value))
        twin.flags.writeable = value.flags.writeable
        result[name] = twin
    for name, other in itertools.combinations(arguments, 2):
        if arguments[name] is arguments[other]:
            result[other] = result[name]
    return result


def test_copies_are_true() -> None:
    """What the tests below rest on."""
    x = array((6, 7), "float32")
    whole = np.zeros((8, 7), np.float32)
    arguments: dict[str, Any] = {
        "unaligned": moved(x, 1),
        "first": whole[:6],
        "second": whole[1:7],
        "reversed": x[::-1],
        "subclass": x.view(Subclass),
        "read-only": read_only(x),
        "big-endian": swapped(x),
    }
    copies = copied(arguments)
    for name, value in arguments.items():
        copy = copies[name]
        assert type(copy) is type(value)
        assert copy.dtype == value.dtype
        assert copy.strides == value.strides
        assert (copy.flags.aligned, copy.flags.writeable) == (
            value.flags.aligned,
            value.flags.writeable,
        )
        assert not np.shares_memory(copy, value)
        np.testing.assert_array_equal(copy, value)
    assert np.shares_memory(copies["first"], copies["second"])


def outcome(ways: Ways, name: str, is_open: bool, arguments: dict[str, Any]) -> Outcome:
    arguments = copied(arguments)
    ways.is_open = is_open
    try:
        told = "result", describe(getattr(fsm, name)(**arguments), arguments)
    except Exception as error:
        told = "error", (type(error), str(error))  # type: ignore[assignment]
    after = {
        key: value.tobytes() if isinstance(value, np.ndarray) and value.dtype != object else None
        for key, value in arguments.items()
    }
    return Outcome(ways.short, (told, after))


def check(ways: Ways, name: str, arguments: dict[str, Any], is_plain: bool | None) -> None:
    """Go both ways; `is_plain` says which is gone if both are open, None that either will do."""
    short, full = (outcome(ways, name, is_open, arguments) for is_open in (True, False))
    described = {k: v if np.isscalar(v) else type(v).__name__ for k, v in arguments.items()}
    assert not full.short
    assert short.told == full.told, (name, described)
    if is_plain is not None:
        assert short.short == is_plain, (name, described)


def shape_of_result(name: str, x: Array) -> tuple[int, ...]:
    if name == "logsumexp":
        return x.shape[:-1]
    return x.shape[-1:] if name.endswith("mean_grad") else x.shape


def first_arguments(name: str, x: Any) -> dict[str, Any]:
    """The arguments that a function needs, plain beside `x`."""
    if name in BACKWARD:
        return {"grad_output": x, "output": np.abs(x) / 8}
    if name in OF_TARGETS:
        return {"logits": x, "targets": integer_labels(x.shape[:-1], x.shape[-1])}
    return {"x": x}


every_function = pytest.mark.parametrize("name", FUNCTIONS)


@on_every_instruction_set
@every_function
def test_plain_arrays(backend: Variant, dtype: str, name: str, ways: Ways) -> None:
    with np.errstate(over="ignore"):
        logits = plain_logits(dtype)
    for x in logits.values():
        arguments = first_arguments(name, x)
        check(ways, name, arguments, True)
        if name != "cross_entropy":
            out = np.empty(shape_of_result(name, x), dtype)
            check(ways, name, arguments | {"out": out}, True)


@on_every_instruction_set
@every_function
def test_other_arrays(backend: Variant, dtype: str, name: str, ways: Ways) -> None:
    x = array((6, 7), dtype)
    first, *rest = arguments = first_arguments(name, x)
    out = np.empty(shape_of_result(name, x), dtype)
    for position, other in itertools.product((first, *rest), other_logits(dtype).values()):
        if name in OF_TARGETS and position != first:
            continue  # see test_labels
        changed = arguments | {position: other}
        check(ways, name, changed, False)
        if name != "cross_entropy":
            check(ways, name, changed | {"out": out}, False)


PLAIN_OUTS = ("new", "plain", "view", "just after")


@on_every_instruction_set
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "cross_entropy"])
@pytest.mark.parametrize("shape", [(6, 7), (1, 4), (7,), (2, 3, 4), (3, 1), (7, 7), LARGE])
def test_outs(backend: Variant, dtype: str, name: str, shape: tuple[int, ...], ways: Ways) -> None:
    x = array(shape, dtype)
    arguments = first_arguments(name, x)
    in_place = shape_of_result(name, x) == shape and not name.endswith("mean_grad")
    for position, given in arguments.items():
        if given.dtype != dtype:
            continue
        for kind, out in outs(shape_of_result(name, x), dtype, given).items():
            changed = arguments | {"out": out}
            if isinstance(out, tuple):
                changed |= dict(zip((position, "out"), out, strict=True))
            expected: bool | None = kind in PLAIN_OUTS
            if kind == "spaced" and out.size == 1:
                expected = None  # there is nothing to space out
            if kind.endswith("the input"):
                expected = in_place if kind != "into the input" else None
            elif kind == "sharing its elements":
                expected = None  # of one element alone there is nothing to share
            check(ways, name, changed, expected)


@on_every_instruction_set
@pytest.mark.parametrize("name", OF_TARGETS)
@pytest.mark.parametrize("shape", [(6, 7), (1, 4), (7,), (2, 3, 4), (3, 1), LARGE])
def test_labels(
    backend: Variant, dtype: str, name: str, shape: tuple[int, ...], ways: Ways
) -> None:
    x = array(shape, dtype)
    labels = integer_labels(shape[:-1], shape[-1])
    for targets in plain_labels(labels).values():
        check(ways, name, {"logits": x, "targets": targets}, True)
    for kind, targets in other_labels(labels, x).items():
        # Some are no different where there is but one sample.
        alike = ("spaced", "one short", "bool") if not labels.ndim else ("spaced",)
        expected = None if labels.size == 1 and kind in alike else False
        check(ways, name, {"logits": x, "targets": targets}, expected)
        if name != "cross_entropy":
            out = np.full(shape_of_result(name, x), 5, dtype)
            check(ways, name, {"logits": x, "targets": targets, "out": out}, expected)


@on_every_instruction_set
@pytest.mark.parametrize("name", ["cross_entropy_grad", "cross_entropy_value_and_grad"])
def test_labels_in_the_memory_of_out(backend: Variant, dtype: str, name: str, ways: Ways) -> None:
    x = array((6, 7), dtype)
    out = np.zeros((6, 7), dtype)
    labels = out.reshape(-1)[: 6 * 8 // out.itemsize].view(np.int64)
    labels[...] = np.arange(6)
    check(ways, name, {"logits": x, "targets": labels, "out": out}, False)


EVERY_OPTION: list[tuple[str, Any, bool]] = [
    ("axis", -1, True),
    ("axis", 1, True),
    ("axis", 0, False),
    ("axis", -2, False),
    ("axis", 2, False),
    ("axis", 10**30, False),
    ("axis", np.int64(1), False),
    ("axis", True, False),
    ("axis", 1.0, False),
    ("axis", None, False),
    ("backend", "c", True),
    ("backend", "".join(["c"]), True),
    ("backend", "numpy", False),
    ("backend", "C", False),
    ("backend", "", False),
    ("backend", b"c", False),
    ("backend", 3, False),
    ("num_threads", 1, True),
    ("num_threads", 2, True),
    ("num_threads", 1024, True),
    ("num_threads", 1025, False),
    ("num_threads", 10**30, False),
    ("num_threads", 0, False),
    ("num_threads", -1, False),
    ("num_threads", -(10**30), False),
    ("num_threads", np.int32(1), False),
    ("num_threads", True, False),
    ("num_threads", "1", False),
    ("out", "new", False),
]
OPTIONS_OF_LOGITS: list[tuple[str, Any, bool]] = [
    ("where", True, False),
    ("where", np.ones((7, 7), bool), False),
    ("where", 1, False),
]
OPTIONS_OF_LOGSUMEXP: list[tuple[str, Any, bool]] = [
    ("keepdims", False, True),
    ("keepdims", True, False),
    ("keepdims", 0, False),
    ("keepdims", None, False),
]
OPTIONS_OF_TARGETS: list[tuple[str, Any, bool]] = [
    ("weight", np.ones(7), False),
    ("weight", np.ones(3), False),
    ("sample_weight", np.ones(7), False),
    ("ignore_index", 3, True),
    ("ignore_index", -100, True),
    ("ignore_index", "3", False),
    ("ignore_index", np.int64(3), False),
    ("ignore_index", True, False),
    ("ignore_index", -(2**63), True),
    ("ignore_index", 2**63, False),
    ("label_smoothing", 0.0, True),
    ("label_smoothing", -0.0, True),
    ("label_smoothing", 0, False),
    ("label_smoothing", np.float64(0), False),
    ("label_smoothing", 0.1, True),
    ("label_smoothing", 1.0, True),
    ("label_smoothing", -0.1, False),
    ("label_smoothing", 2.0, False),
    ("label_smoothing", np.nan, False),
    ("label_smoothing", None, False),
    ("reduction", "mean", True),
    ("reduction", "".join(["me", "an"]), True),
    ("reduction", "sum", True),
    ("reduction", "none", False),
    ("reduction", "meant", False),
    ("reduction", None, False),
]


def options_of(name: str) -> list[tuple[str, Any, bool]]:
    if name in BACKWARD:
        return EVERY_OPTION
    if name in OF_TARGETS:
        return EVERY_OPTION + OPTIONS_OF_TARGETS
    return EVERY_OPTION + OPTIONS_OF_LOGITS + (OPTIONS_OF_LOGSUMEXP if name == "logsumexp" else [])


@on_every_instruction_set
@every_function
def test_options(backend: Variant, dtype: str, name: str, ways: Ways) -> None:
    arguments = first_arguments(name, array((7, 7), dtype))
    for option, value, expected in options_of(name):
        if name != "cross_entropy" or option != "out":
            check(ways, name, arguments | {option: value}, expected)


@pytest.mark.parametrize("name", BACKWARD)
def test_different_arrays_of_a_pair(name: str, ways: Ways) -> None:
    x = array((6, 7), "float32")
    for other in (x.astype(np.float64), x[:5].copy(), x[0].copy(), x[:, :6].copy(), x[None]):
        check(ways, name, {"grad_output": x, "output": other}, False)
        check(ways, name, {"grad_output": other, "output": x}, False)
    check(ways, name, {"grad_output": x, "output": x, "out": x}, True)


class TestChoice:
    """The short way is only gone where the backend ``c`` is what would be chosen."""

    @pytest.fixture(autouse=True)
    def defaults(self) -> Iterator[None]:
        fsm.set_backend(None)
        fsm.set_num_threads(None)
        yield
        fsm.set_backend(None)
        fsm.set_num_threads(None)

    @staticmethod
    def goes_short(ways: Ways, name: str, **options: Any) -> bool:
        arguments = first_arguments(name, array((6, 7), "float32"))
        for _ in range(2):  # the first may be the one that finds a default
            getattr(fsm, name)(**arguments, **options)
        return ways.short

    @every_function
    @pytest.mark.parametrize("other", OTHERS)
    def test_backend(self, name: str, other: str, ways: Ways) -> None:
        assert self.goes_short(ways, name)
        with fsm.use_backend(other):
            assert not self.goes_short(ways, name)
            assert self.goes_short(ways, name, backend="c")
            with fsm.use_backend("c"):
                assert self.goes_short(ways, name)
            assert not self.goes_short(ways, name)
        assert self.goes_short(ways, name)
        fsm.set_backend(other)
        assert not self.goes_short(ways, name)
        with fsm.use_backend("c"):
            assert self.goes_short(ways, name)
        assert not self.goes_short(ways, name)
        fsm.set_backend("c")
        assert self.goes_short(ways, name)
        assert not self.goes_short(ways, name, backend=other)
        fsm.set_backend(None)
        assert self.goes_short(ways, name)

    @every_function
    def test_number_of_threads(self, name: str, ways: Ways) -> None:
        with fsm.use_num_threads(2):
            assert self.goes_short(ways, name)
        fsm.set_num_threads(3)
        assert self.goes_short(ways, name)
        fsm.set_num_threads(5000)  # is cut down on the full way
        assert not self.goes_short(ways, name)
        with fsm.use_num_threads(1):
            assert self.goes_short(ways, name)

    @pytest.mark.parametrize("other", OTHERS)
    def test_environment(self, other: str) -> None:
        script = """
            import numpy as np, fastsoftmax as f
            from fastsoftmax._backends import plain
            x = np.zeros((2, 3))
            f.softmax(x, backend="c")
            ask = lambda: plain.softmax(x, -1, None, None, None, None, f._control.SETTINGS)
            print(ask()); f.softmax(x); print(ask())
        """
        done = run_python(script, environment={"FASTSOFTMAX_BACKEND": other})
        assert done.stdout.split() == ["None", "None"]

    def test_environment_is_looked_at_before(self) -> None:
        script = """
            import numpy as np, fastsoftmax as f
            x = np.zeros((2, 3))
            f.softmax(x, num_threads=1)
            for _ in range(2):
                try: f.softmax(x)
                except ValueError as error: print(error)
        """
        done = run_python(script, environment={"FASTSOFTMAX_NUM_THREADS": "none"})
        lines = done.stdout.splitlines()
        assert len(lines) == 2
        assert all("FASTSOFTMAX_NUM_THREADS=none in the environment" in line for line in lines)

    @pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
    def test_threads_that_are_started(self) -> None:
        script = """
            import os, numpy as np, fastsoftmax as f
            x = np.zeros((2000, 200), np.float32)
            def threads(): return len(os.listdir("/proc/self/task"))
            f.softmax([1.0])
            alone = threads()
            f.softmax(x, num_threads=1); print(threads() - alone)
            with f.use_num_threads(1): f.softmax(x)
            print(threads() - alone)
            with f.use_num_threads(3): f.softmax(x)
            print(threads() - alone)
        """
        done = run_python(script, environment={"OPENBLAS_NUM_THREADS": "1"})
        assert done.stdout.split() == ["0", "0", "2"]


@every_function
@pytest.mark.parametrize("way", ["short", "full", "error"])
@pytest.mark.parametrize("reuse", [False, True])
def test_nothing_is_kept_and_nothing_lost(
    dtype: str, name: str, way: str, reuse: bool, ways: Ways
) -> None:
    """Neither references nor memory."""
    x = array((6, 7), dtype)
    arguments = first_arguments(name, x)
    if reuse and name != "cross_entropy":
        arguments["out"] = np.empty(shape_of_result(name, x), dtype)
    if way == "full":
        arguments["axis"] = np.int64(1)
    elif way == "error":
        bad = np.full(6, 7) if name in OF_TARGETS else x.astype(complex)
        arguments[list(arguments)[0 if name in OF_LOGITS else 1]] = bad
    function = getattr(fsm, name)

    def work() -> None:
        for _ in range(500):
            try:
                function(**arguments)
            except (TypeError, ValueError):
                assert way == "error"
            else:
                assert way != "error"

    process = fsm._control._process
    watched = [*arguments.values(), "c", "mean", None, fsm._control.SETTINGS, process]
    watched += [*process.values(), np.dtype(dtype).type]
    if way == "short":
        watched.append(np.dtype(dtype))  # NumPy's own zeros() and empty() keep a reference to it
    work()
    gc.collect()
    before = [sys.getrefcount(thing) for thing in watched]
    blocks = sys.getallocatedblocks()
    work()
    gc.collect()
    assert blocks_off(blocks) < 100
    assert max(abs(sys.getrefcount(t) - b) for t, b in zip(watched, before, strict=True)) < 50
    assert ways.short == (way == "short")


def test_wrong_number_of_arguments() -> None:
    """The extension's own functions do not trust the package."""
    extension = importlib.import_module("fastsoftmax._c")
    for name in FUNCTIONS:
        function = getattr(extension, f"plain_{name}")
        with pytest.raises(TypeError, match=r"takes \d+ arguments, got 1"):
            function(np.zeros(3))
    x = np.zeros((2, 3))
    for settings in (None, (), (None, None), ((), ()), (("backend", 1, {}),) * 2, 7):
        assert extension.plain_softmax(x, -1, None, None, None, None, settings) is None
