"""Every documented error, with its message, and that nothing has been written when it is raised."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from numpy.exceptions import AxisError

import fastsoftmax as fsm

from .variants import INSTALLED, Variant

F = np.arange(12, dtype=np.float32).reshape(4, 3) / 4
T = np.array([0, 1, 2, 0])
SENTINEL = -77.0
ALL_INSTALLED = pytest.mark.skip(reason="every backend is installed")
MISSING = [b for b in ("c", "numba") if b not in INSTALLED] or [
    pytest.param("", marks=ALL_INSTALLED)
]

Call = Callable[..., Any]

UNARY: dict[str, Call] = {
    "softmax": fsm.softmax,
    "log_softmax": fsm.log_softmax,
    "logsumexp": fsm.logsumexp,
}
BACKWARD: dict[str, Call] = {
    "softmax_backward": fsm.softmax_backward,
    "log_softmax_backward": fsm.log_softmax_backward,
}
LOSSES: dict[str, Call] = {
    "cross_entropy": fsm.cross_entropy,
    "cross_entropy_grad": fsm.cross_entropy_grad,
    "cross_entropy_mean_grad": fsm.cross_entropy_mean_grad,
    "cross_entropy_value_and_grad": fsm.cross_entropy_value_and_grad,
    "cross_entropy_value_and_mean_grad": fsm.cross_entropy_value_and_mean_grad,
}
GRADIENTS = ("cross_entropy_grad", "cross_entropy_value_and_grad")
MEAN_GRADIENTS = ("cross_entropy_mean_grad", "cross_entropy_value_and_mean_grad")
WITH_TARGETS = {**LOSSES, "cross_entropy_grad_hess": fsm.cross_entropy_grad_hess}
EVERY = {**UNARY, **BACKWARD, **WITH_TARGETS}


def second(name: str, x: Any) -> tuple[Any, ...]:
    """The other positional arguments to go with `x`."""
    if name in UNARY:
        return ()
    return (x,) if name in BACKWARD else (T,)


every_function = pytest.mark.parametrize("name", list(EVERY))
every_unary = pytest.mark.parametrize("name", list(UNARY))
every_backward = pytest.mark.parametrize("name", list(BACKWARD))
every_loss = pytest.mark.parametrize("name", list(LOSSES))
with_targets = pytest.mark.parametrize("name", list(WITH_TARGETS))


def literally(text: str) -> str:
    return re.escape(text)


class TestEveryFunction:
    @every_function
    @pytest.mark.parametrize("axis", [2, -3, 100, -100])
    def test_axis_out_of_range(self, backend: Variant, name: str, axis: int) -> None:
        message = literally(f"axis {axis} is out of bounds for array of dimension 2")
        with pytest.raises(AxisError, match=message):
            EVERY[name](F, *second(name, F), axis, backend=backend.name)

    @every_function
    @pytest.mark.parametrize("axis", [1.0, "1", None, (0, 1), True])
    def test_axis_that_is_no_integer(self, backend: Variant, name: str, axis: Any) -> None:
        with pytest.raises(TypeError, match=literally(f"axis must be an integer, not {axis!r}")):
            EVERY[name](F, *second(name, F), axis, backend=backend.name)

    @every_function
    @pytest.mark.parametrize("axis", [np.int8(1), np.int64(-1)])
    def test_axis_of_a_numpy_integer(self, backend: Variant, name: str, axis: Any) -> None:
        arguments = (F, *second(name, F))
        actual = EVERY[name](*arguments, axis=axis, backend=backend.name)
        expected = EVERY[name](*arguments, backend=backend.name)
        np.testing.assert_equal(actual, expected)

    @every_function
    def test_no_class_axis(self, backend: Variant, name: str) -> None:
        with pytest.raises(AxisError, match="axis -1 is out of bounds for array of dimension 0"):
            EVERY[name](2.0, *(() if name in UNARY else (2.0,)), backend=backend.name)

    @every_function
    @pytest.mark.parametrize("shape", [(4, 0), (0, 0)])
    def test_no_classes(self, backend: Variant, name: str, shape: tuple[int, ...]) -> None:
        x = np.empty(shape, np.float32)
        others = (T[: shape[0]],) if name in WITH_TARGETS else second(name, x)
        with pytest.raises(ValueError, match=f"has no classes: .*{re.escape(str(shape))}"):
            EVERY[name](x, *others, backend=backend.name)

    @every_function
    @pytest.mark.parametrize("dtype", ["complex64", "complex128", "object", "U3", "S3", "M8[s]"])
    def test_dtype_of_another_kind(self, backend: Variant, name: str, dtype: str) -> None:
        x = np.zeros((4, 3), dtype)
        with pytest.raises(TypeError, match="must hold real numbers, not ") as error:
            EVERY[name](x, *second(name, x), backend=backend.name)
        assert str(x.dtype) in str(error.value)

    @every_function
    def test_structured_dtype(self, backend: Variant, name: str) -> None:
        x = np.zeros((4, 3), [("a", "f4"), ("b", "f4")])
        with pytest.raises(TypeError, match="must hold real numbers"):
            EVERY[name](x, *second(name, x), backend=backend.name)

    @every_function
    def test_ragged_sequence(self, backend: Variant, name: str) -> None:
        with pytest.raises(ValueError, match="inhomogeneous"):
            EVERY[name]([[1.0, 2.0], [3.0]], *second(name, F), backend=backend.name)

    @every_function
    def test_masked_array(self, backend: Variant, name: str) -> None:
        x = np.ma.masked_array(F, mask=F > 2)
        with pytest.raises(TypeError, match="masked"):
            EVERY[name](x, *second(name, F), backend=backend.name)

    @every_function
    def test_unknown_backend(self, name: str) -> None:
        message = literally("unknown backend 'fortran'; the backends are 'c', 'numba', 'numpy'")
        with pytest.raises(ValueError, match=message):
            EVERY[name](F, *second(name, F), backend="fortran")

    @every_function
    @pytest.mark.parametrize("value", [3, ["c"], b"c"])
    def test_backend_that_is_no_name(self, name: str, value: Any) -> None:
        with pytest.raises(TypeError, match="backend must be a name or None, not"):
            EVERY[name](F, *second(name, F), backend=value)

    @every_function
    @pytest.mark.parametrize("missing", MISSING)
    def test_backend_that_is_not_installed(self, name: str, missing: str) -> None:
        remedy = {"c": "compiler", "numba": literally('pip install "fastsoftmax[numba]"')}
        with pytest.raises(ImportError, match=remedy[missing]):
            EVERY[name](F, *second(name, F), backend=missing)

    @every_function
    @pytest.mark.parametrize("num_threads", [0, -1])
    def test_too_few_threads(self, backend: Variant, name: str, num_threads: int) -> None:
        message = f"num_threads must be at least 1, not {num_threads}"
        with pytest.raises(ValueError, match=message):
            EVERY[name](F, *second(name, F), backend=backend.name, num_threads=num_threads)

    @every_function
    @pytest.mark.parametrize("num_threads", [1.0, "2", True, [1]])
    def test_threads_that_are_no_integer(
        self, backend: Variant, name: str, num_threads: Any
    ) -> None:
        message = literally(f"num_threads must be an integer of at least 1, not {num_threads!r}")
        with pytest.raises(TypeError, match=message):
            EVERY[name](F, *second(name, F), backend=backend.name, num_threads=num_threads)

    @every_function
    def test_options_are_keywords_only(self, name: str) -> None:
        with pytest.raises(TypeError, match="positional argument"):
            EVERY[name](F, *second(name, F), -1, None)

    @every_function
    def test_unknown_option(self, backend: Variant, name: str) -> None:
        with pytest.raises(TypeError, match="temperature"):
            EVERY[name](F, *second(name, F), backend=backend.name, temperature=2)


class TestOut:
    """Wrong outputs, for all functions that take one the shape of the logits."""

    functions = pytest.mark.parametrize(
        "name", ["softmax", "log_softmax", *BACKWARD, *GRADIENTS], ids=str
    )

    def raises(
        self, kind: type[Exception], message: str, backend: Variant, name: str, out: Any
    ) -> None:
        with pytest.raises(kind, match=message):
            EVERY[name](F, *second(name, F), backend=backend.name, out=out)

    @functions
    @pytest.mark.parametrize("dtype", ["float64", "float16", "int32"])
    def test_dtype(self, backend: Variant, name: str, dtype: str) -> None:
        out = np.full((4, 3), SENTINEL, dtype)
        self.raises(TypeError, "out must be of dtype float32, not ", backend, name, out)
        assert (out == SENTINEL).all()

    @functions
    @pytest.mark.parametrize("shape", [(3, 4), (4, 4), (12,), (1, 4, 3), ()])
    def test_shape(self, backend: Variant, name: str, shape: tuple[int, ...]) -> None:
        out = np.full(shape, SENTINEL, np.float32)
        message = literally(f"out must be of shape (4, 3), not {shape}")
        self.raises(ValueError, message, backend, name, out)
        assert (out == SENTINEL).all()

    @functions
    def test_read_only(self, backend: Variant, name: str) -> None:
        out = np.full((4, 3), SENTINEL, np.float32)
        out.flags.writeable = False
        self.raises(ValueError, "out is read-only", backend, name, out)
        assert (out == SENTINEL).all()

    @functions
    def test_no_array(self, backend: Variant, name: str) -> None:
        out = [[0.0] * 3] * 4
        self.raises(TypeError, "out must be a numpy.ndarray, not list", backend, name, out)

    @functions
    def test_sharing_memory_with_itself(self, backend: Variant, name: str) -> None:
        memory = np.full(3, SENTINEL, np.float32)
        out = np.lib.stride_tricks.as_strided(memory, (4, 3), (0, 4))
        self.raises(ValueError, "shares memory between its own elements", backend, name, out)

    @functions
    def test_overlapping_itself(self, backend: Variant, name: str) -> None:
        """Rows that begin within each other; steps may be interleaved."""
        memory = np.full(20, SENTINEL, np.float32)
        windows = np.lib.stride_tricks.as_strided(memory, (4, 3), (4, 4))
        message = "shares memory between its own elements"
        self.raises(ValueError, message, backend, name, windows)
        assert (memory == SENTINEL).all()
        interleaved = np.lib.stride_tricks.as_strided(memory, (4, 3), (8, 12))
        self.raises(ValueError, message, backend, name, interleaved)  # 3 steps of 8, 2 of 12
        apart = np.lib.stride_tricks.as_strided(memory, (4, 3), (12, 20))
        EVERY[name](F, *second(name, F), backend=backend.name, out=apart)
        expected = EVERY[name](F, *second(name, F), backend=backend.name)
        assert (
            apart.tobytes() == (expected[1] if isinstance(expected, tuple) else expected).tobytes()
        )

    def test_of_logsumexp(self, backend: Variant) -> None:
        for out, kind, message in (
            (np.empty(3, np.float32), ValueError, r"of shape \(4,\), not \(3,\)"),
            (np.empty((4, 1), np.float32), ValueError, r"of shape \(4,\), not \(4, 1\)"),
            (np.empty(4, np.float64), TypeError, "of dtype float32, not "),
        ):
            with pytest.raises(kind, match=message):
                fsm.logsumexp(F, out=out, backend=backend.name)
        with pytest.raises(ValueError, match=r"of shape \(4, 1\), not \(4,\)"):
            fsm.logsumexp(F, keepdims=True, out=np.empty(4, np.float32), backend=backend.name)

    def test_of_mean_gradients(self, backend: Variant) -> None:
        for out, kind, message in (
            (np.empty((4, 3), np.float32), ValueError, r"of shape \(3,\), not \(4, 3\)"),
            (np.empty(3, np.float64), TypeError, "of dtype float32, not "),
        ):
            for name in MEAN_GRADIENTS:
                with pytest.raises(kind, match=message):
                    LOSSES[name](F, T, out=out, backend=backend.name)

    def test_of_the_hessian(self, backend: Variant) -> None:
        def call(out: Any) -> None:
            fsm.cross_entropy_grad_hess(F, T, out=out, backend=backend.name)

        good = np.full((4, 3), SENTINEL, np.float32)
        with pytest.raises(TypeError, match="out must be a pair of arrays"):
            call(good)
        with pytest.raises(ValueError, match=r"out\[1\] must be of shape \(4, 3\), not \(3,\)"):
            call((good, np.empty(3, np.float32)))
        with pytest.raises(TypeError, match=r"out\[0\] must be of dtype float32, not "):
            call((np.empty((4, 3)), good))
        with pytest.raises(ValueError, match=r"out\[0\] and out\[1\] share memory"):
            call((good, good))
        assert (good == SENTINEL).all()


class TestProbabilities:
    @every_unary
    @pytest.mark.parametrize("where", [np.ones((4, 3)), [1, 0, 1], np.array("x")])
    def test_where_of_another_dtype(self, backend: Variant, name: str, where: Any) -> None:
        with pytest.raises(TypeError, match="where must be of dtype bool, not "):
            UNARY[name](F, where=where, backend=backend.name)

    @every_unary
    @pytest.mark.parametrize("shape", [(3, 4), (2,), (5, 4, 3), (4, 3, 1)])
    def test_where_of_another_shape(
        self, backend: Variant, name: str, shape: tuple[int, ...]
    ) -> None:
        message = literally(f"where of shape {shape} cannot be broadcast to the shape (4, 3) of x")
        with pytest.raises(ValueError, match=message):
            UNARY[name](F, where=np.ones(shape, bool), backend=backend.name)

    @every_backward
    @pytest.mark.parametrize("shape", [(4,), (3, 4), (1, 3), (4, 1)])
    def test_backward_of_two_shapes(
        self, backend: Variant, name: str, shape: tuple[int, ...]
    ) -> None:
        message = literally(
            f"grad_output and output must have the same shape, not {shape} and (4, 3)"
        )
        with pytest.raises(ValueError, match=message):
            BACKWARD[name](np.zeros(shape, np.float32), F, backend=backend.name)


def call_untouched(
    name: str, kind: type[Exception], message: str, backend: Variant, **options: Any
) -> None:
    """The call raises, and leaves an output as it was."""
    outputs: list[npt.NDArray[Any]] = []
    if name in GRADIENTS:
        outputs = [np.full((4, 3), SENTINEL, np.float32)]
    elif name in MEAN_GRADIENTS:
        outputs = [np.full(3, SENTINEL, np.float32)]
    if outputs:
        options["out"] = outputs[0]
    with pytest.raises(kind, match=message):
        WITH_TARGETS[name](F, T, backend=backend.name, **options)
    for out in outputs:
        assert (out == SENTINEL).all()


class TestCrossEntropyOptions:
    @every_loss
    @pytest.mark.parametrize("reduction", ["average", "", None, 1, "Mean"])
    def test_reduction(self, backend: Variant, name: str, reduction: Any) -> None:
        message = literally(f"reduction must be one of 'mean', 'sum', 'none', not {reduction!r}")
        call_untouched(name, ValueError, message, backend, reduction=reduction)

    @pytest.mark.parametrize("name", MEAN_GRADIENTS)
    def test_mean_gradient_without_reduction(self, backend: Variant, name: str) -> None:
        message = "reduction 'none' has no meaning"
        call_untouched(name, ValueError, message, backend, reduction="none")

    @every_loss
    @pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), 2])
    def test_label_smoothing_out_of_range(self, backend: Variant, name: str, value: Any) -> None:
        message = literally(f"label_smoothing must be in [0, 1], not {float(value)}")
        call_untouched(name, ValueError, message, backend, label_smoothing=value)

    @every_loss
    def test_label_smoothing_beyond_all_floats(self, backend: Variant, name: str) -> None:
        message = literally("label_smoothing must be in [0, 1], not inf")
        call_untouched(name, ValueError, message, backend, label_smoothing=10**400)

    @every_loss
    @pytest.mark.parametrize("value", ["0.1", None, [0.1], True, 0.1j])
    def test_label_smoothing_of_another_kind(self, backend: Variant, name: str, value: Any) -> None:
        message = literally(f"label_smoothing must be a number in [0, 1], not {value!r}")
        call_untouched(name, TypeError, message, backend, label_smoothing=value)

    @every_loss
    @pytest.mark.parametrize("value", [1.0, "1", True, [1]])
    def test_ignore_index_that_is_no_integer(self, backend: Variant, name: str, value: Any) -> None:
        message = literally(f"ignore_index must be an integer or None, not {value!r}")
        call_untouched(name, TypeError, message, backend, ignore_index=value)

    @every_loss
    @pytest.mark.parametrize("shape", [(4,), (2,), (1, 3), (), (3, 1)])
    def test_weight_of_another_shape(
        self, backend: Variant, name: str, shape: tuple[int, ...]
    ) -> None:
        message = literally(
            f"weight must have one entry for each of the 3 classes, a shape of (3,), not {shape}"
        )
        call_untouched(name, ValueError, message, backend, weight=np.ones(shape))

    @with_targets
    @pytest.mark.parametrize("shape", [(3,), (4, 1), (), (4, 3)])
    def test_sample_weight_of_another_shape(
        self, backend: Variant, name: str, shape: tuple[int, ...]
    ) -> None:
        message = literally(
            f"sample_weight must have one entry for each sample, a shape of (4,), not {shape}"
        )
        call_untouched(name, ValueError, message, backend, sample_weight=np.ones(shape))

    @every_loss
    @pytest.mark.parametrize(
        ("value", "problem"), [(-1.5, "is negative"), (np.nan, "not a number")]
    )
    def test_bad_weights(self, backend: Variant, name: str, value: float, problem: str) -> None:
        message = literally(f"weight[1] = {value} ") + ".*" + problem
        call_untouched(name, ValueError, message, backend, weight=[1, value, 2])
        message = literally(f"sample_weight[2] = {value} ") + ".*" + problem
        call_untouched(name, ValueError, message, backend, sample_weight=[0, 1, value, 2])

    @every_loss
    @pytest.mark.parametrize("option", ["weight", "sample_weight"])
    @pytest.mark.parametrize("value", ["a", 1j, None])
    def test_weights_of_another_kind(
        self, backend: Variant, name: str, option: str, value: Any
    ) -> None:
        weights = np.array([value] * (3 if option == "weight" else 4))
        message = f"{option} must hold real numbers, not "
        call_untouched(name, TypeError, message, backend, **{option: weights})

    @pytest.mark.parametrize("hessian", ["gauss-newton", None, 1])
    def test_hessian(self, backend: Variant, hessian: Any) -> None:
        message = literally(
            f"hessian must be one of 'exact', 'xgboost', 'lightgbm', not {hessian!r}"
        )
        with pytest.raises(ValueError, match=message):
            fsm.cross_entropy_grad_hess(F, T, hessian=hessian, backend=backend.name)

    def test_hessian_of_lightgbm_with_one_class(self, backend: Variant) -> None:
        with pytest.raises(ValueError, match="lightgbm"):
            fsm.cross_entropy_grad_hess(F[:, :1], T * 0, hessian="lightgbm", backend=backend.name)
