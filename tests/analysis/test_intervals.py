"""Intervals hold exactly what Python integers say, whatever their size."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spikec.analysis.intervals import Interval, constant
from spikec.ir.integers import ADDABLE

_ENDS = [s * (2**n + d) for n in (0, 24, 53, 60, 61, 62) for d in (-1, 0, 1) for s in (-1, 1)]
_ENDS += [2**63 - 1, -(2**63), 1 - 2**63]
_WHOLE = st.one_of(st.sampled_from(_ENDS), st.integers(-(2**63), 2**63 - 1), st.integers(-9, 9))


@st.composite
def _pairs(draw, size=3):
    """Ends of an interval, as Python integers."""
    pairs = [sorted((draw(_WHOLE), draw(_WHOLE))) for _ in range(size)]
    return [low for low, _ in pairs], [high for _, high in pairs]


def _interval(ends):
    low, high = ends
    return Interval(np.array(low, np.int64), np.array(high, np.int64))


def _is(found, low, high):
    assert (found.low.tolist(), found.high.tolist()) == (low, high)
    assert found.magnitude == max(map(abs, [*low, *high]))
    # Two of int64 can be added without a look at their size.
    assert (found.low.dtype == object) == (found.high.dtype == object) == (found.magnitude >= ADDABLE)


@settings(deadline=None)
@given(st.lists(_pairs(), min_size=1, max_size=40))
def test_a_sum_of_many_is_that_of_python(parts):
    total = _interval(parts[0])
    for part in parts[1:]:
        total = total + _interval(part)
    _is(total, *([sum(ends) for ends in zip(*(part[i] for part in parts), strict=True)] for i in (0, 1)))


@example(([-(2**62)] * 3, [0] * 3), ([0] * 3, [0] * 3), 0)
@given(_pairs(), _pairs(), st.integers(0, 2**20))
def test_multiples_and_unions_are_those_of_python(one, other, factor):
    a, b = _interval(one), _interval(other)
    _is(a.scaled(factor), [factor * x for x in one[0]], [factor * x for x in one[1]])
    low, high = (list(map(best, x, y)) for best, x, y in ((min, one[0], other[0]), (max, one[1], other[1])))
    _is(a.union(b), low, high)
    _is(a.with_zero, [min(x, 0) for x in one[0]], [max(x, 0) for x in one[1]])


@given(_pairs(), st.lists(_WHOLE, min_size=3, max_size=3))
def test_what_is_added_can_be_taken_away(ends, part):
    known = constant(np.array(part, np.int64))
    _is((_interval(ends) + known).without(known), *ends)


def test_thirty_two_of_2_60_are_not_zero():
    part = constant(np.array([2**60]))
    total = sum((part for _ in range(31)), part)
    assert total.magnitude == 2**65
