"""Random changes of a batch of images, on tensors, every draw from one generator."""

from __future__ import annotations

import torch
from torch import Tensor

from spikec.errors import DataError


def augment(images: Tensor, generator: torch.Generator, *, flip: bool, shift: int, cutout: int) -> Tensor:
    """float [N, C, H, W] to the same shape; each image draws its own flip, translation and cut-out square.

    ``flip`` mirrors left to right with probability one half; ``shift`` pads with that many zero pixels and crops at a
    random place (He et al. 2016); ``cutout`` zeroes one square of that side, cut off at the border (DeVries and
    Taylor 2017). Raises ``DataError`` where vectors [N, F] are to be changed.
    """
    if not (flip or shift or cutout):
        return images
    if images.dim() != 4:
        raise DataError("flip, shift and cutout are for images [N, C, H, W]; leave them out for vectors")
    count, _, height, width = images.shape
    rows = torch.arange(height).expand(count, height)
    columns = torch.arange(width).expand(count, width)
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    if shift:
        images = torch.nn.functional.pad(images, (shift,) * 4)
        offset = torch.randint(0, 2 * shift + 1, (2, count, 1), generator=generator)
        rows, columns = rows + offset[0], columns + offset[1]
    if flip or shift:
        channels = torch.arange(images.shape[1])[None, :, None, None]
        each = torch.arange(count)[:, None, None, None]
        images = images[each, channels, rows[:, None, :, None], columns[:, None, None, :]]
    if cutout:
        top = torch.randint(1 - cutout, height, (count, 1), generator=generator)
        left = torch.randint(1 - cutout, width, (count, 1), generator=generator)
        row, column = torch.arange(height), torch.arange(width)
        hit_row = (row >= top) & (row < top + cutout)
        hit_column = (column >= left) & (column < left + cutout)
        images = images.masked_fill((hit_row[:, :, None] & hit_column[:, None, :])[:, None], 0)
    return images
