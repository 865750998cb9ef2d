"""The loss of a linear layer: equal to PyTorch's, with all its gradients, without the logits."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest

from ..subprocesses import run_python
from ..test_memory import peak_of
from . import library
from .test_torch import DTYPES, TOLERANCE

torch = library("torch")
functional = torch.nn.functional

import fastsoftmax.torch as ours  # noqa: E402
from fastsoftmax._in_torch import linear, ways  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),
]

N, FEATURES, CLASSES = 9, 5, 7
REDUCTIONS = ("mean", "sum", "none")


def problem(dtype: Any = torch.float64, samples: tuple[int, ...] = (N,), classes: int = CLASSES,
            outer: tuple[int, ...] = ()) -> dict[str, Any]:  # fmt: skip
    """A layer, labels one of which is ignored, probabilities, class weights."""
    generator = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Any:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    labels = torch.randint(classes, samples + outer, generator=generator)
    if labels.numel() > 1:
        labels.view(-1)[1] = -100
    axis = len(samples)
    return {
        "x": normal(*samples, FEATURES).to(dtype),
        "matrix": normal(classes, *outer, FEATURES).to(dtype),
        "bias": normal(classes, *outer).to(dtype),
        "labels": labels,
        "soft": torch.softmax(normal(*samples, classes, *outer), axis).to(dtype),
        "weight": torch.rand(classes, generator=generator, dtype=torch.float64).to(dtype),
        "scales": normal(*samples, *outer),
    }


def composed(
    x: Any,
    matrix: Any,
    target: Any,
    linear_bias: Any = None,
    ignore_index: Any = None,
    **options: Any,
) -> Any:
    """The loss as PyTorch's documentation defines it, which has no need of a new PyTorch."""
    outer = matrix.shape[:-1]
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = functional.linear(x, matrix.reshape(-1, matrix.shape[-1]), bias)
    logits = logits.reshape(*x.shape[:-1], *outer)
    if ignore_index is not None:
        options["ignore_index"] = ignore_index
    return functional.cross_entropy(logits, target, **options)


def value_and_grads(function: Any, p: dict[str, Any], target: Any, scales: Any, with_bias: bool,
                    **options: Any) -> tuple[Any, ...]:  # fmt: skip
    """The loss, and the gradients of its sum with `scales`."""
    names = ("x", "matrix", "bias") if with_bias else ("x", "matrix")
    leaves = [p[name].detach().clone().requires_grad_() for name in names]
    loss = function(*leaves[:2], target, linear_bias=leaves[2] if with_bias else None, **options)
    loss.backward(scales.to(loss.dtype) if loss.dim() == scales.dim() else None)
    return loss.detach(), *(leaf.grad for leaf in leaves)


def assert_near(actual: Any, expected: Any, tolerance: float) -> None:
    torch.testing.assert_close(
        actual.double(), expected.double(), rtol=tolerance, atol=tolerance, equal_nan=True
    )


def wide(p: dict[str, Any]) -> dict[str, Any]:
    return {name: t.double() if t.is_floating_point() else t for name, t in p.items()}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("samples", [(N,), (), (0,)])
