"""Labels that are no class, on every way to a kernel: an error in time, and nothing written.

Such labels were read and written with beyond the arrays elsewhere (microsoft/onnxruntime#27568,
pytorch/pytorch#194802). Which values and dtypes are out of range is in test_targets.py too, and
what kernels do with labels that nobody has checked in test_hostile_extension.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from .hostile import FUNCTIONS, SENTINEL
from .variants import Variant

Array = npt.NDArray[Any]

OF_LABELS = [name for name, function in FUNCTIONS.items() if (
    "targets" in function.arrays and function.arrays["targets"].dtype.kind == "i"
)]  # fmt: skip

VALUES = [
    (-1, np.int8), (3, np.int8), (127, np.int8), (-128, np.int8), (255, np.uint8),
    (-(2**15), np.int16), (2**16 - 1, np.uint16), (-(2**31), np.int32), (3, np.int32),
    (2**31 - 1, np.int32), (2**32 - 1, np.uint32), (3, np.int64), (-1, np.int64),
    (2**31, np.int64), (2**32 + 1, np.int64), (2**63 - 1, np.int64), (-(2**63), np.int64),
    (2**63, np.uint64), (2**63 + 1, np.uint64), (2**64 - 1, np.uint64),
]  # fmt: skip


def _strided(labels: Array) -> Array:
    return np.repeat(labels, 3)[::3]


def _unaligned(labels: Array) -> Array:
    memory = np.zeros(labels.nbytes + 1, np.uint8)
    place = memory[1:].view(labels.dtype)
    place[...] = labels
    return place


LAYOUTS: dict[str, Callable[[Array], Any]] = {
    "in order": lambda labels: labels,
    "strided": _strided,
    "backwards": lambda labels: labels[::-1].copy()[::-1],
    "big-endian": lambda labels: labels.astype(labels.dtype.newbyteorder(">")),
    "unaligned": _unaligned,
    "list": lambda labels: labels.tolist(),
    "memory": memoryview,
}


@pytest.mark.parametrize("name", OF_LABELS)
def test_an_error_in_time(any_backend: Variant, name: str) -> None:
    """It is a bad value and, as other libraries see it, a bad index; outputs are as they were."""
    function = FUNCTIONS[name]
    options: list[dict[str, Any]] = [{}]
    if "grad_hess" not in name:
        options += [{"ignore_index": 1}, {"ignore_index": -7, "label_smoothing": 0.1}]
    for value, dtype in VALUES:
        for layout, arrange in LAYOUTS.items():
            for given in options:
                for place in (0, 3):
                    labels = np.array([0, 1, 2, 0], dtype)
                    labels[place] = value
                    outs = function.outputs()
                    what = rf"targets\[{place}\] = {value} is out of range for 3 classes"
                    with pytest.raises(IndexError, match=what) as error:
                        function(
                            {"targets": arrange(labels)}, outs, backend=any_backend.name, **given
                        )
                    assert isinstance(error.value, ValueError)
                    assert all((out == SENTINEL).all() for out in outs), (value, layout)


@pytest.mark.parametrize("name", [n for n in OF_LABELS if "grad_hess" not in n])
def test_labels_that_are_ignored_wherever_they_lie(any_backend: Variant, name: str) -> None:
    """A label to ignore may be any number, and no weight is looked up for it."""
    function = FUNCTIONS[name]
    expected = None
    for value, dtype in VALUES:
        labels = np.array([0, value, 2, 0], dtype)
        outs = function.outputs()
        result = function({"targets": labels}, outs, backend=any_backend.name, ignore_index=value)
        parts = [np.asarray(each) for each in (result if isinstance(result, tuple) else (result,))
                 if not isinstance(each, tuple)]  # fmt: skip
        bits = [part.tobytes() for part in parts]
        expected = expected or bits
        assert bits == expected, value
