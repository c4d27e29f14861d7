"""Sums of products in NumPy against torch, whose convolution shares nothing with them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.ir.operations import Affine, Convolution, products
from spikec.ir.operations.repeats import Repeats

_DTYPES = ("float32", "float64", "int64")


def _map(rng, shape, repeated):
    """Small whole numbers; ``repeated``: with runs of rows and columns that are the same."""
    x = rng.integers(-3, 4, shape)
    if repeated:
        for axis in (1, 2):
            x = x.take(np.sort(rng.integers(0, shape[axis], shape[axis])), axis)
    return x


@given(
    st.integers(0, 2**32),
    st.sampled_from(_DTYPES),
    st.booleans(),
    st.booleans(),
    st.sampled_from([2**20, 60, 1]),
)
def test_a_convolution_is_that_of_torch(seed, dtype, magnitudes, repeated, part):
    rng = np.random.default_rng(seed)
    groups, inputs, outputs = (int(n) for n in rng.integers(1, 4, 3))
    kernel, stride, padding, dilation = (tuple(int(n) for n in rng.integers(low, 4, 2)) for low in (1, 1, 0, 1))
    windows = zip(kernel, padding, dilation, strict=True)
    sizes = [max(1, d * (k - 1) + 1 - 2 * p) + int(rng.integers(0, 6)) for k, p, d in windows]
    x = _map(rng, (groups * inputs, *sizes), repeated)
    weight = rng.integers(-128, 128, (groups * outputs, inputs, *kernel))
    shape = Convolution.convolved(x.shape, len(weight), kernel, stride, padding, dilation)
    bias = np.zeros(len(weight), np.int64)
    node = Convolution("conv", ("x",), x.shape, shape, weight, bias, stride, padding, dilation, groups)
    want = node.apply(torch.from_numpy(x)[None], torch.from_numpy(abs(weight) if magnitudes else weight))[0]
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(products, "_PART", part)
        found = node.passed(x.astype(dtype), magnitudes)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("dtype", _DTYPES)
@pytest.mark.parametrize("magnitudes", [False, True])
def test_an_affine_map_is_that_of_torch(monkeypatch, dtype, magnitudes):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(products, "_PART", 20)
    weight, x = rng.integers(-128, 128, (7, 9)), rng.integers(-3, 4, 9)
    node = Affine("affine", ("x",), (9,), (7,), weight, np.zeros(7, np.int64))
    want = torch.from_numpy(abs(weight) if magnitudes else weight) @ torch.from_numpy(x)
    np.testing.assert_array_equal(node.passed(x.astype(dtype), magnitudes), want)


def test_magnitudes_of_the_lowest_number_of_a_narrow_type():
    assert products.weights_as(np.array([-128], np.int8), np.dtype("float32"), True).tolist() == [128]


def test_windows_that_are_the_same_are_computed_once(monkeypatch):
    seen = []
    whole = products.product
    monkeypatch.setattr(products, "product", lambda w, x, m: (seen.append(x.shape), whole(w, x, m))[1])
    weight, bias = np.ones((2, 1, 3, 3), np.int64), np.zeros(2, np.int64)
    node = Convolution("conv", ("x",), (1, 50, 60), (2, 50, 60), weight, bias, (1, 1), (1, 1), (1, 1))
    found = node.passed(np.ones((1, 50, 60)))
    assert seen == [(9, 9)]  # three rows and three columns differ: at either border, and between
    assert sorted(set(found.reshape(-1).tolist())) == [4, 6, 9]


@settings(max_examples=drawn(40), deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_bounds_of_maps_that_repeat_are_those_of_whole_maps(seed, signed):
    rng = np.random.default_rng(seed)
    kernel, stride, padding = (tuple(int(n) for n in rng.integers(low, 4, 2)) for low in (1, 1, 0))
    sizes = [max(1, k - 2 * p) + int(rng.integers(0, 9)) for k, p in zip(kernel, padding, strict=True)]
    low = _map(rng, (2, *sizes), True)
    if not signed:
        low = 0 * low
    high = low + _map(rng, low.shape, True) + 3
    weight = rng.integers(-128, 128, (3, 2, *kernel))
    shape = Convolution.convolved(low.shape, 3, kernel, stride, padding, (1, 1))
    node = Convolution("conv", ("x",), low.shape, shape, weight, np.zeros(3, np.int64), stride, padding, (1, 1))
    repeats = Repeats.of(low, high)
    lowest, highest, partial, found = node.interval_once(repeats.once(low), repeats.once(high), repeats)
    bound = np.abs(low) + np.abs(high)
    for got, ends in ((found.spread(lowest), (low, high)), (found.spread(highest), (high, low))):
        want = sum(
            node.apply(torch.from_numpy(end)[None], torch.from_numpy(half))[0].numpy()
            for end, half in zip(ends, (np.maximum(weight, 0), np.minimum(weight, 0)), strict=True)
        )
        np.testing.assert_array_equal(got, want)
        assert abs(want).max() <= partial
    assert partial <= node.apply(torch.from_numpy(bound)[None], torch.from_numpy(abs(weight))).max()


@settings(max_examples=drawn(40), deadline=None)
@given(st.integers(0, 2**32))
def test_maps_that_repeat_are_the_same_as_whole_ones(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 7, 3))
    one, other = _map(rng, shape, True), _map(rng, shape, True)
    first, second = Repeats.of(one), Repeats.of(other)
    both = first & second
    for whole, repeats in ((one, first), (other, second)):
        once = repeats.once(whole)
        np.testing.assert_array_equal(repeats.spread(once), whole)
        np.testing.assert_array_equal(both.spread(repeats.finer(once, both)), whole)
    for axis, runs in enumerate(first.axes, start=1):
        rows = [one.take(n, axis).tolist() for n in range(one.shape[axis])]
        changes = sum(before != after for before, after in pairwise(rows))
        assert first.once(one).shape[axis] == runs.max() + 1 == changes + 1
    assert both.once(one + other).size <= Repeats.nowhere(shape).once(one).size == one.size
    same = Repeats.everywhere(shape)
    assert same.once(one).shape == (shape[0], 1, 1)
