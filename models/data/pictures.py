"""A picture file as pixels, by Pillow: bounded formats, bounded size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from spikec.errors import DataError
from spikec.guarded import reading

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})
#: What Pillow may take a file for, whatever its name: some of its other readers start programs, such as Ghostscript.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
#: Pixels of a picture: far more than networks take, and some hundred megabytes while it is read.
PIXELS_MOST = 2**26
_GREY = ("1", "L", "I;16", "LA")


def is_grey(image: Image) -> bool:
    """Whether it has one channel."""
    return image.mode in _GREY


@contextmanager
def opened_picture(name: str, file: BinaryIO) -> Iterator[Image]:
    """The picture in ``file``, whose size and mode are known and whose pixels are read when they are asked for.
    ``name``: what errors call it. Raises :class:`DataError` for what is no whole picture, inside the block too."""
    try:
        from PIL import Image as Pillow
    except ImportError as error:
        raise DataError("reading pictures needs Pillow: pip install pillow") from error
    with reading(name, "a picture"), warnings.catch_warnings():
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # the bound below is the lower one
        with Pillow.open(file, formats=_FORMATS) as image:
            if image.width * image.height > PIXELS_MOST:
                raise DataError(
                    f"{name} has {image.width}x{image.height} pixels, more than {PIXELS_MOST:,}: make it smaller, "
                    "as the network takes it"
                )
            yield image
