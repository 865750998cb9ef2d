"""The losses and gradients of a block's rows, over targets of either kind.

L = sum_k y_k (lse - f_k), and dL/df_k = Y p_k - y_k with Y = sum y. Written so that nothing cancels
in a confident row: lse - f_k = (M - f_k) + log(1 + rest / top), two terms that are not negative,
and at one class of each row, the target of a label or else the argmax, p - 1 is taken as minus the
others' share.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .block import accumulate, row_values
from .compilation import jitted
from .memory import load_lanes
from .numba_api import types
from .pack import finish
from .real import distance_unit, large_distance_unit, room, small_distances
from .rows import (
    exponentials_of,
    factors_of,
    find_peaks,
    log_of_rest,
    part_of,
    pick,
    put,
    scale_rows,
    share_of,
    sum_of_all,
    sum_rest,
    take_powers,
    times_factor,
    wide_factors,
)
from .staging import Bool, Int, Pointer, Wide, staged
from .sums import (
    Sum,
    acc_add,
    acc_add_product,
    sum_error,
    sum_negative,
    sum_of,
    sum_plus,
    sum_product,
    sum_times,
    sum_value,
    sum_zero,
)
from .targets import are_uniform, blank_ignored, is_dense, read_targets, uniform_targets
from .words import (
    absolute,
    any_lane,
    fma,
    iota,
    is_double,
    is_finite,
    select,
    splat,
    splat_index,
    to_float64,
    to_real,
)

__all__ = ["find_gradients", "sum_dense", "work_rows", "write_gradient"]


class DenseSums(NamedTuple):
    total: Any  # Y
    below: Any  # sum y (M - f)


class BelowMaximum(NamedTuple):
    x: Pointer
    y: Pointer
    maximum: Wide  # times distance_unit


@staged
def total_step(c: Any, offset: Int, lanes: Int, offset2: Int, lanes2: Int, acc: Any) -> Any:
    acc = acc_add(acc, load_lanes(c.y, offset, lanes, 0))
    return acc_add(acc, load_lanes(c.y, offset2, lanes2, 0))


def below_at(c: Any, offset: Int, lanes: Int) -> tuple[Wide, Wide]:
    """y and M - f."""
    y, f = load_lanes(c.y, offset, lanes, 0), load_lanes(c.x, offset, lanes, 0)
    # In a small unit, since M - f may overflow where a small y would bring it back.
    below = fma(-f, distance_unit(f), c.maximum)
    # Nothing of a class at -inf counts as 0.
    return y, select(y == 0, 0, below)


@staged
def below_step(c: Any, offset: Int, lanes: Int, offset2: Int, lanes2: Int, acc: Any) -> Any:
    y, below = below_at(c, offset, lanes)
    y2, below2 = below_at(c, offset2, lanes2)
    if is_double(y):
        # Nothing of the sum is negative: where a product's rounding is one like that of M - f, one
        # for two of them is enough.
        return acc_add(acc, fma(y2, below2, y * below))
    return acc_add_product(acc_add_product(acc, y, below), y2, below2)


@staged
def small_step(c: Any, offset: Int, lanes: Int, offset2: Int, lanes2: Int, acc: Any) -> Any:
    """With a large unit; where M - f overflows in it, this sum is not the one that is taken."""

    def much_below(offset: Int, lanes: Int) -> tuple[Wide, Wide]:
        y, f = load_lanes(c.y, offset, lanes, 0), load_lanes(c.x, offset, lanes, 0)
        return y, select(y == 0, 0, (c.maximum - f) * large_distance_unit(f))

    y, below = much_below(offset, lanes)
    y2, below2 = much_below(offset2, lanes2)
    return acc_add(acc, fma(y2, below2, y * below))


@staged
def below_maximum_of(x: Pointer, y: Pointer, m: Wide) -> Any:
    return BelowMaximum(x, y, m * distance_unit(x))


@staged
def dense_sums_of(x: Pointer, total: Any, below: Any) -> Any:
    unit = 1 / distance_unit(x)  # a power of two: exact
    return DenseSums(total, Sum(below.hi * unit, below.lo * unit))


@staged
def any_small(x: Pointer, d: Any) -> Bool:
    return any_lane(d.below.hi < small_distances(x))


@staged
def with_small(x: Pointer, d: Any, large: Any) -> Any:
    """`d`, but for the rows whose sum is small, which have the one in the large unit."""
    is_small, unit = d.below.hi < small_distances(x), 1 / large_distance_unit(x)
    below = either(is_small, Sum(large.hi * unit, large.lo * unit), d.below)
    return DenseSums(d.total, below)


@jitted
def sum_small(b: Any, s: Any, x: Pointer, y: Pointer, m: Wide, d: Any) -> Any:
    """Of those rows whose targets are so small that their products with distances are too."""
    return with_small(x, d, accumulate(b, s.partial, small_step, BelowMaximum(x, y, m)))


@jitted
def sum_dense(want_loss: bool, b: Any, s: Any, x: Pointer, y: Pointer, m: Wide) -> Any:
    c = below_maximum_of(x, y, m)
    total = accumulate(b, s.partial, total_step, c)
    below = total
    if want_loss:
        below = accumulate(b, s.partial, below_step, c)
    d = dense_sums_of(x, total, below)
    if is_double(x) and want_loss and any_small(x, d):
        d = sum_small(b, s, x, y, m, d)
    return d


class Distances(NamedTuple):
    x: Pointer
    maximum: Wide  # times distance_unit
    values: Wide  # at the maximum


@staged
def distance_step(c: Any, offset: Int, lanes: Int, offset2: Int, lanes2: Int, acc: Any) -> Any:
    def distance(at: Int, present: Int) -> Wide:
        is_there = iota(c.values) < splat_index(c.values, present)
        f = select(is_there, load_lanes(c.x, at, present, 0), c.values)
        return fma(-f, distance_unit(f), c.maximum)

    return acc_add(acc, distance(offset, lanes) + distance(offset2, lanes2))


@staged
def distances_of(x: Pointer, m: Wide) -> Distances:
    return Distances(x, m * distance_unit(x), m)


@staged
def uniform_sums(job: Any, b: Any, s: Any, m: Wide, f_label: Wide, distances: Any) -> Any:
    """The same for uniform targets s but for a label's own y.

    Y = (K - 1) s + y and sum y (M - f) = s sum (M - f) + (y - s) (M - f_t), all of them terms that
    are not negative. Again, what is infinite counts only where it is wanted.
    """
    zero, unit = sum_zero(m), distance_unit(m)
    s_of_all, own = (Sum(splat(zero.hi, y), zero.lo) for y in uniform_targets(job, s.x))
    others = splat(zero.hi, (b.classes - 1).to(types.float64))
    total = sum_plus(sum_times(s_of_all, others), own)
    more = sum_plus(own, sum_negative(s_of_all))
    of_label = sum_product(more, sum_of(to_float64(m) * unit, -(to_float64(f_label) * unit)))
    of_all = sum_times(distances, s_of_all.hi)
    wanted = either(s_of_all.hi == 0, zero, of_all), either(more.hi == 0, zero, of_label)
    return dense_sums_of(s.x, total, sum_plus(*wanted))


@jitted
def sum_uniform(job: Any, b: Any, s: Any, x: Pointer, m: Wide, f_label: Wide) -> Any:
    distances = no_dense_sums(m).below
    if job.want_loss:
        distances = accumulate(b, s.partial, distance_step, distances_of(x, m))
    return uniform_sums(job, b, s, m, f_label, distances)


@staged
def no_dense_sums(m: Wide) -> Any:
    return DenseSums(sum_zero(m), sum_zero(m))


# --- the end of the rows ---------------------------------------------------------------------


class Work(NamedTuple):
    """What is known of a block's rows before their gradient."""

    t: Any
    p: Any
    d: Any
    f_label: Wide
    loss: Wide


