"""Other libraries' softmax and cross-entropy, called as their users call them."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["PEERS", "Peer", "one_node_model"]

Array = npt.NDArray[Any]

_PROBABILITIES = ("softmax", "log_softmax", "logsumexp")
_LOSSES = ("cross_entropy", "cross_entropy_grad", "cross_entropy_mean_grad")


@dataclass(frozen=True)
class Peer:
    """A library.

    Attributes
    ----------
    name : str
        What it is called in tables and plots.
    package : str
        The distribution it comes from.
    modules : tuple of str
        What has to be importable.
    functions : tuple of str
        What it has of the functions of this package.
    compute : callable
        Takes the name of a function, logits of shape (m, K) and labels of shape (m,), and returns
        what that function of this package would: losses and gradients per sample.
    """

    name: str
    package: str
    modules: tuple[str, ...]
    functions: tuple[str, ...]
    compute: Callable[[str, Array, Array], Any]

    def missing(self) -> str | None:
        """Return what is not installed, or None."""
        absent = (m for m in self.modules if importlib.util.find_spec(m) is None)
        return next(absent, None)

    def load(self) -> str:
        """Import the library and return its version; what it warns of is its own affair."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for module in self.modules:
                importlib.import_module(module)
        return importlib.metadata.version(self.package)

    def __call__(self, function: str, x: Array, labels: Array) -> Array:
        """Return the values, without any of the library's warnings about hard logits."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return np.asarray(self.compute(function, x, labels))


def _numpy(function: str, x: Array, labels: Array) -> Any:
    """The formulas with the maximum subtracted, as everybody writes them."""
    largest = x.max(axis=-1, keepdims=True)
    shifted = x - largest
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=-1, keepdims=True)
    at = np.arange(len(x)), labels
    if function == "softmax":
        return exponentials / sums
    if function == "log_softmax":
        return shifted - np.log(sums)
    if function == "logsumexp":
        return (largest + np.log(sums))[:, 0]
    if function == "cross_entropy":
        return np.log(sums)[:, 0] - shifted[at]
    grad = exponentials / sums
    grad[at] -= 1
    return grad if function == "cross_entropy_grad" else grad.mean(axis=0)


def _scipy(function: str, x: Array, labels: Array) -> Any:
    from scipy import special

    return getattr(special, function)(x, axis=-1)


def _torch(function: str, x: Array, labels: Array) -> Any:
    import torch

    f = torch.tensor(x, requires_grad=function.endswith("grad"))
    if function in _PROBABILITIES:
        return getattr(torch, function)(f, dim=-1).numpy()
    losses = torch.nn.functional.cross_entropy(f, torch.tensor(labels), reduction="none")
    if function == "cross_entropy":
        return losses.numpy()
    losses.sum().backward()
    assert f.grad is not None
    return (f.grad if function == "cross_entropy_grad" else f.grad.mean(0)).numpy()


def _jax(function: str, x: Array, labels: Array) -> Any:
    import jax

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        if function in _PROBABILITIES:
            return np.asarray(getattr(jax.nn, function)(x, axis=-1))

        def losses(f: Any) -> Any:
            return -jax.nn.log_softmax(f)[np.arange(len(x)), labels]

        if function == "cross_entropy":
            return np.asarray(losses(x))
        grad = jax.grad(lambda f: losses(f).sum())(x)
        return np.asarray(grad if function == "cross_entropy_grad" else grad.mean(0))
    finally:
        jax.config.update("jax_enable_x64", before)


def _onnxruntime(function: str, x: Array, labels: Array) -> Any:
    import onnxruntime

    node = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}[function]
    session = onnxruntime.InferenceSession(
        one_node_model(node, -1, x.dtype), providers=["CPUExecutionProvider"]
    )
    return session.run(["y"], {"x": x})[0]


def one_node_model(node: str, axis: int, dtype: npt.DTypeLike) -> bytes:
    """Return the serialised ONNX model of one node, from x to y along an axis."""
    from onnx import TensorProto, helper

    kind = TensorProto.FLOAT if np.dtype(dtype) == np.float32 else TensorProto.DOUBLE
    x = helper.make_tensor_value_info("x", kind, [None, None])
    y = helper.make_tensor_value_info("y", kind, [None, None])
    graph = helper.make_graph([helper.make_node(node, ["x"], ["y"], axis=axis)], node, [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9)
    return bytes(model.SerializeToString())


#: By name.
PEERS = {
    peer.name: peer
    for peer in (
        Peer("NumPy", "numpy", ("numpy",), (*_PROBABILITIES, *_LOSSES), _numpy),
        Peer("SciPy", "scipy", ("scipy",), _PROBABILITIES, _scipy),
        Peer("PyTorch", "torch", ("torch",), (*_PROBABILITIES, *_LOSSES), _torch),
        Peer("JAX", "jax", ("jax",), (*_PROBABILITIES, *_LOSSES), _jax),
        Peer(
            "ONNX Runtime",
            "onnxruntime",
            ("onnxruntime", "onnx"),
            ("softmax", "log_softmax"),
            _onnxruntime,
        ),
    )
}
