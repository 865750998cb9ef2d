from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]

def softmax(x: _Array, where: _Array | None, out: _Array, num_threads: int, /) -> None: ...
def log_softmax(x: _Array, where: _Array | None, out: _Array, num_threads: int, /) -> None: ...
def logsumexp(x: _Array, where: _Array | None, out: _Array, num_threads: int, /) -> None: ...
def softmax_backward(
    grad_output: _Array, output: _Array, out: _Array, num_threads: int, /
) -> None: ...
def log_softmax_backward(
    grad_output: _Array, output: _Array, out: _Array, num_threads: int, /
) -> None: ...
def check_labels(
    labels: _Array,
    num_classes: int,
    ignore_index: int | None,
    weight: _Array | None,
    sample_weight: _Array | None,
    /,
) -> tuple[int, int, float]: ...
def cross_entropy(
    logits: _Array,
    labels: _Array | None,
    probabilities: _Array | None,
    weight: _Array | None,
    sample_weight: _Array | None,
    ignore_index: int | None,
    label_smoothing: float,
    divisor: float,
    losses: _Array | None,
    grad: _Array | None,
    mean_grad: _Array | None,
    want_loss: bool,
    num_threads: int,
    /,
) -> float: ...
def grad_hess(
    logits: _Array,
    labels: _Array | None,
    probabilities: _Array | None,
    sample_weight: _Array | None,
    hessian: str,
    grad: _Array,
    hess: _Array,
    num_threads: int,
    /,
) -> None: ...
def instruction_sets() -> tuple[str, ...]: ...
def built_instruction_sets() -> tuple[str, ...]: ...
def instruction_set() -> str: ...
def use_instruction_set(name: str, /) -> str: ...
