"""Plain calls of the numba backend go in one step, and come to what the whole way comes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastsoftmax as fsm

pytest.importorskip("numba")

from fastsoftmax._backends import jitted

Array = np.ndarray[Any, Any]

FUNCTIONS = {"softmax": fsm.softmax, "log_softmax": fsm.log_softmax}
SHAPES = ((1, 4), (32, 10), (17, 33), (3, 1000), (300, 2), (5, 1))


class Subclass(np.ndarray[Any, Any]):
    pass


def read_only(x: Array) -> Array:
    result = x.copy()
    result.flags.writeable = False
    return result


def one_byte_on(x: Array) -> Array:
    memory = np.zeros(x.nbytes + 1, np.uint8)
    result: Array = np.ndarray(x.shape, x.dtype, memory, 1)
    result[...] = x
    return result


INPUTS: dict[str, tuple[bool, Callable[[Array], Array]]] = {
    "C order": (True, lambda x: x),
    "read-only": (True, read_only),
    "Fortran order": (False, np.asfortranarray),
    "every second row": (False, lambda x: np.repeat(x, 2, axis=0)[::2]),
    "unaligned": (False, one_byte_on),
    "swapped": (False, lambda x: x.astype(x.dtype.newbyteorder())),
    "subclass": (False, lambda x: x.view(Subclass)),
    "three axes": (False, lambda x: x[None]),
    "one axis": (False, lambda x: x[0]),
}


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the short way led to a result, of each call that tried it."""
    results: list[bool] = []

    def watched(call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def watch(x: Any, out: Any) -> Any:
            result = call(x, out)
            results.append(result is not None)
            return result

        return watch

    ways = {name: watched(call) for name, call in jitted.PLAIN.items()}
    monkeypatch.setattr(jitted, "PLAIN", ways)
    return results


def the_whole_way(function: Callable[..., Array], x: Array) -> Array:
    """A mask that leaves nothing out makes a call that is not plain."""
    return function(x, where=np.True_, backend="numba")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_bits(name: str, kind: str, dtype: str, gone: list[bool]) -> None:
    is_plain, made = INPUTS[kind]
    rng = np.random.default_rng(1)
    for m, k in SHAPES:
        x = made(rng.normal(0, 3, (m, k)).astype(dtype))
        if kind == "every second row" and m == 1:
            continue
        # Some layouts of so few values are C order after all.
        expected = is_plain or (x.flags.c_contiguous and kind == "Fortran order")
        result = FUNCTIONS[name](x, backend="numba")
        assert gone.pop() == expected, (m, k)
        assert result.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(result, the_whole_way(FUNCTIONS[name], x), strict=False)
        assert gone == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_outputs(name: str, gone: list[bool]) -> None:
    function = FUNCTIONS[name]
    x = np.random.default_rng(2).normal(size=(20, 6)).astype(np.float32)
    want = the_whole_way(function, x)
    out = np.empty_like(x)
    assert function(x, out=out, backend="numba") is out
    np.testing.assert_array_equal(out, want)
    in_place = x.copy()
    assert function(in_place, out=in_place, backend="numba") is in_place
    np.testing.assert_array_equal(in_place, want)
    assert gone == [True, True]
    memory = np.empty(x.size + 3, np.float32)
    shifted, target = memory[:-3].reshape(x.shape), memory[3:].reshape(x.shape)
    shifted[...] = x
    function(shifted, out=target, backend="numba")
    np.testing.assert_array_equal(target, want)
    assert gone == [True, True, False]


@pytest.mark.parametrize(
    "out",
    [
        np.empty((20, 5), np.float32),
        np.empty((20, 6)),
        read_only(np.empty((20, 6), np.float32)),
        np.empty(120, np.float32),
        [0.0],
    ],
    ids=["shape", "dtype", "read-only", "axes", "list"],
)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_are_those_of_the_whole_way(name: str, out: Any, gone: list[bool]) -> None:
    x = np.zeros((20, 6), np.float32)
    messages = []
    for where in (None, np.True_):
        with pytest.raises((TypeError, ValueError)) as caught:
            FUNCTIONS[name](x, where=where, out=out, backend="numba")
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert not any(gone)


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_a_wrong_number_of_threads_is_found(threads: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        fsm.softmax(np.zeros((2, 3)), num_threads=threads, backend="numba")
