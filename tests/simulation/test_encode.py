"""encode: rounding, clipping, refusals."""

import numpy as np
import pytest
import torch

from spikec.errors import DataError
from spikec.ir.coding import InputNode
from spikec.simulation import encode

UNSIGNED = InputNode("input", (2, 3), "uint8", 0.5)
SIGNED = InputNode("input", (6,), "int8", 1.0)


def test_rounds_half_to_even_and_clips():
    reals = np.array([[[0.25, 0.75, 1.25], [-3.0, 127.5, 4000.0]]], np.float32)
    np.testing.assert_array_equal(encode(UNSIGNED, reals), [[[0, 2, 2], [0, 255, 255]]])
    np.testing.assert_array_equal(
        encode(SIGNED, [[-0.5, -1.5, 2.5, -500.0, 500.0, 126.9]]), [[0, -2, 2, -128, 127, 127]]
    )


def test_pixels_divided_by_255_are_exact():
    node = InputNode("input", (256,), "uint8", 1 / 255)
    pixels = np.arange(256)
    np.testing.assert_array_equal(encode(node, (pixels / 255).astype(np.float32)[None])[0], pixels)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_finite_values_beyond_the_range_are_clipped_as_the_formula_says(dtype):
    """clip(round_half_even(real / scale), range): no error, however far beyond."""
    largest = np.finfo(dtype).max / 4
    for node, low, high in ((UNSIGNED, 0, 255), (InputNode("input", (2, 3), "int8", 0.5), -128, 127)):
        reals = np.array([[[-largest, -64.5, -0.3], [63.75, 127.8, largest]]], dtype)
        expected = [[min(max(round(float(r) / 0.5), low), high) for r in row] for row in reals[0]]
        np.testing.assert_array_equal(encode(node, reals)[0], expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_torch_tensors(dtype):
    images = torch.ones(4, 2, 3, dtype=dtype, requires_grad=True)
    integers = encode(UNSIGNED, images)
    assert integers.dtype == np.int64
    assert (integers == 2).all()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 3, 2)), r"shape \[4, 3, 2\].*\[N, 2, 3\]"),
        (np.zeros((2, 3)), "batch axis"),
        (np.zeros((0, 2, 3)), "no images"),
        (np.zeros((1, 2, 3), np.uint8), "divided by 255"),
        (np.zeros((1, 2, 3), complex), "dtype complex128"),
        (np.full((1, 2, 3), np.nan), "image 0 holds nan"),
        (np.where(np.arange(12).reshape(2, 2, 3) == 9, np.inf, 0.0), r"image 1 holds inf at \[1, 0\]"),
        (np.full((1, 2, 3), -np.inf), "image 0 holds -inf"),
        ([[1.0], [1.0, 2.0]], "rectangular"),
        (torch.ones(1, 2, 3).to_sparse(), "dense tensor"),
    ],
)
def test_refuses(images, message):
    with pytest.raises(DataError, match=message):
        encode(UNSIGNED, images)