@pytest.mark.parametrize("soft", [False, True])
def test_equal_to_torch(samples: tuple[int, ...], dtype: Any, soft: bool) -> None:
    p = problem(dtype, samples)
    exact = wide(p)
    key = "soft" if soft else "labels"
    for reduction, smoothing, weighted, with_bias in itertools.product(
        REDUCTIONS, (0.0, 0.1), (False, True), (False, True)
    ):
        options: dict[str, Any] = {"reduction": reduction, "label_smoothing": smoothing}

        def run(function: Any, p: dict[str, Any], options: Any = options, weighted: bool = weighted,
                with_bias: bool = with_bias) -> Any:  # fmt: skip
            weight = p["weight"] if weighted else None
            return value_and_grads(
                function, p, p[key], p["scales"], with_bias, weight=weight, **options
            )

        actual, expected = run(ours.linear_cross_entropy, p), run(composed, exact)
        own = run(composed, p)
        tolerance = 8 * TOLERANCE[dtype]
        for place, (one, other, theirs) in enumerate(zip(actual, expected, own, strict=True)):
            assert one.dtype == theirs.dtype
            assert one.shape == theirs.shape
            # The mean of nothing has a gradient of zeros here.
            assert_near(one, other if place == 0 else other.nan_to_num(), tolerance)


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_as_near_to_exact_as_torch(dtype: Any) -> None:
    generator = torch.Generator().manual_seed(1)
    p = problem(dtype, (200,), 300)
    p["labels"] = torch.randint(300, (200,), generator=generator)
    arguments = (p["labels"], torch.ones(()), True)
    exact = value_and_grads(composed, wide(p), *arguments)
    actual = value_and_grads(ours.linear_cross_entropy, p, *arguments)
    theirs = value_and_grads(composed, p, *arguments)
    for one, other, right in zip(actual, theirs, exact, strict=True):
        spacing = torch.finfo(dtype).eps * right.abs().max()
        ours_off = (one.double() - right).abs().max()
        assert ours_off <= max((other.double() - right).abs().max(), spacing)


@pytest.mark.skipif(
    not hasattr(functional, "linear_cross_entropy"), reason="this PyTorch has no such function"
)
def test_the_signature_is_torchs() -> None:
    import inspect

    here = inspect.signature(ours.linear_cross_entropy).parameters
    there = inspect.signature(functional.linear_cross_entropy).parameters
    assert list(here) == [*there, "workspace_bytes"]
    for name, parameter in there.items():
        assert here[name].kind == parameter.kind
        assert here[name].default == parameter.default


def test_options_of_torch_change_nothing() -> None:
    chunks = getattr(torch.nn, "LinearCrossEntropyOptions", None)
    if chunks is None:
        pytest.skip("this PyTorch has no LinearCrossEntropyOptions")
    p = problem(torch.float32)
    arguments = (p["x"], p["matrix"], p["labels"])
    assert torch.equal(
        ours.linear_cross_entropy(*arguments, options=chunks()),
        ours.linear_cross_entropy(*arguments),
    )


@pytest.mark.parametrize("ignore_index", [-1, 2, 50])
def test_ignored_labels(ignore_index: int) -> None:
    p = problem()
    labels = torch.where(p["labels"] == -100, ignore_index, p["labels"])
    for reduction, weighted in itertools.product(REDUCTIONS, (False, True)):
        options = {"reduction": reduction, "weight": p["weight"] if weighted else None}
        arguments = (p, labels, p["scales"], True)
        actual = value_and_grads(
            ours.linear_cross_entropy, *arguments, ignore_index=ignore_index, **options
        )
        expected = value_and_grads(composed, *arguments, ignore_index=ignore_index, **options)
        for one, other in zip(actual, expected, strict=True):
            assert_near(one, other, 1e-12)


@pytest.mark.parametrize("soft", [False, True])
def test_more_dimensions(soft: bool) -> None:
    p = problem(outer=(3, 2))
    p["labels"] = p["labels"].clamp(min=0)
    for reduction in REDUCTIONS:
        arguments = (p, p["soft" if soft else "labels"], p["scales"], True)
        actual = value_and_grads(ours.linear_cross_entropy, *arguments, reduction=reduction)
        expected = value_and_grads(composed, *arguments, reduction=reduction)
        for one, other in zip(actual, expected, strict=True):
            assert_near(one, other, 1e-12)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("samples", [(4,), ()])
def test_derivatives(soft: bool, samples: tuple[int, ...]) -> None:
    p = problem(samples=samples, classes=4)
    inputs = [p[name].requires_grad_() for name in ("x", "matrix", "bias")]
    target = p["soft" if soft else "labels"]
    for reduction, smoothing, weight in itertools.product(
        REDUCTIONS, (0.0, 0.1), (None, p["weight"])
    ):

        def loss(x: Any, matrix: Any, bias: Any, reduction: str = reduction,
                 smoothing: float = smoothing, weight: Any = weight) -> Any:  # fmt: skip
            return ours.linear_cross_entropy(
                x, matrix, target, linear_bias=bias, weight=weight, reduction=reduction,
                label_smoothing=smoothing,
            )  # fmt: skip

        assert torch.autograd.gradcheck(loss, inputs, check_batched_grad=True)
        if smoothing:
            assert torch.autograd.gradgradcheck(loss, inputs)


