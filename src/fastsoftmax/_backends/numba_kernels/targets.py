"""What a block's targets are: a class a row with its weight, or a row of weights y over all.

y_k = w_k ((1 - eps) t_k + eps / K) with class weights w and label smoothing eps; t is one-hot for
labels. A row of probabilities with a single entry is treated as the label that it is, which gives
it the label's bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .block import row_values, transform
from .compilation import jitted
from .job import no_view, sample_at, sample_offset
from .memory import load_lanes, read_once
from .numba_api import types
from .pack import open_view
from .real import lanes_of
from .staging import Bool, Int, Number, Pointer, Wide, staged
from .words import choose, fma, select, splat, to_float64, to_real

__all__ = [
    "are_uniform",
    "blank_ignored",
    "is_dense",
    "prepare_targets",
    "read_targets",
    "uniform_targets",
]

TARGET_IGNORED, TARGET_LABEL, TARGET_DENSE = 0, 1, 2


class Targets(NamedTuple):
    """What is read of a block's targets; the rest, one value a row, is in scratch memory."""

    y: Pointer  # the rows y, where any is dense
    any_dense: Bool
    any_ignored: Bool


@staged
def label_at(job: Any, sample: Int) -> Int:
    short, long = job.labels
    return choose(
        long.exists,
        lambda: read_once(long.data, sample_offset(job.shape, long, sample)),
        lambda: read_once(short.data, sample_offset(job.shape, short, sample)),
    )


@staged
def sample_weight_at(job: Any, sample: Int) -> Number:
    view, one = job.sample_weight, job.divisor.like(1.0)
    return choose(view.exists, lambda: sample_at(job.shape, view, sample)[0], lambda: one)


@staged
def class_weight_at(job: Any, k: Int) -> Number:
    weights, one = job.class_weight, job.divisor.like(1.0)
    return choose(weights.exists, lambda: weights.data[k], lambda: one)


# --- effective targets -----------------------------------------------------------------------


def smoothing_terms(job: Any, like: Any) -> tuple[Number, Number]:
    """1 - eps and eps / K."""
    eps, classes = job.label_smoothing, job.shape.classes.to(types.float64)
    return to_real(like, 1.0 - eps), to_real(like, eps / classes)


@staged
def are_uniform(job: Any) -> Bool:
    """Whether dense targets are the same for all classes but a label's own."""
    return job.have_labels & ~job.class_weight.exists


def uniform_targets(job: Any, like: Any) -> tuple[Number, Number]:
    """y_k for a class with target 0 and for one with 1, where targets are uniform."""
    keep, smooth = smoothing_terms(job, like)
    return smooth, keep + smooth


@staged
def effective_target(job: Any, s: Any, k: Int, is_target: Bool) -> Number:
    """y_k for a class with target 1 or 0; the same roundings as effective_step's."""
    smooth, own = uniform_targets(job, s.x)
    y = select(is_target, own, smooth)
    return choose(job.class_weight.exists, lambda: y * s.class_weight[k], lambda: y)


@jitted
def prepare_targets(job: Any, s: Any) -> None:
    """What of the targets is the same for all samples."""
    if job.class_weight.exists:
        for k in range(job.shape.classes):
            s.class_weight[k] = job.class_weight.data[k]
    if job.have_labels and job.label_smoothing != 0:
        for k in range(job.shape.classes):
            s.target_row[k] = effective_target(job, s, k, False)


class Effective(NamedTuple):
    t: Pointer
    class_weight: Pointer
    weighted: Bool
    across: Bool
    keep: Wide
    smooth: Wide


@staged
def effective_of(job: Any, t: Pointer, s: Any) -> Effective:
    keep, smooth = (splat(t, each) for each in smoothing_terms(job, t))
    return Effective(t, s.class_weight, job.class_weight.exists, job.across, keep, smooth)


