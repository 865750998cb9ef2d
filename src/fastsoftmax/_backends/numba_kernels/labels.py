"""The check of labels: whether all are in range or to be ignored, and what they weigh."""

from __future__ import annotations

from typing import Any, NamedTuple

from .compilation import Kernel, jitted
from .job import array_type, vector_view, view_of
from .memory import lengths_of, load, offset_bytes, read_once
from .numba_api import types
from .real import lanes_of
from .staging import Bool, Int, Number, Pointer, Wide, staged
from .sums import sum_error
from .words import any_lane, choose, fold_lanes, select, splat_bool, splat_index

__all__ = ["CHECK_LABELS"]


class Job(NamedTuple):
    outer: int
    inner: int
    labels: Any
    last: int  # the largest label in range
    ignores: bool
    ignore_index: int
    weight: Any
    sample_weight: Any


@staged
def open_job(
    labels: Any, last: Int, ignores: Bool, ignore_index: Int, weight: Any, sample_weight: Any
) -> Any:
    outer, inner = lengths_of(labels)
    # What the labels' type cannot hold, none of them is.
    largest = 2 ** (labels.kind.dtype.bitwidth - 1) - 1
    last = select(last > largest, last.like(largest), last)
    ignores = ignores & (ignore_index <= largest) & (ignore_index >= -largest - 1)
    rule = last, ignores, ignore_index
    return Job(outer, inner, view_of(labels), *rule, vector_view(weight), view_of(sample_weight))


class Scan(NamedTuple):
    """Of the labels in each lane: whether one is out of range, and how many count."""

    bad: Wide
    counted: Wide


@staged
def scan_start(like: Pointer) -> Any:
    zero = splat_index(like, 0)
    return Scan(zero != 0, zero)


@staged
def scan_step(job: Any, p: Pointer, index: Int, scan: Any) -> Any:
    label = load(p, index)
    ignored = (label == splat_index(p, job.ignore_index)) & splat_bool(label, job.ignores)
    bad = (label < 0) | (label > splat_index(p, job.last))
    return Scan(scan.bad | (bad & ~ignored), scan.counted + select(ignored, label.like(0), 1))


@staged
def scan_end(scan: Any) -> Any:
    counted = (scan.counted.to(types.int64),)
    (total,) = fold_lanes(counted, lambda first, second: (first[0] + second[0],))
    return any_lane(scan.bad), total


@jitted
def scan_lines(job: Any, p: Pointer, lines: int) -> Any:
    """Whether any label of so many vectors is out of range, and how many count."""
    scan = scan_start(p)
    for i in range(lines):
        scan = scan_step(job, p, i * lanes_of(p), scan)
    return scan_end(scan)


@staged
def row_of(job: Any, a: Int) -> Pointer:
    return offset_bytes(job.labels.data, a * job.labels.outer)


@staged
def lies_along(job: Any) -> Bool:
    return job.labels.inner == job.labels.data.kind.dtype.bitwidth // 8


@staged
def label_at(job: Any, row: Pointer, b: Int) -> Int:
    return read_once(row, b * job.labels.inner)


@staged
def weight_at(job: Any, a: Int, b: Int, label: Int) -> Number:
    """Of a label that is in range."""
    weights, samples = job.weight, job.sample_weight
    one = label.new(None, types.float64).like(1.0)
    place = a * samples.outer + b * samples.inner
    return choose(weights.exists, lambda: weights.data[label], lambda: one) * choose(
        samples.exists, lambda: offset_bytes(samples.data, place)[0], lambda: one
    )


def check_labels(
    labels: Any,
    last: int,
    ignores: bool,
    ignore_index: int,
    weight: Any,
    sample_weight: Any,
) -> tuple[int, int, float]:
    job = open_job(labels, last, ignores, ignore_index, weight, sample_weight)
    weighted = job.weight.exists or job.sample_weight.exists
    counted = 0
    total = 0.0
    lost = 0.0  # what rounding has taken from it so far
    for a in range(job.outer):
        row = row_of(job, a)
        first = 0
        if not weighted and lies_along(job):
            lines = job.inner // lanes_of(row)
            any_bad, count = scan_lines(job, row, lines)
            if not any_bad:
                counted += count
                first = lines * lanes_of(row)
        for b in range(first, job.inner):
            label = label_at(job, row, b)
            if job.ignores and label == job.ignore_index:
                continue
            if label < 0 or label > job.last:
                return a * job.inner + b, 0, 0.0
            counted += 1
            if weighted:
                term = weight_at(job, a, b, label)
                before = total
                total += term
                lost += sum_error(before, term, total)
    return -1, counted, total + lost if weighted else float(counted)


def _signature(real: Any) -> tuple[Any, ...]:
    label = types.int32 if real == types.float32 else types.int64  # of the same size
    weights = array_type(types.float64, 1, True), array_type(types.float64, 2, True)
    return array_type(label, 2, True), types.int64, types.boolean, types.int64, *weights


CHECK_LABELS = Kernel(check_labels, _signature)
