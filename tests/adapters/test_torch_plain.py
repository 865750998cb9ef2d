"""The short way of plain tensors: taken where it may be, and no different from the long one."""

from __future__ import annotations

import gc
import itertools
import shutil
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..subprocesses import run_python
from . import library

torch = library("torch")
functional = torch.nn.functional

import fastsoftmax as fs  # noqa: E402
import fastsoftmax.torch as ours  # noqa: E402
from fastsoftmax._backends import plain  # noqa: E402

pytestmark = [
    pytest.mark.skipif(
        not hasattr(torch.Tensor, "__dlpack_c_exchange_api__"),
        reason="this PyTorch has no table of DLPack's C functions",
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
]

NAMES = ("exchanged_cross_entropy", "exchanged_cross_entropy_value_and_grad")


class Spy:
    """What the short way returned; closed, it is never gone."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.is_open = True

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            result = function(*arguments) if self.is_open else None
            self.results.append(result)
            return result

        return called

    @property
    def went(self) -> bool:
        """Whether the last call went the short way, if there was a call since this was asked."""
        last = self.results[-1] if self.results else None
        self.results.clear()
        return last is not None


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spy]:
    fs.softmax([1.0], backend="c")  # loads the backend, without which no call is plain
    fs.softmax([1.0])
    spy = Spy()
    for name in NAMES:
        monkeypatch.setattr(plain, name, spy.around(getattr(plain, name)))
    with fs.use_backend("c"):
        yield spy


def problem(shape: tuple[int, ...] = (5, 7), dtype: Any = torch.float32) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(1)
    x = (3 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)
    labels = torch.randint(shape[1], shape[:1] + shape[2:], generator=generator)
    return x, labels


def step(x: Any, labels: Any, **options: Any) -> tuple[Any, Any]:
    x = x.detach().clone().requires_grad_()
    loss = ours.cross_entropy(x, labels, **options)
    loss.backward()
    return loss.detach(), x.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 4), (5, 7), (1, 1), (300, 260)])
def test_the_same_bits_as_the_long_way(shape: tuple[int, int], dtype: Any, spy: Spy) -> None:
    x, labels = problem(shape, dtype)
    some = labels.clone()
    some[: shape[0] // 2] = -100
    for reduction, smoothing, target in itertools.product(
        ("mean", "sum"), (0.0, 0.1, 1.0), (labels, some, labels.int())
    ):
        options = {"reduction": reduction, "label_smoothing": smoothing}
        spy.is_open = True
        short = step(x, target, **options)
        assert spy.went
        alone = ours.cross_entropy(x, target, **options)
        assert spy.went
        spy.is_open = False
        for one, other in zip(
            (*short, alone), (*step(x, target, **options), short[0]), strict=True
        ):
            assert (one.dtype, one.shape, one.stride()) == (
                other.dtype,
                other.shape,
                other.stride(),
            )
            assert torch.equal(one, other)
        for result in (*short, alone):
            assert type(result) is torch.Tensor
            assert not result.requires_grad


def test_what_is_not_plain(spy: Spy) -> None:
    x, labels = problem((7, 7))
    cube, cube_labels = problem((3, 3, 3))  # labels of this shape fit other axes too
    wide = torch.randn(7, 14)
    cases: dict[str, tuple[Any, ...]] = {
        "three dimensions": (cube, cube_labels),
        "one dimension": (x[0], labels[0]),
        "transposed": (x.T, labels),
        "spaced": (wide[:, ::2], labels),
        "negated": (torch._neg_view(x), labels),
        "parameter": (torch.nn.Parameter(x), labels),
        "spaced labels": (x, torch.stack((labels, labels), 1)[:, 0]),
        "short labels": (x, labels.to(torch.int16)),
        "float16": (x.half(), labels),
        "probabilities": (x, torch.softmax(x, 1)),
        "weights": (x, labels, torch.ones(7)),
        "no samples": (x[:0], labels[:0]),
        "ignored all": (x, torch.full_like(labels, -100)),
    }
    for name, arguments in cases.items():
        actual = ours.cross_entropy(*arguments)
        assert not spy.went, name
        expected_labels = arguments[1].long() if name == "short labels" else arguments[1]
        expected = functional.cross_entropy(arguments[0], expected_labels, *arguments[2:])
        torch.testing.assert_close(actual, expected, equal_nan=True, rtol=3e-3, atol=1e-6)
    with pytest.raises(ValueError, match="out of range"):
        ours.cross_entropy(x, labels + 7)
    assert not spy.went
    assert ours.cross_entropy(x, labels, reduction="none").shape == (7,)
    assert not spy.went
    with fs.use_backend("numpy"):
        ours.cross_entropy(x, labels)
    assert not spy.went


def test_who_watches_sees_the_operator() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    x, labels = problem()
    seen = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, f: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(str(f))
            return f(*args, **(kwargs or {}))

    with Watch():
        ours.cross_entropy(x, labels)
    assert seen[0].startswith("fastsoftmax.cross_entropy")


def test_a_function_mode_sees_the_function() -> None:
    from torch.overrides import TorchFunctionMode

    x, labels = problem()
    seen = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, f: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(f)
            return f(*args, **(kwargs or {}))

    with Watch():
        ours.cross_entropy(x, labels)
    assert ours.cross_entropy in seen


def test_other_kinds_of_tensors(spy: Spy) -> None:
    from torch._subclasses import FakeTensorMode

    x, labels = problem()
    with FakeTensorMode() as mode:
        fake = ours.cross_entropy(mode.from_tensor(x), mode.from_tensor(labels))
        assert fake.shape == ()
    assert not spy.went

    class Doubled(torch.Tensor):
        pass

    loss = ours.cross_entropy(x.as_subclass(Doubled), labels)
    assert not spy.went
    torch.testing.assert_close(loss.as_subclass(torch.Tensor), functional.cross_entropy(x, labels))
    torch.func.grad(lambda x: ours.cross_entropy(x, labels))(x)
    assert not spy.went


def test_the_gradient_is_given_away(spy: Spy) -> None:
    x, labels = problem((64, 100))
    for factor in (1.0, 2.0):
        leaf = x.clone().requires_grad_()
        loss = ours.cross_entropy(leaf, labels)
        place = spy.results[-1][1].data_ptr()
        spy.results.clear()  # a reference to it would have it copied
        (loss * factor).backward()
        assert leaf.grad.data_ptr() == place
        torch.testing.assert_close(leaf.grad, factor * step(x, labels)[1])
        spy.results.clear()


def test_nothing_is_kept() -> None:
    """Neither loss, gradient, logits nor labels, once the loss is gone; and no cycle holds them."""
    leaf, labels = problem()
    leaf.requires_grad_()
    gc.collect()
    gc.disable()
    try:
        for backward in (False, True):
            x = leaf * 1
            loss = ours.cross_entropy(x, labels)
            node = weakref.ref(loss.grad_fn)
            if backward:
                loss.backward()
            held = [weakref.ref(x), weakref.ref(loss)]
            count = sys.getrefcount(labels)
            del x, loss
            assert [ref() for ref in (*held, node)] == [None] * 3
            assert sys.getrefcount(labels) <= count
    finally:
        gc.enable()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is looked up in /proc")
def test_memory_is_given_back() -> None:
    x, labels = problem((256, 4096))  # 4 MiB
    x.requires_grad_()

    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * 4096

    for _ in range(3):
        x.grad = None
        ours.cross_entropy(x, labels).backward()
    before = resident()
    for _ in range(60):
        x.grad = None
        ours.cross_entropy(x, labels).backward()
    assert resident() - before < 10 * 4 * 2**20


def test_second_derivative_after_a_change_of_the_logits() -> None:
    x, labels = problem(dtype=torch.float64)
    x.requires_grad_()
    logits = x * 1
    loss = ours.cross_entropy(logits, labels)
    logits.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(loss, x, create_graph=True)
    (grad,) = torch.autograd.grad(ours.cross_entropy(x, labels), x, create_graph=True)
    (second,) = torch.autograd.grad(grad.square().sum(), x)
    (grad,) = torch.autograd.grad(functional.cross_entropy(x, labels), x, create_graph=True)
    torch.testing.assert_close(second, torch.autograd.grad(grad.square().sum(), x)[0])


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_gradients_in_batches(reduction: str) -> None:
    x, labels = problem(dtype=torch.float64)
    x.requires_grad_()

    def batched(f: Any, batch: Any) -> Any:
        loss = f(x, labels, reduction=reduction)
        return torch.autograd.grad(loss, x, batch, is_grads_batched=True)[0]

    batch = torch.tensor([1.0, -2.0, 1.0], dtype=torch.float64)
    batch = batch if reduction == "mean" else batch[:, None] * torch.arange(5)
    expected = batched(functional.cross_entropy, batch)
    torch.testing.assert_close(batched(ours.cross_entropy, batch), expected)
    for name in ("softmax", "log_softmax"):
        jacobians = [
            torch.autograd.functional.jacobian(lambda x, f=f: f(x, 1), x.detach(), vectorize=True)
            for f in (getattr(ours, name), getattr(functional, name))
        ]
        torch.testing.assert_close(*jacobians)


def test_without_gradients() -> None:
    x, labels = problem()
    expected = functional.cross_entropy(x, labels)
    x.requires_grad_()
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            loss = ours.cross_entropy(x, labels)
        assert not loss.requires_grad
        torch.testing.assert_close(loss, expected)


def test_results_are_ordinary_tensors() -> None:
    x, labels = problem()
    loss, grad = step(x, labels)
    grad.add_(1).mul_(loss)
    assert grad.clone().is_contiguous()
    assert grad.data_ptr() % 64 == 0
    optimizer = torch.optim.Adam([leaf := x.clone().requires_grad_()])
    for _ in range(3):
        optimizer.zero_grad()
        ours.cross_entropy(leaf, labels).backward()
        optimizer.step()
    assert torch.isfinite(leaf).all()


@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy_value_and_grad", "softmax"])
def test_tensors_for_the_core_functions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = problem()
    x.requires_grad_()
    function = getattr(plain, name)
    results: list[Any] = []
    monkeypatch.setattr(plain, name, lambda *a: results.append(function(*a)) or results[-1])
    rest = () if name == "softmax" else (labels,)
    with fs.use_backend("c"):
        results_of = [getattr(fs, name)(x, *rest)]
        assert results.pop() is not None
        results_of.append(getattr(fs, name)(*(t.detach().numpy() for t in (x, *rest))))
        getattr(fs, name)(torch._neg_view(x.detach()), *rest)
        assert results.pop() is None
    for one, other in zip(*map(np.atleast_1d, map(_flat, results_of)), strict=True):
        assert type(one) is type(other)
        np.testing.assert_array_equal(one, other)


def _flat(result: Any) -> Any:
    return np.concatenate([np.ravel(part) for part in result]) if type(result) is tuple else result


def test_layouts_are_those_of_dlpack() -> None:
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler to compile DLPack's header with")
    here = Path(__file__).parent
    include = Path(torch.__file__).parent / "include"
    command = [compiler, "-std=c11", "-fsyntax-only", "-I", str(here.parents[1] / "csrc")]
    command += ["-I", str(include), str(here / "dlpack_layout.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
def test_without_memory_for_the_gradient() -> None:
    """By the short way and by the long one: an error, and the next call is right."""
    run_python(
        """
    import resource, torch, fastsoftmax.torch as ours
    from fastsoftmax._backends import plain

    def used():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()

    x = torch.linspace(-3, 3, 1 << 23).view(8, -1).requires_grad_()
    labels, few = torch.arange(8), x.detach()[:, :1000].clone().requires_grad_()
    expected = ours.cross_entropy(few, labels)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    short = plain.exchanged_cross_entropy_value_and_grad
    for way in (short, lambda *arguments: None):
        plain.exchanged_cross_entropy_value_and_grad = way
        for _ in range(3):
            resource.setrlimit(resource.RLIMIT_AS, (used() + (4 << 20), hard))
            try:
                ours.cross_entropy(x, labels)
                raise SystemExit("the limit did not hold")
            except (MemoryError, RuntimeError) as error:  # PyTorch's own is the latter
                assert str(error) or type(error) is MemoryError
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
            assert torch.equal(ours.cross_entropy(few, labels), expected)
        loss = ours.cross_entropy(x, labels)
        loss.backward()
        assert torch.isfinite(x.grad).all()
        x.grad = None
    """
    )
