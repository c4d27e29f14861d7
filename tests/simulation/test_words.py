"""Bits of bytes, eight bytes at a time."""

import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.simulation.kernels import words


@pytest.mark.parametrize("block", [1, 3, words._BLOCK])
@settings(max_examples=drawn(60), deadline=None)
@given(shape=st.lists(st.integers(1, 9), min_size=1, max_size=4), seed=st.integers(0, 2**32), last=st.booleans())
def test_ones(block, shape, seed, last):
    values = np.random.default_rng(seed).integers(0, 256, shape)
    x = torch.from_numpy(values).to(torch.uint8)
    if last and x.dim() == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "_BLOCK", block)
        found = words.ones(x)
    assert found.stride() == x.stride()
    np.testing.assert_array_equal(found.numpy(), np.vectorize(lambda v: bin(v).count("1"))(values))
    np.testing.assert_array_equal(x.numpy(), values)


def test_every_byte():
    x = torch.arange(256, dtype=torch.uint8)
    assert words.ones(x).tolist() == [bin(v).count("1") for v in range(256)]