class RowGradients(NamedTuple):
    """The gradients of a block's rows, as row values."""

    share: Any  # e times it, and room, is p, scaled as the gradient is
    target: Wide  # y times it is subtracted
    at: Wide  # the class treated apart...
    apart: Wide  # ...and its gradient


class Gradients(NamedTuple):
    """The same, and the share as factors."""

    share: Any
    target: Wide
    at: Wide
    apart: Wide
    factors: Any


@staged
def weight_of_labels(b: Any, s: Any) -> Wide:
    """0 where a row is ignored."""
    return row_values(b, s.x, s.sample_weight) * row_values(b, s.x, s.label_weight)


@staged
def label_losses(b: Any, s: Any, p: Any, f_label: Wide) -> Wide:
    weight, log_rest = weight_of_labels(b, s), log_of_rest(p)
    m, f = to_float64(p.maximum), to_float64(f_label)
    below = m - f
    loss = below + (log_rest + select(is_finite(below), sum_error(m, -f, below), 0))
    # A weight of 0 leaves out even an infinite loss, but not a NaN.
    return select(weight == 0, log_rest * 0, weight * loss)


@staged
def dense_losses(b: Any, s: Any, p: Any, d: Any, loss: Wide) -> Wide:
    """`loss`, but for dense rows theirs."""
    weight, log_rest = row_values(b, s.x, s.sample_weight), log_of_rest(p)
    dense = weight * sum_value(sum_plus(d.below, sum_times(d.total, log_rest)))
    return select(is_dense(b, s), select(weight == 0, log_rest * 0, dense), loss)


