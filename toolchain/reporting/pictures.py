"""Arrays as small PNG pictures, base64, so that pages and documents can hold them."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.reporting.choosing import spread
from spikec.reporting.details import Picture

_MOST, _MOST_STEPS = 64, 256
#: Colours of the classes of masks, class 0 first; further ones repeat them.
_PALETTE = np.array(
    [(38, 42, 48), (232, 168, 87), (106, 162, 216), (99, 189, 165), (223, 127, 151), (195, 176, 84), (165, 149, 221),
     (185, 135, 100), (163, 208, 239), (188, 196, 122)], np.uint8)  # fmt: skip

Array = npt.NDArray[Any]


def of_input(values: Array, sequence: bool) -> Picture | None:
    """Of one input: an image [C, H, W], numbers [...], or a ``sequence`` [steps, *shape]; None for one without a
    number."""
    if not values.size:
        return None
    if sequence:
        rows = values.reshape(len(values), -1).T
        return _picture(rows[spread(len(rows), _MOST), :_MOST_STEPS], rows.shape, "inputs from top to bottom, steps")
    if values.ndim == 3 and values.shape[0] == 3:
        return _picture(_smaller(values).transpose(1, 2, 0), values.shape[1:], "red, green and blue")
    if values.ndim == 3:
        about = "" if values.shape[0] == 1 else f"mean of {values.shape[0]} channels"
        return _picture(_smaller(values).mean(axis=0), values.shape[1:], about)
    rows = values.reshape(1, -1) if values.ndim < 2 else values.reshape(-1, values.shape[-1])
    return _picture(rows[spread(len(rows), _MOST), :_MOST_STEPS], rows.shape, "numbers")


def of_mask(mask: Array, about: str) -> Picture:
    """Of the classes of pixels [H, W]; labels that are no class are drawn as class 0."""
    small = mask[spread(mask.shape[0], _MOST)][:, spread(mask.shape[1], _MOST)]
    colours = _PALETTE[np.where((small >= 0) & (small < 255), small, 0).astype(np.int64) % len(_PALETTE)]
    return Picture(_png(colours), colours.shape[1], colours.shape[0], about)


def _picture(values: Array, whole: tuple[int, ...], about: str) -> Picture:
    """Lowest value black, highest white."""
    low, high = float(values.min()), float(values.max())
    scaled = np.rint((values - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
    height, width = scaled.shape[:2]
    less = "" if (height, width) == tuple(whole[:2]) else f"{height} of {whole[0]} rows, {width} of {whole[1]} columns"
    return Picture(_png(scaled), width, height, "; ".join(filter(None, (about, less))))


def _smaller(values: Array) -> Array:
    return values[:, spread(values.shape[1], _MOST)][:, :, spread(values.shape[2], _MOST)]


def _png(pixels: npt.NDArray[np.uint8]) -> str:
    """uint8 [H, W], or [H, W, 3]."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
