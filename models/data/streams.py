"""Images that stay where they are and are read when they are asked for, so that a set may be of any size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.guarded import open_regular, regular_file
from spikec.models.data.pictures import is_grey, opened_picture
from spikec.models.data.shaping import Shaping

Indices = npt.NDArray[np.int64] | slice
#: Bytes of the file of one picture: more than its pixels may have.
FILE_MOST = 2**28


class Stored(Protocol):
    """Images [N, ...] of one shape and dtype, which indexing reads."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def ndim(self) -> int: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Indices) -> npt.NDArray[Any]: ...

    def chosen(self, indices: Indices) -> Stored:
        """The same for some of the images; reads nothing."""

    def fingerprint(self) -> str:
        """What tells these images from others without reading them: SHA-256 of names, sizes and times of files."""


class Source(Protocol):
    """Files of pictures, or places in archives."""

    def __len__(self) -> int: ...

    def opened(self, index: int) -> AbstractContextManager[tuple[str, BinaryIO]]:
        """The name of a picture, as errors say it, and its bytes."""

    def chosen(self, indices: Indices) -> Source: ...

    def fingerprint(self) -> str: ...


class Files:
    """Pictures that are files of their own."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    @contextmanager
    def opened(self, index: int) -> Iterator[tuple[str, BinaryIO]]:
        path = self._paths[index]
        with open_regular(path, most=FILE_MOST) as file:
            yield str(path), file

    def chosen(self, indices: Indices) -> Files:
        return Files([self._paths[i] for i in numbers(indices, len(self))])

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for path in self._paths:
            digest.update(file_mark(path))
        return digest.hexdigest()


class Pictures:
    """uint8 [N, C, H, W] of pictures of any size; see :class:`spikec.models.data.shaping.Shaping`.

    Where not every image gets the same size by ``shaping``, the sizes of all pictures are looked at, and where channels
    are not given, whether they are grey: that reads their first bytes. Raises :class:`DataError`, for what is no whole
    picture when it is read.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, source: Source, shaping: Shaping, *, known: tuple[int, int, int] | None = None) -> None:
        self._source, self._shaping = source, shaping
        self._channels, *size = known or _looked_at(source, shaping)
        self._size = size[0], size[1]

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self._source), self._channels, *self._size

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, indices: Indices) -> npt.NDArray[np.uint8]:
        places = numbers(indices, len(self))
        found = np.empty((len(places), *self.shape[1:]), np.uint8)
        for row, index in zip(found, places, strict=True):
            with self._source.opened(index) as (name, file), opened_picture(name, file) as image:
                row[...] = self._shaping.pixels(name, image, self._channels)
        return found

    def chosen(self, indices: Indices) -> Pictures:
        return Pictures(self._source.chosen(indices), self._shaping, known=(self._channels, *self._size))

    def fingerprint(self) -> str:
        about = (self._source.fingerprint(), self._shaping, self.shape)
        return hashlib.sha256(repr(about).encode()).hexdigest()


def numbers(indices: Indices, total: int) -> list[int]:
    """The indices as a list, each from 0 to ``total`` - 1."""
    return list(range(total)[indices]) if isinstance(indices, slice) else [int(i) for i in indices]


def file_mark(path: Path) -> bytes:
    """Name, size and time of a file, so that a changed one has another mark. Raises :class:`DataError`."""
    return repr((str(path), regular_file(path), path.stat().st_mtime_ns)).encode(errors="backslashreplace")


def _looked_at(source: Source, shaping: Shaping) -> tuple[int, int, int]:
    """(channels, height, width) of every image. Raises :class:`DataError` where they differ."""
    grey, size, first = True, shaping.fixed, ""
    for index in range(len(source)):
        if size is not None and shaping.fixed is not None and (shaping.channels is not None or not grey):
            break
        with source.opened(index) as (name, file), opened_picture(name, file) as image:
            own = shaping.size(name, image.height, image.width)
            grey = grey and is_grey(image)
        if size is None or not first:
            size, first = own, name
        elif own != size:
            raise DataError(
                f"{name} is {own[0]}x{own[1]}, {first} is {size[0]}x{size[1]}: resize all images to one size, for "
                "example with ,resize=256,crop=224 behind the name of the data"
            )
    if size is None:
        raise DataError("there are no pictures")
    channels = shaping.channels or (1 if grey else 3)
    if shaping.normalising is not None and len(shaping.normalising.mean) not in (1, channels):
        raise DataError(f"the images have {channels} channel, and mean and std have 3 numbers: give one, or channels=3")
    return channels, *size