def either(condition: Wide, yes: Any, no: Any) -> Any:
    return Sum(select(condition, yes.hi, no.hi), select(condition, yes.lo, no.lo))


def sum_of_others(p: Any, label: Wide, e_label: Any) -> Any:
    """Probability 1 less a label's own, as a sum.

    It is the sum without e_t where that is the largest; elsewhere the difference from `rest` is
    harmless, since `top` is added, and e_t is no larger.
    """
    others = sum_plus(sum_plus(p.rest, sum_negative(e_label)), p.top)
    return either(label == p.at, p.rest, others)


@staged
def label_gradients(job: Any, b: Any, s: Any, p: Any, f_label: Wide) -> Any:
    e_label = exponentials_of(f_label, p.shift)
    label = row_values(b, s.x, s.label)
    scaled = weight_of_labels(b, s) / splat(p.top.hi, job.divisor)
    everything = sum_of_all(p)
    share = share_of(s.x, Sum(scaled, scaled.like(0)), everything)
    # The room goes to whichever factor does not underflow by it.
    is_small, by = absolute(scaled) < 1, room(s.x)
    here, there = select(is_small, scaled.like(by), 1), select(is_small, scaled.like(1), by)
    others = sum_of_others(p, label, e_label)
    inside, outside = (
        Sum(others.hi * here, others.lo * here),
        Sum(share.hi * there, share.lo * there),
    )
    apart = 0 - sum_value(sum_product(inside, outside))
    return RowGradients(share, splat(s.x, 0), label, to_real(s.x, apart))


def dense_at_peak(p: Any, everything: Any, total: Any, y: Wide) -> Any:
    """Y p - y at the argmax.

    From the others' share where p is more than half, so that 1 - p is not made by subtraction, and
    as it stands where p is less, so that nothing is larger than p and y.
    """
    less_y = Sum(-y, y.like(0))
    is_from_rest = p.rest.hi < p.top.hi
    part = sum_product(total, part_of(either(is_from_rest, p.rest, p.top), everything))
    from_rest = sum_plus(sum_plus(total, less_y), sum_negative(part))
    return either(is_from_rest, from_rest, sum_plus(part, less_y))


@staged
def dense_gradients(job: Any, b: Any, s: Any, p: Any, d: Any, y: Wide, g: Any) -> Any:
    """`g`, but for dense rows theirs; y is their target at the argmax."""
    is_row = is_dense(b, s)
    scaled = row_values(b, s.x, s.sample_weight) / splat(p.top.hi, job.divisor)
    everything = sum_of_all(p)
    share = share_of(s.x, sum_times(d.total, scaled), everything)
    at_peak = dense_at_peak(p, everything, d.total, to_float64(y))
    apart = sum_value(sum_times(at_peak, scaled))
    return RowGradients(
        either(is_row, share, g.share),
        select(is_row, to_real(s.x, scaled), g.target),
        select(is_row, p.at, g.at),
        select(is_row, to_real(s.x, apart), g.apart),
    )


