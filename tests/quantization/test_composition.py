"""Composition of kernels against torch: one convolution after the other."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from spikec.quantization.kernels import Kernel, NotComposableError, compose


def _applied(kernel: Kernel, x: torch.Tensor) -> torch.Tensor:
    top, bottom, left, right = kernel.pads
    padded = F.pad(x, (left, right, top, bottom))
    return F.conv2d(padded, torch.from_numpy(kernel.weight), None, kernel.stride, 0, kernel.dilation, kernel.groups)


def _weight(rng: np.random.Generator, shape: tuple[int, ...], style: str) -> np.ndarray:
    """Whole numbers, so that sums are exact: full, a scaled selection of inputs, or mostly zero rows."""
    weight = rng.integers(-3, 4, shape).astype(np.float64)
    if style == "selection":
        weight *= np.arange(shape[1])[None, :, None, None] == rng.integers(0, shape[1], shape[0])[:, None, None, None]
    elif style == "rows":
        weight *= rng.integers(0, 2, shape[0])[:, None, None, None]
    return weight


@st.composite
def _kernels(draw: st.DrawFn) -> tuple[Kernel, Kernel, int]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    style, side = st.sampled_from(["full", "selection", "rows"]), st.integers(1, 3)
    pads = st.just((0, 0, 0, 0)) | st.tuples(*[st.integers(0, 2)] * 4)

    def kernel(channels: int) -> Kernel:
        groups = draw(st.sampled_from([g for g in (1, 2, 3, 4) if channels % g == 0] + [channels]))
        size = (1, 1) if draw(st.booleans()) else (draw(side), draw(side))
        shape = (groups * draw(st.integers(1, 3)), channels // groups, *size)
        stride, dilation = (draw(side), draw(side)), (draw(side), draw(side))
        return Kernel(_weight(rng, shape, draw(style)), stride, draw(pads), dilation, groups)

    channels = draw(st.integers(1, 4))
    first = kernel(channels)
    return first, kernel(first.weight.shape[0]), channels


@given(_kernels())
def test_two_kernels_are_one(kernels: tuple[Kernel, Kernel, int]) -> None:
    first, second, channels = kernels
    try:
        composed = compose(first, second)
    except NotComposableError:
        return
    x = torch.from_numpy(np.random.default_rng(0).integers(-3, 4, (1, channels, 28, 27)).astype(np.float64))
    assert torch.equal(_applied(composed, x), _applied(second, _applied(first, x)))


def test_a_kernel_of_zeros_behind_or_before_another_is_zero() -> None:
    assert not compose(Kernel(np.ones((2, 1, 1, 1))), Kernel(np.zeros((1, 2, 1, 2)))).weight.any()
    assert compose(Kernel(np.zeros((3, 2, 2, 2))), Kernel(np.ones((4, 3, 1, 2)))).weight.shape == (4, 2, 2, 3)


def test_scaled_channels_keep_the_groups() -> None:
    grouped = Kernel(np.ones((8, 2, 3, 3)), groups=4)
    scaled = Kernel(np.arange(8.0).reshape(8, 1, 1, 1), groups=8)
    assert compose(grouped, scaled).groups == 4
    before = Kernel(np.arange(8.0).reshape(8, 1, 1, 1), groups=8)
    assert compose(before, Kernel(np.ones((8, 2, 3, 3)), groups=4)).groups == 4
