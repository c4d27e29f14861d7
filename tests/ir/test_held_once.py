"""Numbers of neurons that repeat are held once: the same numbers, in little memory, for all that read them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.errors import GraphError
from spikec.ir.integers import held_once
from spikec.ir.kinds.reading import full
from spikec.simulation.engines.widening import neurons_as


@st.composite
def _maps(draw):
    """Arrays that repeat along some axes, or in runs of rows and columns, as bounds do at the border of a map."""
    shape = draw(st.lists(st.integers(1, 12), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    few = rng.integers(-3, 3, [n if draw(st.booleans()) else 1 for n in shape])
    if draw(st.booleans()):
        few = few * 2**40
    values = np.broadcast_to(few, shape).copy()
    for axis, n in enumerate(shape):
        values = values.take(np.sort(rng.integers(0, n, n)), axis)
    return values


@settings(max_examples=drawn(60), deadline=None)
@given(values=_maps())
def test_they_are_the_same_numbers(values):
    found = held_once(values)
    np.testing.assert_array_equal(found, values)
    for axis, size in enumerate(values.shape):
        repeats = bool((values == values.take([0], axis)).all())
        assert size == 1 or repeats == (found.strides[axis] == 0)
    np.testing.assert_array_equal(full(values.astype(np.float64), values.shape), values)
    for dtype in (torch.int64, torch.float64):
        np.testing.assert_array_equal(neurons_as(found, dtype).numpy(), values)


def test_what_is_not_whole_or_of_another_shape_is_refused():
    for odd in (0.5, np.nan, np.inf):
        for given_ in (odd, np.full((3, 4), odd), np.array([[1.0] * 4, [1.0] * 4, [1.0, 1.0, 1.0, odd]])):
            with pytest.raises(GraphError, match="must be whole"):
                full(given_, (3, 4))
    with pytest.raises(ValueError, match="broadcast"):
        full(np.full((3, 5), 2), (3, 4))


def test_it_is_not_written_to_by_mistake():
    with pytest.raises(ValueError, match="read-only"):
        full(3, (2, 2))[0, 0] = 1
