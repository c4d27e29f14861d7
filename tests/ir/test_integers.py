"""Magnitudes and products of whole numbers, at the ends of their types."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikec.ir.integers import magnitude, times


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint64])
def test_the_lowest_number_of_a_type_is_large(dtype):
    ends = np.iinfo(dtype)
    assert magnitude(np.array([ends.min, 0, 1], dtype)) == max(-int(ends.min), 1)
    assert magnitude(np.array([ends.max], dtype)) == int(ends.max)
    assert magnitude(np.zeros(0, dtype)) == 0


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4), st.integers(-(2**40), 2**40))
def test_products_are_those_of_python(values, factor):
    assert times(np.array(values, np.int64), factor).tolist() == [value * factor for value in values]