@staged
def effective_step(c: Any, offset: Int, lanes: Int) -> Wide:
    y = fma(load_lanes(c.t, offset, lanes, 0), c.keep, c.smooth)

    def weight() -> Wide:
        return choose(
            c.across,
            lambda: splat(y, c.class_weight[offset // lanes_of(y)]),
            lambda: load_lanes(c.class_weight, offset, lanes, 0),
        )

    return choose(c.weighted, lambda: y * weight(), lambda: y)


# --- reading ---------------------------------------------------------------------------------


@jitted
def only_target(b: Any, y: Pointer, row: int) -> int:
    """The only class with a target other than 0 in a row of probabilities.

    The number of classes where there is not just one.
    """
    found = int(b.classes)
    for k in range(b.classes):
        if y[k * b.lanes + row] != 0:
            if found != b.classes:
                return int(b.classes)
            found = k
    return found


@jitted
def read_labels(job: Any, b: Any, s: Any) -> None:
    kind = TARGET_DENSE if job.label_smoothing != 0 else TARGET_LABEL
    for i in range(b.rows):
        label = label_at(job, b.sample + i)
        # In range or ignored, as was checked; but the caller's other threads may have written to
        # the labels since.
        ignored = not 0 <= label < job.shape.classes
        ignored |= job.has_ignore_index and label == job.ignore_index
        s.kind[i] = TARGET_IGNORED if ignored else kind
        s.label[i] = 0 if ignored else label
        s.label_weight[i] = 0.0 if ignored else 1.0
        s.sample_weight[i] = 0.0 if ignored else 1.0
    if job.class_weight.exists or job.sample_weight.exists:
        for i in range(b.rows):
            if s.kind[i] != TARGET_IGNORED:
                s.label_weight[i] = class_weight_at(job, s.label[i])
                s.sample_weight[i] = sample_weight_at(job, b.sample + i)


@jitted
def read_probabilities(job: Any, b: Any, y: Pointer, row: int, s: Any) -> None:
    only = only_target(b, y, row) if job.label_smoothing == 0 else b.classes
    s.label[row] = 0
    s.label_weight[row] = 0.0
    s.sample_weight[row] = sample_weight_at(job, b.sample + row)
    s.kind[row] = TARGET_DENSE if only == b.classes else TARGET_LABEL
    if only != b.classes:
        s.label[row] = only
        s.label_weight[row] = to_float64(y[only * b.lanes + row]) * class_weight_at(job, only)


@jitted
def read_rows(job: Any, b: Any, s: Any) -> Pointer:
    """What each row's target is, to scratch memory. The result is the rows of probabilities."""
    for i in range(b.rows, b.lanes):
        s.kind[i] = TARGET_IGNORED
        s.label[i] = 0
        s.label_weight[i] = 0.0
        s.sample_weight[i] = 0.0
    if job.have_labels:
        read_labels(job, b, s)
        return s.y
    y = open_view(job.shape, job.other, b, s.y, no_view(s), 0.0)
    for i in range(b.rows):
        read_probabilities(job, b, y, i, s)
    return y


@jitted
def smooth_labels(job: Any, b: Any, s: Any) -> None:
    """s.y for labels with smoothing: the row without a target, but for the target's own entry."""
    for k in range(b.classes):
        for i in range(b.lanes):
            s.y[k * b.lanes + i] = s.target_row[k]
    for i in range(b.rows):
        if s.kind[i] == TARGET_DENSE:
            s.y[s.label[i] * b.lanes + i] = effective_target(job, s, s.label[i], True)


@jitted
def read_targets(job: Any, b: Any, s: Any) -> Any:
    y = read_rows(job, b, s)
    any_dense = False
    any_ignored = False
    for i in range(b.rows):
        any_dense |= s.kind[i] == TARGET_DENSE
        any_ignored |= s.kind[i] == TARGET_IGNORED
    if any_dense:
        if job.have_labels:
            # Where they are uniform, only the mean gradient reads them.
            if job.want_mean_grad or not are_uniform(job):
                smooth_labels(job, b, s)
        elif job.class_weight.exists or job.label_smoothing != 0:
            transform(b, effective_step, effective_of(job, y, s), s.y)
            y = s.y
    return Targets(y, any_dense, any_ignored)


@staged
def is_dense(b: Any, s: Any) -> Wide:
    return row_values(b, s.x, s.kind) == TARGET_DENSE


@jitted
def blank_ignored(b: Any, x: Pointer, s: Any) -> Pointer:
    """Whatever the logits of an ignored row are, nothing of them is to be seen."""
    for i in range(b.rows):
        if s.kind[i] == TARGET_IGNORED:
            for k in range(b.classes):
                s.x[k * b.lanes + i] = 0.0
            x = s.x  # across the lanes it is there already; along them the block is this row
    return x
