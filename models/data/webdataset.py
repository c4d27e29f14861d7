"""Tar archives in the layout of WebDataset: ``KEY.jpg`` and ``KEY.cls`` beside each other, which make one sample."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.guarded import open_regular
from spikec.guarded.tars import Member, members
from spikec.models.data.dataset import Dataset
from spikec.models.data.pictures import SUFFIXES
from spikec.models.data.shaping import Shaping
from spikec.models.data.streams import FILE_MOST, Indices, Pictures, file_mark, numbers
from spikec.training.targets import class_names

_LABEL = ".cls"
#: Digits of a class; archives that one pattern of names stands for.
_DIGITS, _ARCHIVES_MOST = 9, 10**5
_RANGE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")


class _Sample(NamedTuple):
    """The places of a picture and of its class in one archive."""

    picture: Member
    label: Member


class Packed:
    """Pictures in archives, by the number of the archive, the place in it, and the size."""

    def __init__(self, archives: Sequence[Path], places: npt.NDArray[np.int64]) -> None:
        self._archives, self._places = archives, places  # places int64 [N, 3]

    def __len__(self) -> int:
        return len(self._places)

    @contextmanager
    def opened(self, index: int) -> Iterator[tuple[str, BinaryIO]]:
        archive, start, size = (int(number) for number in self._places[index])
        path = self._archives[archive]
        with open_regular(path) as file:
            file.seek(start)
            content = file.read(size)
        if len(content) < size:
            raise DataError(f"{path} ends inside the picture at byte {start}: it has changed since it was opened")
        yield f"{path}, picture at byte {start},", io.BytesIO(content)

    def chosen(self, indices: Indices) -> Packed:
        return Packed(self._archives, self._places[numbers(indices, len(self))])

    def fingerprint(self) -> str:
        digest = hashlib.sha256(self._places.tobytes())
        for archive in np.unique(self._places[:, 0]):
            digest.update(file_mark(self._archives[int(archive)]))
        return digest.hexdigest()


def load_webdataset(root: Path, options: str, split: str) -> Dataset:
    """Images uint8 [N, C, H, W], read when they are asked for, and their classes, in the order of the archives.

    ``root``: one archive; several, ``imagenet-val-{00..49}.tar``; or a folder of archives, of which those that begin
    with ``train`` are the one split and those with ``test`` or ``val`` the other, where there are such names.
    ``options``: :meth:`spikec.models.data.shaping.Shaping.parse`. Raises :class:`DataError`.
    """
    shaping = Shaping.parse(options)
    archives = _archives(root, split)
    places: list[tuple[int, int, int]] = []
    labels: list[int] = []
    for number, path in enumerate(archives):
        for sample in _samples(path):
            if sample.picture.size > FILE_MOST:
                raise DataError(f"{path}: {sample.picture.name} has more than {FILE_MOST:,} bytes: it is no picture")
            places.append((number, sample.picture.start, sample.picture.size))
            labels.append(_class(path, sample.label))
    if not places:
        raise DataError(
            f"no pictures in {root}; each needs KEY.jpg, or another of {', '.join(sorted(SUFFIXES))}, and KEY{_LABEL}"
        )
    targets = np.array(labels, np.int64)
    stored = Pictures(Packed(archives, np.array(places, np.int64)), shaping)
    name = f"webdataset:{root}" + (f",{options}" if options else "")
    return Dataset(name, stored, targets, 1 / 255, class_names([targets]), shaping.normalising)


def _archives(root: Path, split: str) -> list[Path]:
    if os.path.isdir(root):
        every = sorted(path for path in root.iterdir() if path.suffix == ".tar")
        named = {part: [p for p in every if p.name.startswith(starts)] for part, starts in _SPLITS.items()}
        if not every:
            raise DataError(f"{root} holds no .tar file")
        if any(named.values()) and not named[split]:
            raise DataError(f"{root} holds no .tar file whose name begins with {' or '.join(_SPLITS[split])}")
        return named[split] or every
    found = _RANGE.search(str(root))
    if found is None:
        return [root]
    first, last = (int(text) for text in found.groups())
    if not 0 < last - first + 1 <= _ARCHIVES_MOST:
        raise DataError(f"{root} stands for {last - first + 1:,} archives; give 1 to {_ARCHIVES_MOST:,}")
    digits = len(found[1])
    every = [
        Path(f"{str(root)[: found.start()]}{n:0{digits}}{str(root)[found.end() :]}") for n in range(first, last + 1)
    ]
    return [each for path in every for each in _archives(path, split)] if _RANGE.search(str(every[0])) else every


_SPLITS = {"train": ("train",), "test": ("test", "val")}


def _samples(path: Path) -> Iterator[_Sample]:
    """The samples of one archive: files of one name up to its first dot follow each other."""
    key, picture, label = "", None, None
    for member in members(path):
        folder, _, name = member.name.rpartition("/")
        stem, dot, suffix = name.partition(".")
        own = f"{folder}/{stem}"
        if own != key:
            yield from _sample(path, key, picture, label)
            key, picture, label = own, None, None
        if f"{dot}{suffix}".lower() in SUFFIXES:
            if picture is not None:
                raise DataError(f"{path}: {picture.name} and {member.name} are two pictures of one sample: leave one")
            picture = member
        elif f"{dot}{suffix}" == _LABEL:
            label = member
    yield from _sample(path, key, picture, label)


def _sample(path: Path, key: str, picture: Member | None, label: Member | None) -> Iterator[_Sample]:
    if picture is None and label is None:
        return  # something else, such as a text
    if picture is None or label is None:
        there, missing = (label, "picture") if picture is None else (picture, f"{_LABEL} with its class")
        assert there is not None
        raise DataError(f"{path}: {there.name} has no {missing} beside it, next to it in the archive")
    yield _Sample(picture, label)


def _class(path: Path, label: Member) -> int:
    with open_regular(path) as file:
        file.seek(label.start)
        text = file.read(min(label.size, 2 * _DIGITS)).strip()
    if label.size > 2 * _DIGITS or not text.isdigit() or len(text) > _DIGITS:
        raise DataError(f"{path}: {label.name} should hold the number of a class, such as 7")
    return int(text)
