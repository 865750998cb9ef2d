"""PyTorch's functions and ours: equal within PyTorch's rounding, differentiable, without copies."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest

from ..subprocesses import run_python
from . import library

torch = library("torch")
functional = torch.nn.functional

import fastsoftmax as fs  # noqa: E402
import fastsoftmax.torch as ours  # noqa: E402
from fastsoftmax._in_torch import ways  # noqa: E402
from fastsoftmax._in_torch.arrays import array_of, tensor_of  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),
]

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
SHAPES = ((7,), (5, 7), (5, 7, 3), (2, 7, 3, 2), (0, 7))
TOLERANCE = {
    torch.float64: 1e-12, torch.float32: 2e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2,
}  # fmt: skip


def problem(shape: tuple[int, ...], dtype: Any = torch.float64) -> tuple[Any, Any, Any, Any]:
    """Logits, labels some of which are ignored, probabilities, class weights."""
    generator = torch.Generator().manual_seed(3)
    x = (3 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)
    samples = shape[:1] * (len(shape) > 1) + shape[2:]
    labels = torch.randint(shape[min(1, len(shape) - 1)], samples, generator=generator)
    if labels.numel() > 1:
        labels.view(-1)[1] = -100
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    p = torch.softmax(logits, min(1, len(shape) - 1)).to(dtype)
    weight = torch.rand(7, generator=generator, dtype=torch.float64).to(dtype)
    return x, labels, p, weight


def value_and_grad(function: Any, x: Any, target: Any, *args: Any, **options: Any) -> Any:
    x = x.detach().clone().requires_grad_()
    loss = function(x, target, *args, **options)
    (loss.float().square().sum() if loss.dim() else loss).backward()
    return loss.detach(), x.grad


def assert_near(actual: Any, expected: Any, tolerance: float) -> None:
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    torch.testing.assert_close(
        actual.double(), expected.double(), rtol=tolerance, atol=tolerance, equal_nan=True
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("soft", [False, True])
def test_equal_to_torch(shape: tuple[int, ...], dtype: Any, soft: bool) -> None:
    x, labels, p, weight = problem(shape, dtype)
    target = p if soft else labels
    for reduction, smoothing, w in itertools.product(
        ("mean", "sum", "none"), (0.0, 0.1, 1.0), (None, weight)
    ):
        options = {"weight": w, "reduction": reduction, "label_smoothing": smoothing}
        actual = value_and_grad(ours.cross_entropy, x, target, **options)
        wide = {**options, "weight": None if w is None else w.double()}
        loss, grad = value_and_grad(
            functional.cross_entropy, x.double(), target.double() if soft else target, **wide
        )
        scale = 4 * TOLERANCE[dtype]
        torch.testing.assert_close(actual[0].double(), loss, rtol=scale, atol=scale, equal_nan=True)
        torch.testing.assert_close(
            actual[1].double(), grad.nan_to_num(), rtol=2 * scale, atol=scale
        )
        own = functional.cross_entropy(x, target, **options)
        assert actual[0].dtype == own.dtype
        assert actual[0].shape == own.shape


@pytest.mark.parametrize("ignore_index", [-100, -1, 2, 50])
def test_ignored_labels(ignore_index: int) -> None:
    x, labels, _, weight = problem((5, 7, 3))
    labels = torch.where(labels == -100, ignore_index, labels)
    for options in ({}, {"weight": weight}, {"label_smoothing": 0.2}, {"reduction": "none"}):
        options = {**options, "ignore_index": ignore_index}
        actual = value_and_grad(ours.cross_entropy, x, labels, **options)
        expected = value_and_grad(functional.cross_entropy, x, labels, **options)
        for one, other in zip(actual, expected, strict=True):
            assert_near(one, other, 1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_probabilities_equal_to_torch(name: str, dtype: Any) -> None:
    x = problem((4, 7, 3), dtype)[0].requires_grad_()
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    for dim in (0, 1, -1):
        actual = getattr(ours, name)(x, dim)
        expected = getattr(torch, name)(x.double(), dim)
        tolerance = TOLERANCE[dtype] * 4
        assert actual.dtype == dtype
        torch.testing.assert_close(actual.double(), expected, rtol=tolerance, atol=tolerance)
        (grad,) = torch.autograd.grad(actual, x, v)
        (exact,) = torch.autograd.grad(expected, x, v.double())
        assert_near(grad, exact, tolerance)
    assert getattr(ours, name)(x.detach().long(), 1, dtype=torch.float64).dtype == torch.float64
    assert getattr(ours, name)(torch.tensor(2.0), 0).shape == ()
    with pytest.warns(UserWarning, match="without dim"):
        implicit = getattr(ours, name)(x.detach())
    assert torch.equal(implicit, getattr(ours, name)(x.detach(), 0))
    with pytest.raises(TypeError, match="floating-point"):
        getattr(ours, name)(torch.tensor([1, 2]), 0)
    with pytest.raises(IndexError):
        getattr(ours, name)(x, 3)


@pytest.mark.parametrize("soft", [False, True])
def test_derivatives(soft: bool) -> None:
    x, labels, p, weight = problem((3, 7, 2))
    x.requires_grad_()
    target = p.requires_grad_() if soft else labels
    inputs = (x, target) if soft else (x,)
    for reduction, smoothing, w in itertools.product(
        ("mean", "sum", "none"), (0.0, 0.1), (None, weight)
    ):

        def loss(x: Any, target: Any = target, w: Any = w, reduction: str = reduction,
                 smoothing: float = smoothing) -> Any:  # fmt: skip
            return ours.cross_entropy(x, target, w, reduction=reduction, label_smoothing=smoothing)

        assert torch.autograd.gradcheck(loss, inputs)
        assert torch.autograd.gradgradcheck(loss, inputs)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_derivatives_of_probabilities(name: str) -> None:
    x = problem((3, 7, 2))[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: getattr(ours, name)(x, 1), (x,))
    assert torch.autograd.gradgradcheck(lambda x: getattr(ours, name)(x, 1), (x,))


def test_backward_more_than_once() -> None:
    x, labels, *_ = problem((5, 7))
    x.requires_grad_()
    loss = ours.cross_entropy(x, labels)
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    kept = first.clone()
    (scaled,) = torch.autograd.grad(3 * loss, x, retain_graph=True)
    (last,) = torch.autograd.grad(loss, x)
    assert torch.equal(first, kept)
    assert torch.equal(last, kept)
    torch.testing.assert_close(scaled, 3 * kept)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, x)


def test_a_confident_sample_keeps_its_gradient() -> None:
    x = torch.tensor([[20.0, 0.0, 0.0, 0.0]], requires_grad=True)
    ours.cross_entropy(x, torch.tensor([0])).backward()
    exact = -3 * np.exp(-20.0) / (1 + 3 * np.exp(-20.0))
    assert float(x.grad[0, 0]) == pytest.approx(exact, rel=1e-6)
    x.grad = None
    functional.cross_entropy(x, torch.tensor([0])).backward()
    assert float(x.grad[0, 0]) == 0.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_scaled_losses_in_float16_keep_small_gradients(sign: float) -> None:
    x = torch.tensor([[12.0, 0.0, 0.0, 0.0]], dtype=torch.float16, requires_grad=True)
    (ours.cross_entropy(x, torch.tensor([0])).float() * (sign * 65536.0 / 1024)).backward()
    wide = x.detach().double().requires_grad_()
    (functional.cross_entropy(wide, torch.tensor([0])) * (sign * 64.0)).backward()
    torch.testing.assert_close(x.grad.double(), wide.grad, rtol=1e-3, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_is_shared(dtype: Any) -> None:
    x = torch.randn(4, 7, 3).to(dtype).transpose(0, 2)
    array = array_of(x)
    assert array.__array_interface__["data"][0] == x.data_ptr()
    assert array.strides == tuple(x.element_size() * step for step in x.stride())
    back = tensor_of(array)
    assert back.data_ptr() == x.data_ptr()
    assert back.dtype == dtype
    assert back.stride() == x.stride()


def test_the_gradient_is_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastsoftmax._in_torch import cross_entropy as module

    made: list[int] = []

    def noted(*arguments: Any) -> Any:
        loss, grad = evaluate(*arguments)
        made.append(grad.data_ptr())
        return loss, grad

    evaluate = module.evaluate_with_gradient
    monkeypatch.setattr(module, "evaluate_with_gradient", noted)
    for factor in (1.0, 2.0):
        x = torch.randn(64, 100, 5, requires_grad=True)
        (ours.cross_entropy(x, torch.zeros(64, 5, dtype=torch.long)) * factor).backward()
        assert x.grad.data_ptr() == made.pop()


def test_errors() -> None:
    x, labels, p, _ = problem((5, 7))
    for kind in (IndexError, ValueError):
        with pytest.raises(kind, match=r"targets\[2\] = 7 is out of range for 7 classes"):
            ours.cross_entropy(x, torch.tensor([0, 1, 7, 2, 3]))
    with pytest.raises(ValueError, match="ignore_index = 2"):
        ours.cross_entropy(x, p, ignore_index=2)
    with pytest.raises(TypeError, match="probabilities and must be floating-point"):
        ours.cross_entropy(x, p.long())
    with pytest.raises(TypeError, match="floating-point logits"):
        ours.cross_entropy(x.long(), labels)
    with pytest.raises(ValueError, match="must be labels of shape"):
        ours.cross_entropy(x, labels[:2])
    with pytest.raises(ValueError, match="reduction"):
        ours.cross_entropy(x, labels, reduction="median")
    with pytest.raises(ValueError, match="is negative"):
        ours.cross_entropy(x, labels, -torch.ones(7))


def test_legacy_arguments() -> None:
    x, labels, *_ = problem((5, 7))
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert torch.equal(
            ours.cross_entropy(x, labels, size_average=False),
            ours.cross_entropy(x, labels, reduction="sum"),
        )
    with pytest.warns(UserWarning, match="reduction='none'"):
        assert ours.cross_entropy(x, labels, reduce=False).shape == (5,)


def test_module() -> None:
    x, labels, _, weight = problem((5, 7))
    criterion = ours.CrossEntropyLoss(weight, ignore_index=-100, label_smoothing=0.1)
    assert isinstance(criterion, torch.nn.CrossEntropyLoss)
    theirs = torch.nn.CrossEntropyLoss(weight, label_smoothing=0.1)
    assert criterion.state_dict().keys() == theirs.state_dict().keys()
    torch.testing.assert_close(criterion(x, labels), theirs(x, labels))


def test_other_devices_go_to_torch_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "_told", [])
    x, labels, *_ = problem((5, 7))
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        loss = ours.cross_entropy(x.to("meta"), labels.to("meta"))
        assert ours.softmax(x.to("meta"), 1).device.type == "meta"
    assert loss.device.type == "meta"
    assert ["works on the CPU" in str(warning.message) for warning in record] == [True]


@pytest.mark.parametrize("dtype", DTYPES)
def test_autocast(dtype: Any) -> None:
    x, labels, p, _ = problem((5, 7), dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for target in (labels, p):
            expected = functional.cross_entropy(x, target)
            assert_near(ours.cross_entropy(x, target), expected, 3e-6)
        assert ours.softmax(x, 1).dtype == functional.softmax(x, 1).dtype


def test_probabilities_of_another_dtype() -> None:
    x, _, p, _ = problem((5, 7), torch.float32)
    for target in (p.double(), p.bfloat16()):
        assert_near(ours.cross_entropy(x, target), functional.cross_entropy(x, target), 1e-6)


def test_forward_mode_and_weights_with_a_gradient_are_torchs() -> None:
    x, labels, p, weight = problem((5, 7))
    tangent = torch.ones_like(x)
    _, actual = torch.func.jvp(lambda x: ours.cross_entropy(x, labels), (x,), (tangent,))
    _, expected = torch.func.jvp(lambda x: functional.cross_entropy(x, labels), (x,), (tangent,))
    torch.testing.assert_close(actual, expected)
    weight.requires_grad_()
    (grad,) = torch.autograd.grad(ours.cross_entropy(x, p, weight), weight)
    (other,) = torch.autograd.grad(functional.cross_entropy(x, p, weight), weight)
    torch.testing.assert_close(grad, other)


OPERATORS = torch.ops.fastsoftmax
# PyTorch 2.14's own check reads .grad of the copies that it makes.
CHECKED = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@CHECKED
@pytest.mark.parametrize("soft", [False, True])
def test_operators(soft: bool) -> None:
    x, labels, p, weight = problem((5, 7, 3))
    x.requires_grad_()
    for target, w, reduction in itertools.product(
        [p if soft else labels], (None, weight), ("mean", "none")
    ):
        arguments = (x, target, w, -100, reduction, 0.1)
        torch.library.opcheck(OPERATORS.cross_entropy.default, (*arguments, True))
        torch.library.opcheck(OPERATORS.cross_entropy_grad.default, arguments)


@CHECKED
def test_operators_of_probabilities() -> None:
    x = problem((5, 7, 3))[0].transpose(0, 1).requires_grad_()
    for name in ("softmax", "log_softmax"):
        torch.library.opcheck(getattr(OPERATORS, name).default, (x, -1))
        backward = getattr(OPERATORS, f"{name}_backward").default
        torch.library.opcheck(backward, (x.detach(), x.detach(), 0))


@pytest.mark.parametrize("engine", ["aot_eager", "inductor"])
def test_compiled_training_step(engine: str) -> None:
    torch.manual_seed(0)
    x, labels, *_ = problem((5, 7), torch.float32)
    layer = torch.nn.Linear(7, 7)

    def step(x: Any, labels: Any) -> Any:
        logits = layer(x)
        return ours.cross_entropy(logits, labels) + ours.softmax(logits, 1).square().mean()

    step(x, labels).backward()
    expected = layer.weight.grad.clone()
    layer.weight.grad = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss = torch.compile(step, backend=engine, fullgraph=True)(x, labels)
        loss.backward()
    torch.testing.assert_close(loss, step(x, labels))
    torch.testing.assert_close(layer.weight.grad, expected)


@pytest.mark.parametrize("shape", [(5, 7), (4, 5, 7), (4, 5, 7, 3)])
@pytest.mark.parametrize("soft", [False, True])
def test_transforms(shape: tuple[int, ...], soft: bool) -> None:
    from torch.func import grad, vmap

    x = problem(shape)[0]
    samples = list(shape)
    del samples[1 if len(shape) == 2 else 2]
    generator = torch.Generator().manual_seed(5)
    labels = torch.randint(7, samples, generator=generator)
    target = torch.softmax(x.flip(0), 1 if len(shape) == 2 else 2) if soft else labels
    for reduction in ("mean", "sum", "none"):

        def per_member(f: Any, reduction: str = reduction) -> Any:
            return vmap(grad(lambda x, t: f(x, t, reduction=reduction).sum()))(x, target)

        torch.testing.assert_close(
            per_member(ours.cross_entropy), per_member(functional.cross_entropy)
        )
        torch.testing.assert_close(
            vmap(lambda x, t, r=reduction: ours.cross_entropy(x, t, reduction=r))(x, target),
            vmap(lambda x, t, r=reduction: functional.cross_entropy(x, t, reduction=r))(x, target),
        )


def test_second_derivatives_by_transforms() -> None:
    from torch.func import jacrev

    x, labels, *_ = problem((5, 7))
    torch.testing.assert_close(
        jacrev(jacrev(ours.cross_entropy))(x, labels),
        jacrev(jacrev(functional.cross_entropy))(x, labels),
    )
    for name in ("softmax", "log_softmax"):

        def cubes(f: Any) -> Any:
            return jacrev(jacrev(lambda x: (f(x, 0) ** 3).sum()))(x)

        torch.testing.assert_close(cubes(getattr(ours, name)), cubes(getattr(functional, name)))


def test_threads_are_our_own() -> None:
    x = torch.randn(300, 1000, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(300)
    with fs.use_num_threads(1):
        one = value_and_grad(ours.cross_entropy, x, labels)
    with fs.use_num_threads(2):
        two = value_and_grad(ours.cross_entropy, x, labels)
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])


def test_training_on_digits() -> None:
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    pixels, labels = datasets.load_digits(return_X_y=True)
    x, t = torch.tensor(pixels, dtype=torch.float32) / 16, torch.tensor(labels)

    def train(loss: Any) -> tuple[list[float], float]:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
        losses = []
        for _ in range(60):
            optimizer.zero_grad()
            value = loss(net(x[:1200]), t[:1200])
            value.backward()
            optimizer.step()
            losses.append(value.item())
        return losses, (net(x[1200:]).argmax(1) == t[1200:]).float().mean().item()

    actual, accuracy = train(ours.cross_entropy)
    expected, other = train(functional.cross_entropy)
    np.testing.assert_allclose(actual, expected, rtol=1e-3)
    assert actual[-1] < 0.3 * actual[0]
    assert accuracy == pytest.approx(other, abs=0.01)
    assert accuracy > 0.8


def test_without_torch() -> None:
    script = (
        "import importlib.util as u, sys\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
        "try:\n    import fastsoftmax.torch\n"
        "except ImportError as error:\n    print(error)\n"
    )
    assert 'pip install "fastsoftmax[torch]"' in run_python(script).stdout


@pytest.mark.skipif("c" not in fs.available_backends(), reason="only the backend c promises this")
def test_flushing_in_torch_does_not_show() -> None:
    """As `torch.set_flush_denormal` has it: of PyTorch's thread, and of those it starts."""
    script = """
        import numpy as np, torch
        import fastsoftmax as fs, fastsoftmax.torch as ours
        x = torch.tensor([[0, -90, -100, -95]], dtype=torch.float32).repeat(100_000, 1)
        labels = torch.zeros(len(x), dtype=torch.int64)
        with fs.use_backend("c"):
            expected = ours.softmax(x[:1], 1).numpy().tobytes()
            assert torch.set_flush_denormal(True)
            with fs.use_num_threads(3):
                flushed = ours.softmax(x, 1), ours.cross_entropy(x, labels, reduction="none")
            torch.set_flush_denormal(False)
            kept = ours.softmax(x, 1), ours.cross_entropy(x, labels, reduction="none")
        for one, other in zip(flushed, kept, strict=True):
            assert one.numpy().tobytes() == other.numpy().tobytes()
        assert kept[0].numpy().tobytes() == expected * len(x)
    """
    run_python(script)
