"""Shards of the classes: their partial states, and what the merged state makes of them."""

from __future__ import annotations

from typing import SupportsFloat, SupportsIndex, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from .._arguments.arrays import FLOAT32, cast, check_logits
from .._arguments.layout import canonical
from .._arguments.options import check_reduction, check_sample_weight
from .._arguments.outputs import check_out, new_like, separate, separate_all, store
from .._control import resolve_backend, resolve_num_threads
from .._pairs import Pair, plus
from .._sums import accurate_sum
from .._typing import Array, ArrayLike, BackendName, Float, Float64Array
from ..typing import CallOptions, CrossEntropyOptions, OutputArray, Reduction
from .gradients import Gradient, row_numbers
from .losses import check_divisor
from .state import (
    DISTANCE,
    MASS,
    STATE_SIZE,
    TOP,
    State,
    check_state,
    log_of_sum,
    weighted_distance,
)
from .targets import ShardTargets, check_shard_targets

__all__ = ["cross_entropy_grad", "log_softmax", "partial_state", "softmax"]


def partial_state(
    logits: ArrayLike,
    targets: ArrayLike | None = None,
    axis: SupportsIndex = -1,
    *,
    first_class: SupportsIndex = 0,
    num_classes: SupportsIndex | None = None,
    weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Float64Array:
    r"""Compute what a worker's share of the classes says of its samples, to be merged with others.

    The states of all shards, merged by `merge_states`, give the loss and the logarithm of the sum
    of exponentials, and let each shard make its own part of the probabilities and of the gradient.

    Parameters
    ----------
    logits : array_like
        Of the shard's classes, side by side among all, and of any shape: as in
        `fastsoftmax.softmax`. All shards should have one dtype.
    targets : array_like, optional
        Labels: integers from 0 to `num_classes` - 1, of the shape of `logits` without `axis`, the
        same for all shards. Or the shard's own part of the probabilities, of the shape of `logits`.
        Without targets the state serves for `softmax`, `log_softmax` and `logsumexp`.
    axis : int, default -1
        The axis of the classes.
    first_class : int, default 0
        The number of the shard's first class.
    num_classes : int, optional
        How many classes there are in all shards. By default as many as there are weights, else
        as if the shard were the last one; with `label_smoothing` one of the two must be said.
    weight : array_like, optional
        The weights of all classes, not only the shard's, not negative; by default 1.
    ignore_index : int, optional
        Samples with this label have no targets.
    label_smoothing : float, default 0.0
        The share in [0, 1] of each target that is spread over all classes.
    backend : {"c", "numba", "numpy"}, optional
        By default the one in effect, see `get_backend`.
    num_threads : int, optional
        By default the number in effect, see `get_num_threads`.

    Returns
    -------
    ndarray of float64
        The state, 64 bytes a sample: of the shape of the samples, and along a last axis the
        `STATE_SIZE` numbers that the module's documentation lists.

    Raises
    ------
    ValueError
        If a label is no class, the shard has classes beyond `num_classes`, a shape does not fit, a
        weight is negative, an option is unknown, or there are no classes.
    TypeError
        If a dtype is of the wrong kind.
    numpy.exceptions.AxisError
        If `logits` has no such axis.
    ImportError
        If the backend is not installed.

    Notes
    -----
    Probabilities with class weights or smoothing are written out: an array of their size.

    Examples
    --------
    >>> from fastsoftmax import sharded
    >>> left = sharded.partial_state([[2.0, 1.0]], [3], num_classes=4)
    >>> right = sharded.partial_state([[0.0, 1.0]], [3], first_class=2, num_classes=4)
    >>> state = sharded.merge_states([left, right])
    >>> round(float(sharded.cross_entropy(state, [3])), 6)
    1.626523
    """
    kernels = resolve_backend(backend)
    threads = resolve_num_threads(num_threads)
    x, axis, _ = check_logits(logits, axis, "logits")
    x, given = check_shard_targets(
        x, axis, targets, first_class, num_classes, weight, ignore_index, label_smoothing
    )
    state = np.zeros((*x.shape[:axis], *x.shape[axis + 1 :], STATE_SIZE))
    if not x.size:
        return state
    (rows, t, y, columns), pending = canonical(
        axis, (x, *given.arrays(), np.moveaxis(state, -1, axis)), 1
    )
    of_rows = given.with_arrays(t, y)
    if t is not None:
        of_rows.count(kernels, given, None)
    columns[..., DISTANCE:] = 0.0
    kernels.partial_state(rows, of_rows.dense(rows), columns, threads)
    if t is not None:
        with np.errstate(all="ignore"):
            _add_labels(rows, of_rows, columns)
    for place, temporary in pending:
        np.copyto(place, temporary)
    return state


def _add_labels(x: Array, targets: ShardTargets, columns: Float64Array) -> None:
    """Add each label's own target, and take all from samples that are ignored."""
    if (ignored := targets.ignored()) is not None:
        columns[ignored, DISTANCE:] = 0.0
    local, own = targets.own(x.shape[2])
    (outer, inner) = places = np.nonzero(own)
    if not outer.size:
        return
    rows, own = columns[places], own[places]
    s = State.of(rows)
    logit = x[outer, inner, local[places]].astype(np.float64)
    is_top = (logit == s.maximum) & s.is_finite
    mass = Pair(own, np.zeros(own.shape))
    distance = weighted_distance(mass, s.maximum, logit)
    others = Pair(np.where(is_top, 0.0, own), mass.lo)
    if targets.is_dense():
        distance, others = plus(s.distance, distance), plus(s.mass, others)
    # At -inf nothing is known of how far the maximum is but that it is infinitely far.
    lowest = s.maximum == -np.inf
    rows[:, DISTANCE] = np.where(lowest, np.inf, distance.hi)
    rows[:, DISTANCE + 1] = np.where(lowest, 0.0, distance.lo)
    rows[:, TOP] += np.where(is_top, own, 0.0)
    rows[:, MASS], rows[:, MASS + 1] = others
    columns[places] = rows


@overload
def softmax(
    logits: NDArray[Float],
    state: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> NDArray[Float]: ...


@overload
def softmax(
    logits: ArrayLike,
    state: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> Array: ...


def softmax(
    logits: ArrayLike,
    state: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    out: OutputArray | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Array:
    """Turn a shard's logits into its part of the probabilities.

    Parameters
    ----------
    logits : array_like
        The shard's logits, those that `partial_state` was given.
    state : array_like
        The merged state of all shards.
    axis : int, default -1
        The axis of the classes.
    out : ndarray, optional
        Where to put the result: of its shape and dtype. May be `logits` itself, or overlap it.
    backend, num_threads
        As in `partial_state`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `logits`; `out` if it was given. Each probability is within 2 ulp
        of what it is among all classes.

    Raises
    ------
    ValueError, TypeError, numpy.exceptions.AxisError, ImportError
        As in `partial_state`. Nothing is written then.

    Examples
    --------
    >>> from fastsoftmax import sharded
    >>> shards = [[0.0, 0.0]], [[0.0, 0.0]]
    >>> state = sharded.merge_states([sharded.partial_state(shard) for shard in shards])
    >>> sharded.softmax(shards[0], state).tolist()
    [[0.25, 0.25]]
    """
    kernels = resolve_backend(backend)
    threads = resolve_num_threads(num_threads)
    x, axis, dtype = check_logits(logits, axis, "logits")
    whole = check_state(state, x.shape[:axis] + x.shape[axis + 1 :])
    out = check_out(out, x.shape, dtype)
    if out is not None:
        x = separate(x, out, True)
    work = new_like(out, x, x.dtype)
    if x.size:
        (rows, columns, results), pending = canonical(
            axis, (x, np.moveaxis(whole, -1, axis), work), 1
        )
        with np.errstate(all="ignore"):
            one = Pair(np.ones(()), np.zeros(()))
            numbers = row_numbers(State.of(columns), one, x.dtype == np.float64)
        kernels.shard_exponentials(rows, None, numbers, results, threads)
        for place, temporary in pending:
            np.copyto(place, temporary)
    return store(work, out, dtype)


@overload
def log_softmax(
    logits: NDArray[Float],
    state: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> NDArray[Float]: ...


@overload
def log_softmax(
    logits: ArrayLike,
    state: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    out: OutputArray | None = None,
    **options: Unpack[CallOptions],
) -> Array: ...


def log_softmax(
    logits: ArrayLike,
    state: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    out: OutputArray | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Array:
    """Turn a shard's logits into its part of the logarithms of the probabilities.

    Parameters
    ----------
    logits, state, axis, out, backend, num_threads
        As in `softmax`. This is NumPy's work whatever the backend is: two differences.

    Returns
    -------
    ndarray
        Of the shape and dtype of `logits`; `out` if it was given.

    Raises
    ------
    ValueError, TypeError, numpy.exceptions.AxisError, ImportError
        As in `softmax`.

    Examples
    --------
    >>> from fastsoftmax import sharded
    >>> shards = [[100.0, 0.0]], [[0.0, 0.0]]
    >>> state = sharded.merge_states([sharded.partial_state(shard) for shard in shards])
    >>> print(*(f"{entry:.6e}" for entry in sharded.log_softmax(shards[0], state)[0]))
    -1.116023e-43 -1.000000e+02
    """
    resolve_backend(backend)
    resolve_num_threads(num_threads)
    x, axis, dtype = check_logits(logits, axis, "logits")
    if dtype.itemsize == 2:
        x = cast(x, FLOAT32)
    whole = check_state(state, x.shape[:axis] + x.shape[axis + 1 :])
    out = check_out(out, x.shape, dtype)
    if out is not None:
        x = separate(x, out, True)
    work = new_like(out, x, x.dtype)
    with np.errstate(all="ignore"):
        s = State.of(whole)
        logs = np.expand_dims(log_of_sum(s).astype(x.dtype), axis)
        np.subtract(x, np.expand_dims(s.maximum.astype(x.dtype), axis), out=work)
        np.subtract(work, logs, out=work)
    return store(work, out, dtype)


@overload
def cross_entropy_grad(
    logits: NDArray[Float],
    targets: ArrayLike,
    state: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    first_class: SupportsIndex = 0,
    num_classes: SupportsIndex | None = None,
    reduction: Reduction = "mean",
    divisor: SupportsFloat | None = None,
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> NDArray[Float]: ...


@overload
def cross_entropy_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    state: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    first_class: SupportsIndex = 0,
    num_classes: SupportsIndex | None = None,
    reduction: Reduction = "mean",
    divisor: SupportsFloat | None = None,
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> Array: ...


def cross_entropy_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    state: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    first_class: SupportsIndex = 0,
    num_classes: SupportsIndex | None = None,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    reduction: Reduction = "mean",
    divisor: SupportsFloat | None = None,
    out: OutputArray | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Array:
    """Compute a shard's part of the gradient of the cross-entropy with respect to its logits.

    Parameters
    ----------
    logits : array_like
        The shard's logits, those that `partial_state` was given.
    targets : array_like
        What it was given too, and so are all options that it shares with this function.
    state : array_like
        The merged state of all shards.
    axis, first_class, num_classes, weight, ignore_index, label_smoothing
        As in `partial_state`.
    sample_weight : array_like, optional
        The weights of the samples, not negative, of the shape of the labels; by default 1.
    reduction : {"mean", "sum", "none"}, default "mean"
        ``"mean"`` divides as `fastsoftmax.cross_entropy_grad` does.
    divisor : float, optional
        Divide by this instead: the total weight of the samples of all workers, where they have
        shards of the samples too. The gradient over 0 is all 0.
    out : ndarray, optional
        Where to put the gradient: of its shape and dtype. May be `logits` itself, or overlap it.
    backend, num_threads
        As in `partial_state`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `logits`; `out` if it was given. Each entry is within 4 ulp of
        what it is among all classes, also at a label whose probability rounds to 1.

    Raises
    ------
    ValueError, TypeError, numpy.exceptions.AxisError, ImportError
        As in `partial_state`. Nothing is written then.

    Examples
    --------
    >>> from fastsoftmax import sharded
    >>> left, right = [[100.0, 0.0]], [[0.0, 0.0]]
    >>> state = sharded.merge_states(
    ...     [
    ...         sharded.partial_state(left, [0], num_classes=4),
    ...         sharded.partial_state(right, [0], first_class=2, num_classes=4),
    ...     ]
    ... )
    >>> gradient = sharded.cross_entropy_grad(left, [0], state, num_classes=4)
    >>> print(*(f"{entry:.6e}" for entry in gradient[0]))
    -1.116023e-43 3.720076e-44
    """
    kernels = resolve_backend(backend)
    threads = resolve_num_threads(num_threads)
    check_reduction(reduction, False)
    over = check_divisor(divisor)
    x, axis, dtype = check_logits(logits, axis, "logits")
    samples = x.shape[:axis] + x.shape[axis + 1 :]
    x, given = check_shard_targets(
        x, axis, targets, first_class, num_classes, weight, ignore_index, label_smoothing
    )
    whole = check_state(state, samples)
    sw = None if sample_weight is None else check_sample_weight(sample_weight, samples)
    out = check_out(out, x.shape, dtype)
    if out is not None:
        x = separate(x, out, True)
        *arrays, whole, sw = separate_all((*given.arrays(), whole, sw), out)
        given = given.with_arrays(*arrays)
    work = new_like(out, x, x.dtype)
    if not x.size:
        return store(work, out, dtype)
    (rows, t, y, s, columns, results), pending = canonical(
        axis, (x, *given.arrays(), sw, np.moveaxis(whole, -1, axis), work), 1
    )
    of_rows = given.with_arrays(t, y)
    counted = None if t is None else of_rows.count(kernels, given, s)
    if over is None:
        over = 1.0 if reduction != "mean" else _divisor(counted, rows, s)
    if over == 0.0:
        work.fill(0.0)
        return store(work, out, dtype)
    with np.errstate(all="ignore"):
        gradient = Gradient.of(rows, of_rows, columns, s, over)
    kernels.shard_exponentials(rows, gradient.dense, gradient.numbers, results, threads)
    gradient.finish(results)
    for place, temporary in pending:
        np.copyto(place, temporary)
    return store(work, out, dtype)


def _divisor(counted: float | None, rows: Array, sample_weight: Array | None) -> float:
    if counted is not None:
        return counted
    if sample_weight is None:
        return float(rows.shape[0] * rows.shape[1])
    return accurate_sum(sample_weight)
