"""softmax, log_softmax and logsumexp in compiled code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._backends.numba_kernels.compilation import jitted
from .._backends.numba_kernels.numba_api import types
from .._backends.numba_kernels.probabilities import LOG_SOFTMAX, LOGSUMEXP, SOFTMAX
from .arguments import check_array, check_call, check_choice, check_logits, check_output, is_none
from .checks import check_classes_of_x, output_like, separated, separated_from
from .errors import WhereError
from .layout import Way, way_for
from .linking import linked
from .views import counters, ignore_both, nothing, second

__all__ = ["log_softmax", "logsumexp", "softmax"]

softmax_kernel = linked(SOFTMAX, __name__)
log_softmax_kernel = linked(LOG_SOFTMAX, __name__)
logsumexp_kernel = linked(LOGSUMEXP, __name__)
no_mask = nothing(types.uint8, 3, given=2)


# --- masks -----------------------------------------------------------------------------------


@jitted
def broadcast(where: Any, x: Any) -> Any:
    """A mask of as many axes as the logits or fewer, of their shape."""
    first = x.ndim - where.ndim
    for axis in range(where.ndim):
        if where.shape[axis] not in (1, x.shape[first + axis]):
            raise WhereError(where.shape, x.shape)
    return np.broadcast_to(where, x.shape)


def _mask_type(where: Any, logits: Any) -> Any:
    """The type of the mask as it goes to the kernel; the logits' where there is none."""
    if is_none(where):
        return logits
    mask = check_array(where, "where", "b")
    if not 0 < mask.ndim <= logits.ndim:
        return check_array(where, "where", "b", logits.ndim)  # raises
    return types.Array(types.boolean, logits.ndim, "A", readonly=True)


def _mask_view(where: Any, way: Way) -> Callable[..., Any]:
    rows = way.rows
    if is_none(where):
        return no_mask

    @jitted
    def view(layout: Any, mask: Any) -> Any:
        return rows(layout, 1, mask)

    return view


# --- rows to rows ----------------------------------------------------------------------------


def _rows_to_rows(kernel: Any, x: Any, where: Any, out: Any) -> Callable[..., Any]:
    """Return the compiled function (x, where, result): `result` is written and returned."""
    mask = _mask_type(where, x)
    way = way_for(x, (mask, x if out is None else out))
    mask_of = second if is_none(where) else broadcast
    mask_view, separated_mask = _mask_view(where, way), separated_from(mask)
    open_, rows, output_rows, close_rows = way.open, way.rows, way.output_rows, way.close_rows
    may_overlap = out is not None

    @jitted
    def fill(x: Any, mask: Any, result: Any) -> Any:
        layout = open_(x, mask, result)
        view = output_rows(layout, 2, result)
        samples = x.size // x.shape[-1]
        kernel(rows(layout, 0, x), mask_view(layout, mask), view, samples, counters())
        close_rows(layout, 2, view, result)

    @jitted
    def to_new(x: Any, where: Any, result: Any) -> Any:
        mask = mask_of(where, x)
        if x.size:
            fill(x, mask, result)
        return result

    @jitted
    def to_given(x: Any, where: Any, result: Any) -> Any:
        mask = mask_of(where, x)
        if x.size:
            fill(separated(x, result), separated_mask(mask, result), result)
        return result

    @jitted
    def to_given_unmasked(x: Any, where: Any, result: Any) -> Any:
        if x.size:
            apart = separated(x, result)
            fill(apart, apart, result)
        return result

    if not may_overlap:
        return to_new
    return to_given_unmasked if is_none(where) else to_given