def test_derivatives_of_a_layer_with_itself() -> None:
    x = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    for reduction in REDUCTIONS:

        def loss(x: Any, reduction: str = reduction) -> Any:
            return ours.linear_cross_entropy(x, x, torch.arange(4), reduction=reduction)

        assert torch.autograd.gradcheck(loss, (x,))
        assert torch.autograd.gradgradcheck(loss, (x,))


def test_targets_and_weights_with_a_gradient() -> None:
    p = problem()
    soft, weight = p["soft"].requires_grad_(), p["weight"].requires_grad_()
    arguments = (p["x"], p["matrix"], soft)
    for inputs, options in (((soft,), {}), ((soft, weight), {"weight": weight})):
        actual = torch.autograd.grad(ours.linear_cross_entropy(*arguments, **options), inputs)
        expected = torch.autograd.grad(composed(*arguments, **options), inputs)
        for one, other in zip(actual, expected, strict=True):
            assert_near(one, other, 1e-12)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_backward_more_than_once(reduction: str) -> None:
    p = problem()
    inputs = [p[name].requires_grad_() for name in ("x", "matrix", "bias")]
    loss = ours.linear_cross_entropy(*inputs[:2], p["labels"], linear_bias=inputs[2],
                                     reduction=reduction).sum()  # fmt: skip
    first = torch.autograd.grad(loss, inputs, retain_graph=True)
    kept = [grad.clone() for grad in first]
    scaled = torch.autograd.grad(-3 * loss, inputs, retain_graph=True)
    last = torch.autograd.grad(loss, inputs)
    for one, before, three, again in zip(first, kept, scaled, last, strict=True):
        assert torch.equal(one, before)
        assert torch.equal(again, before)
        torch.testing.assert_close(three, -3 * before)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, inputs)


