"""ONNX Runtime: a model of one node, with input and output bound to memory beforehand."""

from __future__ import annotations

import numpy as np

from bench.cases import CLASSES_LAST, Layout
from fastsoftmax._accuracy.peers import one_node_model
from fastsoftmax._cli.problems import Call, Problem

from .peer import Peer

__all__ = ["ONNXRUNTIME"]

_NODES = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}


def _prepare(problem: Problem, threads: int) -> Call:
    import onnxruntime

    x = problem.logits
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        one_node_model(_NODES[problem.operation], problem.axis, x.dtype),
        options,
        providers=["CPUExecutionProvider"],
    )
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(x))
    out = np.empty_like(x)
    if not problem.reuse:

        def run_anew() -> object:
            binding.bind_output("y")
            session.run_with_iobinding(binding)
            return binding.get_outputs()[0]

        return run_anew
    binding.bind_ortvalue_output("y", onnxruntime.OrtValue.ortvalue_from_numpy(out))

    def run() -> object:
        session.run_with_iobinding(binding)
        return binding.get_outputs()[0]

    return run


ONNXRUNTIME = Peer(
    "onnxruntime",
    "onnxruntime",
    "onnxruntime",
    frozenset(_NODES),
    _prepare,
    to_numpy=lambda value: value.numpy(),
    layouts=(CLASSES_LAST, Layout("C", 0)),
)