def _probabilities(kernel: Any) -> Callable[..., Any]:
    def of(
        x: Any,
        axis: Any = -1,
        where: Any = None,
        out: Any = None,
        backend: Any = None,
        num_threads: Any = None,
    ) -> Callable[..., Any]:
        logits = check_logits(x, "x")
        check_call(axis, backend, num_threads, logits.ndim)
        given = check_output(out, logits.dtype, logits.ndim)
        fill = _rows_to_rows(kernel, logits, where, given)
        if given is None:

            def to_new(
                x: Any,
                axis: Any = -1,
                where: Any = None,
                out: Any = None,
                backend: Any = None,
                num_threads: Any = None,
            ) -> Any:
                check_classes_of_x(x)
                return fill(x, where, np.empty_like(x))

            return to_new
        check_out = output_like(given)

        def to_given(
            x: Any,
            axis: Any = -1,
            where: Any = None,
            out: Any = None,
            backend: Any = None,
            num_threads: Any = None,
        ) -> Any:
            check_classes_of_x(x)
            check_out(out, x.shape)
            return fill(x, where, out)

        return to_given

    return of


softmax = _probabilities(softmax_kernel)
log_softmax = _probabilities(log_softmax_kernel)


# --- logsumexp -------------------------------------------------------------------------------


@jitted
def as_number(x: Any, work: Any, out: Any) -> Any:
    return work[()]


@jitted
def as_it_is(x: Any, work: Any, out: Any) -> Any:
    return work


@jitted
def with_axis(x: Any, work: Any, out: Any) -> Any:
    return work.reshape((*x.shape[:-1], 1))


@jitted
def number_to_given(x: Any, work: Any, out: Any) -> Any:
    out[()] = work[()]
    return out


@jitted
def to_given(x: Any, work: Any, out: Any) -> Any:
    out[...] = work
    return out


@jitted
def with_axis_to_given(x: Any, work: Any, out: Any) -> Any:
    out[...] = work.reshape((*x.shape[:-1], 1))
    return out


def _checked(check: Callable[..., Any], keepdims: bool) -> Callable[..., Any]:
    @jitted
    def check_out(x: Any, out: Any) -> None:
        check(out, x.shape[:-1])

    @jitted
    def check_kept(x: Any, out: Any) -> None:
        check(out, (*x.shape[:-1], 1))

    return check_kept if keepdims else check_out


def logsumexp(
    x: Any,
    axis: Any = -1,
    keepdims: Any = False,
    where: Any = None,
    out: Any = None,
    backend: Any = None,
    num_threads: Any = None,
) -> Callable[..., Any]:
    logits = check_logits(x, "x")
    check_call(axis, backend, num_threads, logits.ndim)
    kept = check_choice(keepdims, "keepdims", (False, True))
    given = check_output(out, logits.dtype, logits.ndim - (not kept))
    mask, work_type = _mask_type(where, logits), types.Array(logits.dtype, logits.ndim - 1, "C")
    way = way_for(logits, (mask, work_type))
    mask_of = second if is_none(where) else broadcast
    mask_view = _mask_view(where, way)
    open_, rows, entries = way.open, way.rows, way.output_entries
    close_entries = way.close_entries
    check_out = ignore_both if given is None else _checked(output_like(given), kept)
    if given is None:
        finish = with_axis if kept else as_it_is if logits.ndim > 1 else as_number
    else:
        finish = with_axis_to_given if kept else to_given if logits.ndim > 1 else number_to_given

    @jitted
    def fill(x: Any, mask: Any, work: Any) -> Any:
        layout = open_(x, mask, work)
        view = entries(layout, 2, work)
        samples = x.size // x.shape[-1]
        logsumexp_kernel(rows(layout, 0, x), mask_view(layout, mask), view, samples, counters())
        close_entries(layout, 2, view, work)

    def implementation(
        x: Any,
        axis: Any = -1,
        keepdims: Any = False,
        where: Any = None,
        out: Any = None,
        backend: Any = None,
        num_threads: Any = None,
    ) -> Any:
        check_classes_of_x(x)
        check_out(x, out)
        work = np.empty(x.shape[:-1], x.dtype)
        mask = mask_of(where, x)
        if x.size:
            fill(x, mask, work)
        return finish(x, work, out)

    return implementation