@jitted
def work_rows(job: Any, b: Any, s: Any, x: Pointer, e: Pointer, want_gradient: bool) -> Any:
    """Everything about a block up to the gradient; the exponentials go to `e` if it is wanted."""
    t = read_targets(job, b, s)
    if t.any_ignored:
        x = blank_ignored(b, x, s)
    f_label = pick(b, s, x, row_values(b, s.x, s.label))
    p = find_peaks(b, x)
    d = no_dense_sums(p.maximum)
    if t.any_dense:
        if are_uniform(job):
            d = sum_uniform(job, b, s, x, p.maximum, f_label)
        else:
            d = sum_dense(job.want_loss, b, s, x, t.y, p.maximum)
    p = sum_rest(b, s, x, e, p, want_gradient)
    loss = p.top.hi
    if job.want_loss:
        loss = label_losses(b, s, p, f_label)
        if t.any_dense:
            loss = dense_losses(b, s, p, d, loss)
    return Work(t, p, d, f_label, loss)


# --- gradients -------------------------------------------------------------------------------


class Gradient(NamedTuple):
    e: Pointer
    y: Pointer
    share: Any
    target: Wide


@staged
def gradient_step(c: Any, offset: Int, lanes: Int) -> Wide:
    share = times_factor(load_lanes(c.e, offset, lanes, 0), c.share)
    return fma(-load_lanes(c.y, offset, lanes, 0), c.target, share)


class UniformGradient(NamedTuple):
    e: Pointer
    share: Any
    target: Wide
    y: Wide


@staged
def uniform_step(c: Any, offset: Int, lanes: Int) -> Wide:
    return fma(-c.y, c.target, times_factor(load_lanes(c.e, offset, lanes, 0), c.share))


@staged
def uniform_gradient(job: Any, e: Pointer, g: Any) -> UniformGradient:
    other, _ = uniform_targets(job, e)
    return UniformGradient(e, wide_factors(g.factors), g.target, splat(e, other))


@staged
def own_gradient(job: Any, e: Wide, g: Any) -> Wide:
    """Of each row's label, from its exponential."""
    _, own = uniform_targets(job, e)
    return fma(-splat(e, own), g.target, times_factor(e, wide_factors(g.factors)))


@staged
def uniform_target_at(job: Any, b: Any, s: Any, at: Wide) -> Wide:
    other, own = (splat(s.x, y) for y in uniform_targets(job, s.x))
    return select(at == row_values(b, s.x, s.label), own, other)


@jitted
def target_at(job: Any, b: Any, s: Any, y: Pointer, at: Wide) -> Wide:
    """y of one class in each row, where that is dense."""
    if are_uniform(job):
        return uniform_target_at(job, b, s, at)
    return pick(b, s, y, at)


@jitted
def write_uniform(job: Any, b: Any, s: Any, e: Pointer, g: Any) -> Pointer:
    """First as if no class were a label."""
    labels = row_values(b, s.x, s.label)
    own = own_gradient(job, pick(b, s, e, labels), g)
    there = finish(job, job.out, b, uniform_step, uniform_gradient(job, e, g), e)
    put(b, s, labels, own, there)
    return there


@staged
def with_factors(g: Any, factors: Any) -> Any:
    return Gradients(g.share, g.target, g.at, g.apart, factors)


@jitted
def find_gradients(job: Any, b: Any, s: Any, w: Any) -> Any:
    g = label_gradients(job, b, s, w.p, w.f_label)
    if w.t.any_dense:
        g = dense_gradients(job, b, s, w.p, w.d, target_at(job, b, s, w.t.y, w.p.at), g)
    return with_factors(g, factors_of(s, g.share))


@jitted
def write_gradient(job: Any, b: Any, s: Any, e: Pointer, t: Any, g: Any) -> None:
    """`e` from exponentials to the gradient."""
    f = g.factors
    if t.any_dense and are_uniform(job):
        take_powers(b, e, f)
        there = write_uniform(job, b, s, e, g)
    elif t.any_dense:
        take_powers(b, e, f)
        c = Gradient(e, t.y, wide_factors(f), g.target)
        there = finish(job, job.out, b, gradient_step, c, e)
    else:
        there = scale_rows(job, b, e, f)
    put(b, s, g.at, g.apart, there)
