"""A picture file as pixels, by Pillow: bounded formats, bounded size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.guarded import open_regular, reading

if TYPE_CHECKING:
    from PIL.Image import Image

#: What Pillow may take a file for, whatever its name: some of its other readers start programs, such as Ghostscript.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
#: Pixels of a picture: far more than networks take, and some hundred megabytes while it is read.
PIXELS_MOST = 2**26
_GREY = ("1", "L", "I;16", "LA")


def is_grey(path: Path) -> bool:
    """Whether it has one channel. Raises :class:`DataError` for what is no picture."""
    with _opened(path) as image:
        return image.mode in _GREY


def read_picture(path: Path, channels: int) -> npt.NDArray[np.uint8]:
    """uint8 [H, W, C], for one channel or three. Raises :class:`DataError` for what is no whole picture."""
    with _opened(path) as image:
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"), dtype=np.uint8)
    return pixels.reshape(*pixels.shape[:2], channels)


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    try:
        from PIL import Image as Pillow
    except ImportError as error:
        raise DataError("reading image folders needs Pillow: pip install pillow") from error
    with reading(path, "a picture"), open_regular(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # the bound below is the lower one
        with Pillow.open(file, formats=_FORMATS) as image:
            if image.width * image.height > PIXELS_MOST:
                raise DataError(
                    f"{path} has {image.width}x{image.height} pixels, more than {PIXELS_MOST:,}: make it smaller, "
                    "as the network takes it"
                )
            yield image
