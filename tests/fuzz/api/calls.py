"""A call of one of the public functions, drawn from a source of choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fastsoftmax as fs
from fastsoftmax import sharded

from . import hostile
from .hostile import Array
from .source import Source


@dataclass
class Call:
    """What is called with what, and which of that are outputs."""

    name: str
    function: Callable[..., Any]
    positional: list[Any]
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self) -> Any:
        return self.function(*self.positional, **self.options)

    def outputs(self) -> list[Array]:
        """The arrays given as `out`."""
        out = self.options.get("out")
        given = out if isinstance(out, (tuple, list)) else [out]
        return [a for a in given if isinstance(a, np.ndarray)]

    def inputs(self) -> list[Array]:
        """The arrays given as anything else."""
        values = [*self.positional, *(v for k, v in self.options.items() if k != "out")]
        values = [v.array if isinstance(v, hostile.Lying) else v for v in values]
        return [v for v in values if isinstance(v, np.ndarray)]


def _maybe(source: Source, options: dict[str, Any], name: str, *choices: Any) -> None:
    """Set an option: once in four times to one of the choices, seldom to anything."""
    kind = source.below(36)
    if kind >= 26:
        options[name] = source.of(choices) if kind < 35 else source.of(hostile.SCALARS)


def _shape_of(x: Any) -> tuple[int, ...]:
    return x.shape if isinstance(x, np.ndarray) else np.shape(x) if isinstance(x, list) else ()


def _common(source: Source, options: dict[str, Any]) -> None:
    options["backend"] = source.of(("c", "numpy", "c", "c", None, "numba", "c", "c"))
    if options["backend"] == "numba":
        options["backend"] = source.of(("c", "c", "c", "", "C", "cuda", 1, hostile.SCALARS[5]))
    _maybe(source, options, "num_threads", 1, 2, 3, 0, -1, 2**40)


def _axis(source: Source, options: dict[str, Any], ndim: int) -> int:
    """Seldom anything but the last; the one that is meant."""
    _maybe(source, options, "axis", -1, 0, 0, 1, -2, np.int8(0), ndim)
    axis = options.get("axis", -1)
    return axis % ndim if ndim and type(axis) is int and -ndim <= axis < ndim else -1


def _without(of: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return of[:axis] + of[axis:][1:] if of and axis >= 0 else of[:-1]


def _labels(source: Source, of: tuple[int, ...], classes: int) -> Any:
    values = np.arange(int(np.prod(of, dtype=object))) * (1 + source.below(5)) % max(classes, 1)
    labels = values.reshape(of).astype(
        source.of(("i8", "i4", "i8", "u1", "i2", "u8", ">i4", "f4", "?"))
    )
    if source.one_in(6) and labels.size and labels.dtype.kind == "i":
        labels.reshape(-1)[source.below(labels.size)] = source.of((-1, classes, 100, -100))
    return hostile.laid_out(source, labels)


def _targets(source: Source, of: tuple[int, ...], axis: int) -> Any:
    kind = source.below(16)
    if kind < 9:
        return _labels(source, _without(of, axis), of[axis] if of else 1)
    if kind < 13:
        soft = np.abs(hostile.array(source, of, source.of(("float32", "float64"))))
        return hostile.laid_out(source, soft)
    return hostile.logits(source, of if kind < 15 else None)


def _loss_options(source: Source, options: dict[str, Any], of: tuple[int, ...], axis: int) -> None:
    classes = of[axis] if of else 1
    weights = hostile.laid_out(source, np.abs(hostile.array(source, (classes,), "float64")))
    samples = hostile.laid_out(source, np.abs(hostile.array(source, _without(of, axis), "float32")))
    _maybe(source, options, "weight", weights, weights, weights - 1, weights[:0])
    _maybe(source, options, "sample_weight", samples, samples, samples - 1, samples[..., None])
    _maybe(source, options, "ignore_index", -100, 0, 1, -1, np.int16(2), 2**70)
    _maybe(source, options, "label_smoothing", 0.1, 1, 0, np.float32(0.5), -1, 2)
    _maybe(source, options, "reduction", "mean", "sum", "none", "none", "max", b"mean")


def _probabilities(source: Source, name: str) -> Call:
    x = hostile.logits(source)
    options: dict[str, Any] = {}
    axis = _axis(source, options, len(_shape_of(x)))
    call = Call(name, getattr(fs, name), [x], options)
    if source.one_in(3):
        of = _shape_of(x)[source.below(3) :]
        options["where"] = source.of(
            (hostile.array(source, of, "bool"), True, hostile.logits(source), np.ones(3, bool))
        )
    like = x
    if name == "logsumexp":
        _maybe(source, options, "keepdims", True, False)
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            like = np.empty(_without(x.shape, axis), x.dtype)
    options["out"] = hostile.output(source, like)
    _common(source, options)
    return call


def _backward(source: Source, name: str) -> Call:
    g = hostile.logits(source)
    output = hostile.logits(source, _shape_of(g))
    if isinstance(output, np.ndarray) and output.dtype.kind == "f":
        output = np.abs(output) if name == "softmax_backward" else -np.abs(output)
    options: dict[str, Any] = {}
    _axis(source, options, len(_shape_of(g)))
    options["out"] = hostile.output(source, source.of((g, output)))
    _common(source, options)
    return Call(name, getattr(fs, name), [g, output], options)


def _cross_entropy(source: Source, name: str) -> Call:
    x = hostile.logits(source)
    of, options = _shape_of(x), dict[str, Any]()
    axis = _axis(source, options, len(of))
    targets = _targets(source, of, axis)
    _loss_options(source, options, of, axis)
    if "mean_grad" in name:
        like = np.empty(of[axis] if of else 1, x.dtype if isinstance(x, np.ndarray) else "f8")
        options["out"] = hostile.output(source, like)
    elif "grad" in name:
        options["out"] = hostile.output(source, x)
    _common(source, options)
    return Call(name, getattr(fs, name), [x, targets], options)


def _grad_hess(source: Source, name: str) -> Call:
    x = hostile.logits(source)
    of, options = _shape_of(x), dict[str, Any]()
    axis = _axis(source, options, len(of))
    targets = _targets(source, of, axis)
    _loss_options(source, options, of, axis)
    for option in ("weight", "ignore_index", "label_smoothing", "reduction"):
        options.pop(option, None)
    _maybe(source, options, "hessian", "exact", "xgboost", "lightgbm", "exact")
    outs = hostile.output(source, x), hostile.output(source, x)
    options["out"] = source.of(
        (None, outs, outs, (outs[0], outs[0]), list(outs), outs[:1], outs[0])
    )
    _common(source, options)
    return Call(name, fs.cross_entropy_grad_hess, [x, targets], options)


def _linear(source: Source, name: str) -> Call:
    rows, depth, classes = 1 + source.below(5), source.below(5), 1 + source.below(6)
    x = hostile.logits(source, (rows, depth) if not source.one_in(8) else None)
    weight = hostile.logits(source, (classes, depth) if not source.one_in(8) else None)
    bias = source.of(
        (None, None, hostile.array(source, (classes,), "float32"), hostile.logits(source))
    )
    options: dict[str, Any] = {}
    targets = _targets(source, (rows, classes), 1)
    _loss_options(source, options, (rows, classes), 1)
    if "weight" in options:
        options["class_weight"] = options.pop("weight")
    _maybe(source, options, "workspace_bytes", 0, 1, 1000, 2**40, -1)
    if "grad" in name:
        _maybe(source, options, "wrt", ("x",), ("weight", "x"), ("bias",), (), ("y",), "x")
        if source.one_in(3):
            options["out"] = [hostile.output(source, a) for a in (x, weight, bias)]
    _common(source, options)
    return Call(name, getattr(fs, name), [x, weight, targets, bias], options)


def _sharded(source: Source, name: str) -> Call:
    x = hostile.logits(source)
    of, options = _shape_of(x), dict[str, Any]()
    axis = _axis(source, options, len(of))
    targets = _targets(source, of, axis)
    _common(source, options)
    try:
        state = sharded.partial_state(x, targets, options.get("axis", -1))
    except Exception:
        state = hostile.logits(source)
    if source.one_in(6):
        state = hostile.logits(source)
    if name == "partial_state":
        _maybe(source, options, "first_class", 0, 1, 100, -1, 2**63 - 2)
        _maybe(source, options, "num_classes", 100, 6, 1)
        _maybe(source, options, "ignore_index", -100, 0)
        return Call(name, sharded.partial_state, [x, targets], options)
    if name == "softmax_of_shard":
        options["out"] = hostile.output(source, x)
        return Call(name, source.of((sharded.softmax, sharded.log_softmax)), [x, state], options)
    if name == "gradient_of_shard":
        options["out"] = hostile.output(source, x)
        _loss_options(source, options, of, axis)
        _maybe(source, options, "divisor", 1.0, 3, 0, -1)
        return Call(name, sharded.cross_entropy_grad, [x, targets, state], options)
    if name == "merge_states":
        return Call(
            name,
            sharded.merge_states,
            [source.of(([state, state], [state], [], state, [state, x]))],
        )
    if name == "loss_sums":
        _loss_options(source, options, of, axis)
        options.pop("reduction", None)
        _maybe(source, options, "mean_grad", True)
        return Call(name, sharded.loss_sums, [x, targets], options)
    function = source.of(
        (sharded.logsumexp, sharded.cross_entropy, sharded.mean_loss, sharded.mean_grad)
    )
    dtype = source.of(("float32", "float64", "float16", "int8", "x", None, 3, "O"))
    return Call(name, function, [state], {"dtype": dtype})


def _control(source: Source, name: str) -> Call:
    function = source.of(
        (fs.set_backend, fs.use_backend, fs.set_num_threads, fs.use_num_threads, fs.show_config)
    )
    value = source.of(("c", "numpy", 1, 2, *hostile.SCALARS))
    if function is fs.show_config and value == "stdout":
        value = "dicts"
    return Call(name, function, [value])


KINDS: dict[str, Callable[[Source, str], Call]] = {
    **dict.fromkeys(("softmax", "log_softmax", "logsumexp"), _probabilities),
    **dict.fromkeys(("softmax_backward", "log_softmax_backward"), _backward),
    **dict.fromkeys(
        (
            "cross_entropy",
            "cross_entropy_grad",
            "cross_entropy_mean_grad",
            "cross_entropy_value_and_grad",
            "cross_entropy_value_and_mean_grad",
        ),
        _cross_entropy,
    ),
    "cross_entropy_grad_hess": _grad_hess,
    **dict.fromkeys(("linear_cross_entropy", "linear_cross_entropy_value_and_grad"), _linear),
    **dict.fromkeys(
        (
            "partial_state",
            "softmax_of_shard",
            "gradient_of_shard",
            "merge_states",
            "loss_sums",
            "result_of_shard",
        ),
        _sharded,
    ),
    "control": _control,
}


def draw(source: Source) -> Call:
    """Return a call of any public function."""
    name = source.of(tuple(KINDS))
    return KINDS[name](source, name)