def test_the_gradients_are_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def noted(*arguments: Any) -> Any:
        loss, grads = evaluate(*arguments)
        made.extend(grad.data_ptr() for grad in grads)
        return loss, grads

    evaluate = linear.evaluate_layer
    monkeypatch.setattr(linear, "evaluate_layer", noted)
    for factor in (1.0, 2.0):
        p = problem(torch.float32, (64,), 100)
        inputs = [p[name].requires_grad_() for name in ("x", "matrix", "bias")]
        (ours.linear_cross_entropy(*inputs[:2], p["labels"], linear_bias=inputs[2]) * factor
         ).backward()  # fmt: skip
        assert [leaf.grad.data_ptr() for leaf in inputs] == made
        made.clear()


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_only_what_is_wanted_is_computed(reduction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import fastsoftmax

    asked: list[Any] = []
    core = fastsoftmax.linear_cross_entropy_value_and_grad

    def noted(*arguments: Any, **options: Any) -> Any:
        asked.append(options["wrt"])
        return core(*arguments, **options)

    monkeypatch.setattr(fastsoftmax, "linear_cross_entropy_value_and_grad", noted)
    p = problem()
    names = {"x": "x", "matrix": "weight", "bias": "bias"}
    whole = dict(zip(names, value_and_grads(
        composed, p, p["labels"], torch.ones(N), True, reduction=reduction)[1:], strict=True,
    ))  # fmt: skip
    for count in range(4):
        for some in itertools.combinations(names, count):
            asked.clear()
            leaves = {n: p[n].detach().clone().requires_grad_(n in some) for n in names}
            loss = ours.linear_cross_entropy(
                leaves["x"], leaves["matrix"], p["labels"], linear_bias=leaves["bias"],
                reduction=reduction,
            )  # fmt: skip
            assert loss.requires_grad == bool(some)
            if some:
                loss.sum().backward()
            wanted = [names[name] for name in some]
            both = [[], wanted] if reduction == "none" and some else [wanted]
            assert asked == both
            for name, leaf in leaves.items():
                if name in some:
                    assert_near(leaf.grad, whole[name], 1e-12)
                else:
                    assert leaf.grad is None
    with torch.no_grad():
        asked.clear()
        x = p["x"].requires_grad_()
        assert not ours.linear_cross_entropy(x, p["matrix"], p["labels"]).requires_grad
        assert asked == [[]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_factors_of_samples_that_are_negative_zero_or_not_finite(dtype: Any) -> None:
    p = problem(dtype)
    for scales in ([1.0, -2.0, 0.0] * 3, [-1.0] * N, [0.0] * N):
        arguments = (torch.tensor(scales, dtype=torch.float64), True)
        actual = value_and_grads(
            ours.linear_cross_entropy, p, p["labels"], *arguments, reduction="none"
        )
        expected = value_and_grads(composed, wide(p), p["labels"], *arguments, reduction="none")
        for one, other in zip(actual, expected, strict=True):
            assert_near(one, other, 8 * TOLERANCE[dtype])
    scales = torch.ones(N, dtype=torch.float64)
    scales[0] = torch.inf
    _, dx, dmatrix, _ = value_and_grads(
        ours.linear_cross_entropy, p, p["labels"], scales, True, reduction="none"
    )
    assert not dx[0].isfinite().any()
    assert dx[1:].isfinite().all()
    assert not dmatrix.isfinite().any()


def test_a_confident_sample_keeps_its_gradient() -> None:
    head = torch.tensor([[20.0], [0.0], [0.0], [0.0]], requires_grad=True)
    x = torch.ones(1, 1, requires_grad=True)
    exact = -3 * np.exp(-20.0) / (1 + 3 * np.exp(-20.0))
    ours.linear_cross_entropy(x, head, torch.tensor([0])).backward()
    assert float(head.grad[0, 0]) == pytest.approx(exact, rel=1e-6)
    assert float(x.grad[0, 0]) == pytest.approx(20 * exact, rel=1e-6)
    head.grad = None
    composed(x, head, torch.tensor([0])).backward()
    assert float(head.grad[0, 0]) == 0.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_scaled_losses_in_float16_keep_small_gradients(sign: float) -> None:
    head = torch.tensor([[14.0], [0.0], [0.0], [0.0]], dtype=torch.float16, requires_grad=True)
    x = torch.full((1, 1), 1 / 64, dtype=torch.float16, requires_grad=True)
    bias = torch.tensor([10.0, 0.0, 0.0, 0.0], dtype=torch.float16, requires_grad=True)
    leaves = (head, x, bias)
    loss = ours.linear_cross_entropy(x, head, torch.tensor([0]), linear_bias=bias)
    (loss.float() * (sign * 1024)).backward()
    precise = [leaf.detach().double().requires_grad_() for leaf in leaves]
    (composed(precise[1], precise[0], torch.tensor([0]), precise[2]) * (sign * 1024)).backward()
    for leaf, right in zip(leaves, precise, strict=True):
        assert leaf.grad.dtype is torch.float16
        torch.testing.assert_close(leaf.grad.double(), right.grad, rtol=1e-3, atol=2e-7)


def test_probabilities_of_another_dtype() -> None:
    p = problem(torch.float32)
    for target in (p["soft"].double(), p["soft"].bfloat16()):
        arguments = (p, target, p["scales"], True)
        actual = value_and_grads(ours.linear_cross_entropy, *arguments)
        expected = value_and_grads(composed, *arguments)
        for one, other in zip(actual, expected, strict=True):
            assert one.dtype == other.dtype
            assert_near(one, other, 2e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("head", DTYPES)
def test_autocast(dtype: Any, head: Any) -> None:
    if (dtype is torch.float64) != (head is torch.float64):
        pytest.skip("PyTorch does not multiply float64 with what autocast converts")
    p = problem(dtype)
    for name in ("matrix", "bias"):
        p[name] = p[name].to(head)
    for reduction, key in itertools.product(("mean", "none"), ("labels", "soft")):
        arguments = (p, p[key], p["scales"], True)
        exact = value_and_grads(composed, wide(p), *arguments[1:], reduction=reduction)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            actual = value_and_grads(ours.linear_cross_entropy, *arguments, reduction=reduction)
            theirs = value_and_grads(composed, *arguments, reduction=reduction)
        for one, own in zip(actual, theirs, strict=True):
            assert one.dtype == own.dtype
        tolerance = 1e-12 if dtype is torch.float64 else 4e-6
        assert_near(actual[0], exact[0], tolerance)
        for one, right in zip(actual[1:], exact[1:], strict=True):
            assert_near(one, right, 8 * TOLERANCE[one.dtype])


def test_layouts() -> None:
    p = problem(torch.float32, (64,), 100)
    x = torch.randn(FEATURES, 128, generator=torch.Generator().manual_seed(0))[:, ::2].T
    matrix = p["matrix"].T.contiguous().T
    for one in (x, x.flip(0)):
        p |= {"x": one, "matrix": matrix}
        actual = value_and_grads(ours.linear_cross_entropy, p, p["labels"], p["scales"], True)
        expected = value_and_grads(composed, p, p["labels"], p["scales"], True)
        for mine, theirs in zip(actual, expected, strict=True):
            assert_near(mine, theirs, 4e-6)


def test_memory() -> None:
    """Beside the gradients, what was allowed; the logits would be 305 MiB."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20_000, 16, generator=generator).requires_grad_()
    head = torch.nn.Linear(16, 4000)
    labels = torch.randint(4000, (20_000,), generator=generator)
    workspace = 4 << 20

    def step() -> None:
        x.grad = None
        head.zero_grad()
        ours.linear_cross_entropy(
            x, head.weight, labels, linear_bias=head.bias, workspace_bytes=workspace
        ).backward()

    results = (x.numel() + head.weight.numel() + head.bias.numel()) * 4
    assert results < peak_of(step) < results + workspace + (1 << 19)
    # What PyTorch itself allocates: none of the results, and nothing large for a moment.
    with torch.profiler.profile(profile_memory=True) as profile:
        step()
    own = [event.cpu_memory_usage for event in profile.events() if event.cpu_memory_usage > 0]
    assert 0 < sum(own) < 1 << 16


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_training_of_a_head(reduction: str) -> None:
    p = problem(torch.float32, (300,), 20)
    x = p["x"]
    labels = (x @ p["matrix"].T).argmax(1)

    def train(loss: Any) -> list[float]:
        torch.manual_seed(0)
        body, head = torch.nn.Linear(FEATURES, 16), torch.nn.Linear(16, 20)
        optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.5)
        losses = []
        for _ in range(40):
            optimizer.zero_grad()
            value = loss(torch.relu(body(x)), head.weight, labels, linear_bias=head.bias,
                         reduction=reduction).mean()  # fmt: skip
            value.backward()
            optimizer.step()
            losses.append(value.item())
        return losses

    actual, expected = train(ours.linear_cross_entropy), train(composed)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    assert actual[-1] < 0.6 * actual[0]


OPERATORS = torch.ops.fastsoftmax
# PyTorch 2.14's own check reads .grad of the copies that it makes.
CHECKED = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@CHECKED
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("soft", [False, True])
def test_operators(soft: bool, dtype: Any) -> None:
    p = problem(dtype)
    target = p["soft" if soft else "labels"]
    compute = torch.promote_types(dtype, torch.float32)
    x, matrix = p["x"].to(compute), p["matrix"].T.contiguous().T
    x, matrix = x.requires_grad_(), matrix.requires_grad_()
    for bias, weight, reduction in itertools.product(
        (None, p["bias"].requires_grad_()), (None, p["weight"]), ("mean", "none")
    ):
        wanted = [reduction != "none"] * 2 + [bias is not None and reduction != "none"]
        arguments = (x, matrix, bias, target, weight, -100, reduction, 0.1, 1 << 20)
        torch.library.opcheck(OPERATORS.linear_cross_entropy.default, (*arguments, *wanted))
        detached = [t.detach() if isinstance(t, torch.Tensor) else t for t in arguments]
        torch.library.opcheck(
            OPERATORS.linear_cross_entropy_grad.default,
            (p["scales"].to(compute), *detached, True, False, True),
        )


@pytest.mark.parametrize("engine", ["aot_eager", "inductor"])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_compiled_training_step(engine: str, reduction: str) -> None:
    p = problem(torch.float32)
    torch.manual_seed(0)
    body, head = torch.nn.Linear(FEATURES, 8), torch.nn.Linear(8, CLASSES)

    def step(x: Any, labels: Any) -> Any:
        losses = ours.linear_cross_entropy(
            torch.relu(body(x)), head.weight, labels, linear_bias=head.bias, reduction=reduction
        )
        return (losses * torch.arange(-3.0, 6.0)).sum() if losses.dim() else 2 * losses

    parameters = [*body.parameters(), *head.parameters()]
    expected = torch.autograd.grad(step(p["x"], p["labels"]), parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss = torch.compile(step, backend=engine, fullgraph=True)(p["x"], p["labels"])
        actual = torch.autograd.grad(loss, parameters)
    torch.testing.assert_close(loss, step(p["x"], p["labels"]))
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_compiled_for_any_number_of_samples_under_autocast() -> None:
    p = problem(torch.float32)
    matrix = p["matrix"].requires_grad_()

    def loss_of(x: Any, labels: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return ours.linear_cross_entropy(x.bfloat16(), matrix.bfloat16(), labels)

    compiled = torch.compile(loss_of, backend="aot_eager", fullgraph=True, dynamic=True)
    for count in (N, 5, 4):
        losses = [f(p["x"][:count], p["labels"][:count]) for f in (compiled, loss_of)]
        grads = [torch.autograd.grad(loss, matrix)[0] for loss in losses]
        assert losses[0].dtype is torch.float32
        assert torch.equal(*losses)
        assert torch.equal(*grads)


def test_traced_by_torch_jit() -> None:
    p = problem(torch.float32)
    arguments = (p["x"], p["matrix"], p["labels"])
    with warnings.catch_warnings():
        # Shapes that a program looks at are constants from then on, as in PyTorch's own function.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = torch.jit.trace(ours.linear_cross_entropy, arguments)
    torch.testing.assert_close(traced(-p["x"], *arguments[1:]), composed(-p["x"], *arguments[1:]))


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed(reentrant: bool) -> None:
    from torch.utils.checkpoint import checkpoint

    p = problem()
    x, matrix = p["x"].requires_grad_(), p["matrix"].requires_grad_()

    def run(loss: Any) -> Any:
        def whole(x: Any) -> Any:
            return loss(torch.tanh(x), matrix, p["labels"])

        x.grad = matrix.grad = None
        checkpoint(whole, x, use_reentrant=reentrant).backward()
        return x.grad, matrix.grad

    for one, other in zip(run(ours.linear_cross_entropy), run(composed), strict=True):
        assert_near(one, other, 1e-12)


def test_the_compiled_loss_does_not_make_the_logits() -> None:
    from torch.fx.experimental.proxy_tensor import make_fx

    p = problem(torch.float32)
    x, matrix = p["x"].requires_grad_(), p["matrix"].requires_grad_()

    def step(x: Any, matrix: Any) -> Any:
        loss = ours.linear_cross_entropy(x, matrix, p["labels"])
        return torch.autograd.grad(loss, (x, matrix))

    graph = make_fx(step)(x, matrix)
    targets = {str(node.target) for node in graph.graph.nodes}
    assert "fastsoftmax.linear_cross_entropy.default" in targets
    assert not any("mm" in target for target in targets)


def test_transforms() -> None:
    from torch.func import grad, jvp, vmap

    p = problem(samples=(3, N))
    labels = p["labels"].clamp(min=0)
    inputs = (p["x"], p["matrix"])

    def per_member(f: Any) -> Any:
        losses = grad(lambda x, matrix, t: f(x, matrix, t).sum(), argnums=(0, 1))
        return vmap(losses, in_dims=(0, None, 0))(*inputs, labels)

    for one, other in zip(per_member(ours.linear_cross_entropy), per_member(composed), strict=True):
        assert_near(one, other, 1e-12)
    primals = (p["x"][0], p["matrix"])
    tangents = tuple(map(torch.ones_like, primals))
    for one, other in zip(
        jvp(lambda x, m: ours.linear_cross_entropy(x, m, labels[0]), primals, tangents),
        jvp(lambda x, m: composed(x, m, labels[0]), primals, tangents),
        strict=True,
    ):
        assert_near(one, other, 1e-12)


@pytest.mark.parametrize("has_own", [True, False])
def test_other_devices_go_to_torch_with_one_warning(
    has_own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "_told", [])
    if not has_own:
        monkeypatch.setattr(linear, "_in_torch", None)
    p = problem()
    arguments = [p[name].to("meta") for name in ("x", "matrix", "labels")]
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        losses = [ours.linear_cross_entropy(*arguments, reduction=r) for r in ("mean", "none")]
    assert [loss.device.type for loss in losses] == ["meta", "meta"]
    assert [loss.shape for loss in losses] == [(), (N,)]
    assert ["works on the CPU" in str(warning.message) for warning in record] == [True]


def test_without_the_function_in_torch() -> None:
    script = (
        "import torch\n"
        "from torch.nn import functional\n"
        "for place, name in ((functional, 'linear_cross_entropy'),\n"
        "                    (torch.nn, 'LinearCrossEntropyOptions')):\n"
        "    if hasattr(place, name):\n"
        "        delattr(place, name)\n"
        "from fastsoftmax.torch import linear_cross_entropy\n"
        "head = torch.zeros(4, 2, requires_grad=True)\n"
        "loss = linear_cross_entropy(torch.ones(3, 2), head, torch.arange(3))\n"
        "loss.backward()\n"
        "print(f'{loss.item():.4f}', round(head.grad.abs().sum().item(), 4))\n"
    )
    assert run_python(script).stdout.split() == ["1.3863", "1.0"]


def test_errors() -> None:
    p = problem()
    x, matrix, labels = p["x"], p["matrix"], p["labels"]
    run = ours.linear_cross_entropy
    for kind in (IndexError, ValueError):
        with pytest.raises(kind, match=r"targets\[2\] = 7 is out of range for 7 classes"):
            run(x[:3], matrix, torch.tensor([0, 1, 7]))
    for shapes, message in (
        ((x[None], matrix), r"input must be of shape \(in_features\) or \(N, in_features\)"),
        ((x[0, 0], matrix), "input must be of shape"),
        ((x, matrix[0]), r"linear_weight must be of shape \(C, in_features\)"),
        ((x, matrix[:, 1:]), "is for 4 features, but input of shape .* has 5"),
        ((x[0], matrix[:, None]), r"needs input of shape \(N, 5\)"),
    ):
        with pytest.raises(ValueError, match=message):
            run(*shapes, labels)
    with pytest.raises(ValueError, match=r"linear_bias must be of shape \(7,\), not \(6,\)"):
        run(x, matrix, labels, linear_bias=torch.ones(6).double())
    with pytest.raises(ValueError, match="ignore_index = -100 is for labels"):
        run(x, matrix, p["soft"], ignore_index=-100)
    with pytest.raises(TypeError, match="probabilities and must be floating-point"):
        run(x, matrix, p["soft"].long())
    with pytest.raises(TypeError, match=r"must be floating-point, not torch\.int64"):
        run(x.long(), matrix, labels)
    with pytest.raises(TypeError, match=r"must be of one dtype, not torch\.float64 and"):
        run(x, matrix.float(), labels)
    with pytest.raises(TypeError, match="input and linear_bias must be of one dtype"):
        run(x, matrix, labels, linear_bias=p["bias"].float())
    with pytest.raises(ValueError, match="must be labels of shape"):
        run(x, matrix, labels[:2])
    with pytest.raises(ValueError, match="reduction"):
        run(x, matrix, labels, reduction="median")
    with pytest.raises(ValueError, match="is negative"):
        run(x, matrix, labels, weight=-torch.ones(7))
    with pytest.raises(ValueError, match="workspace_bytes must be at least"):
        run(x, matrix, labels, workspace_bytes=1)
