"""Linear maps between images as matrices, for what no convolution expresses: upsampling, crops, mirrored padding.

A matrix [outputs, inputs] is kept as a stack of images, one for each input: what it maps that input to. Whatever
follows it acts on these images. Rows are in C, H, W order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from spikec.frontend.modules import LARGEST_MATRIX
from spikec.ir.operations import SumPool
from spikec.ir.types import Int64, Shape
from spikec.quantization.kernels import Float64, Kernel, NotComposableError


@dataclass(frozen=True)
class Entries:
    """A matrix from ``inputs`` to ``outputs``, shapes: ``values`` at [``rows``, ``columns``], zero elsewhere."""

    rows: Int64
    columns: Int64
    values: Float64
    outputs: Shape
    inputs: Shape

    def matrix(self) -> Float64:
        """All entries [prod(outputs), prod(inputs)]. Raises :class:`NotComposableError` where they are too many."""
        size = math.prod(self.outputs), math.prod(self.inputs)
        require_size(*size)
        full = np.zeros(size)
        np.add.at(full, (self.rows, self.columns), self.values)
        return full

    def after(self, matrix: Float64) -> Float64:
        """This map after ``matrix`` [prod(inputs), n]."""
        require_size(math.prod(self.outputs), matrix.shape[1])
        places = torch.from_numpy(np.stack([self.rows, self.columns]))
        size = (math.prod(self.outputs), math.prod(self.inputs))
        sparse = torch.sparse_coo_tensor(places, torch.from_numpy(self.values), size, dtype=torch.float64)
        product: Float64 = torch.sparse.mm(sparse, torch.from_numpy(np.ascontiguousarray(matrix))).numpy()
        return product


def require_size(outputs: int, inputs: int) -> None:
    """Raise :class:`NotComposableError` for a matrix that is too large to be written down."""
    if outputs * inputs > LARGEST_MATRIX:
        raise NotComposableError(
            f"this map of {inputs} values to {outputs} is no convolution and needs a matrix of {outputs * inputs} "
            f"weights, more than {LARGEST_MATRIX}; use fewer channels or a smaller image there, or a convolution or an "
            "average pool in its place"
        )


def convolved(kernel: Kernel, matrix: Float64, shape: Shape) -> Float64:
    """The convolution after a ``matrix`` whose outputs are images of ``shape``."""
    require_size(math.prod(kernel.output_shape(shape)), matrix.shape[1])
    top, bottom, left, right = kernel.pads
    padded = F.pad(_stack(matrix, shape), (left, right, top, bottom))
    weight = torch.from_numpy(np.ascontiguousarray(kernel.weight))
    return _rows(F.conv2d(padded, weight, None, kernel.stride, 0, kernel.dilation, kernel.groups))


def averaged(matrix: Float64, shape: Shape, window: tuple[int, int]) -> Float64:
    """Means over windows after a ``matrix`` whose outputs are images of ``shape``."""
    rows, columns = SumPool.pooled(shape, window)[1:]
    images = _stack(matrix, shape)[:, :, : rows * window[0], : columns * window[1]]
    return _rows(F.avg_pool2d(images, window, window))


def placed(matrix: Float64, shape: Shape, channels: int, start: int) -> Float64:
    """The ``matrix``, whose outputs are images of ``shape``, as part of images of so many ``channels``, from channel
    ``start`` on."""
    pixels = math.prod(shape[1:])
    require_size(channels * pixels, matrix.shape[1])
    whole = np.zeros((channels * pixels, matrix.shape[1]))
    whole[start * pixels : start * pixels + len(matrix)] = matrix
    return whole


def by_element(values: Float64, shape: Shape) -> Float64:
    """``values``, one per channel or per element of an image or vector of ``shape``, as one per element."""
    return np.repeat(values, math.prod(shape) // len(values))


def by_channel(values: Float64, shape: Shape) -> Float64:
    """``values`` [prod(shape)] as one per channel where all elements of each channel agree; else unchanged."""
    channels = values.reshape(shape[0], -1)
    return channels[:, 0].copy() if (channels == channels[:, :1]).all() else values


def _stack(matrix: Float64, shape: Shape) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(matrix.T)).reshape(-1, *shape)


def _rows(images: torch.Tensor) -> Float64:
    rows: Float64 = np.ascontiguousarray(images.flatten(1).numpy().T)
    return rows
