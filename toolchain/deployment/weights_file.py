"""What a weights file says about itself: the header that ``spikec train`` writes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from spikec.arguments import file_path
from spikec.errors import DataError
from spikec.guarded import file_digest
from spikec.ir.types import TIMESTEPS_MAX
from spikec.models.checkpoints import files_of
from spikec.models.loading import read_header
from spikec.quantization import Int8

#: The key of the header that holds a :class:`TrainedPrecision`.
TRAINED_PRECISION = "trained_precision"
#: The key of the header that says what max pools were replaced by.
MAX_POOL = "max_pool"
#: The key of the header that says that its images were the mean frames of sequences.
FRAMES = "frames"


@dataclass(frozen=True)
class TrainedPrecision:
    """The precision that weights were fine-tuned with (``spikec train --weight-bits``), and what for.

    ``per``, ``bits``, ``scale``, ``override`` and ``units`` as in :class:`spikec.quantization.Int8`. ``method`` and
    number ``format``: what they were fine-tuned for; any other use would round the weights anew.
    """

    per: str
    bits: int
    scale: str
    override: Mapping[str, int]
    units: Mapping[str, Sequence[float]]
    method: str
    format: str

    @classmethod
    def read(cls, header: Mapping[str, Any]) -> TrainedPrecision | None:
        """From the header of a file; None where it holds none."""
        found = header.get(TRAINED_PRECISION)
        return None if found is None else cls(override=found["overrides"], **{n: found[n] for n in _AS_STORED})


_AS_STORED = ("per", "bits", "scale", "units", "method", "format")


def trained_precision(precision: Int8, method: str, format: str) -> dict[str, Any]:
    """What goes into the header of weights fine-tuned with ``precision`` for a method and a number format."""
    return {TRAINED_PRECISION: {**asdict(precision), "method": method, "format": format}}


@dataclass(frozen=True)
class SpikingTraining:
    """The spiking network that weights were trained through (``spikec train --through-spikes``)."""

    timesteps: int
    neuron: str


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights and its header, which is empty where ``spikec train`` did not write it."""

    path: Path
    header: Mapping[str, Any] = field(repr=False, hash=False)

    @property
    def method(self) -> str | None:
        """What it was trained for: ``qcfs``, ``relu``, ..."""
        return self.header.get("method")

    @property
    def levels(self) -> int | None:
        """Levels of its activations; 0: clipping only."""
        return self.header.get("levels")

    @property
    def data(self) -> str | None:
        """The data set it was trained on."""
        return self.header.get("data")

    @property
    def max_pool(self) -> str | None:
        """``average`` where it was trained with average pools in place of max pools."""
        return self.header.get(MAX_POOL)

    @property
    def frames(self) -> bool:
        """Whether it was trained on the mean frames of sequences."""
        return bool(self.header.get(FRAMES))

    @property
    def precision(self) -> TrainedPrecision | None:
        return TrainedPrecision.read(self.header)

    @property
    def through_spikes(self) -> SpikingTraining | None:
        if not self.header.get("through_spikes"):
            return None
        return SpikingTraining(self.header["validation_timesteps"], self.header["neuron"])

    @cached_property
    def sha256(self) -> str:
        """Of the file, or of all files that an index names."""
        digest = hashlib.sha256()
        for file in files_of(self.path):
            file_digest(file, into=digest)
        return digest.hexdigest()


def weights_file(path: str | Path) -> WeightsFile:
    """The file with its header. Raises :class:`DataError` if it cannot be read."""
    path = file_path(path, "a file of weights")
    if not os.path.isfile(path):
        return WeightsFile(path, read_header(path))  # which says so
    return _read(path, tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files_of(path)))


@lru_cache(maxsize=64)
def _read(path: Path, states: tuple[tuple[int, int], ...]) -> WeightsFile:
    """The file, kept for these times of change and sizes: a grid asks for it once per run."""
    header = read_header(path)
    _check(path, header)
    return WeightsFile(path, header)


def _check(path: Path, header: Mapping[str, Any]) -> None:
    """Raise :class:`DataError` where the header holds other than ``spikec train`` writes."""
    wrong = [key for key, right in _HELD.items() if key in header and not right(header[key])]
    if header.get("through_spikes"):
        wrong += [key for key in ("validation_timesteps", "neuron") if key not in header]
    if wrong:
        raise DataError(
            f"{path}: its header is damaged, {', '.join(wrong)}: write the weights again, or without a header"
        )


def _text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _whole(most: int) -> Callable[[Any], bool]:
    return lambda value: value is None or (type(value) is int and 0 <= value <= most)


def _precision(found: Any) -> bool:
    """Whether this is what :func:`trained_precision` makes."""
    if found is None:
        return True
    if not isinstance(found, dict) or not {"overrides", *_AS_STORED} <= found.keys():
        return False
    texts = all(isinstance(found[key], str) for key in ("per", "scale", "method", "format"))
    bits = [found["bits"], *(found["overrides"].values() if isinstance(found["overrides"], dict) else [None])]
    units = found["units"].values() if isinstance(found["units"], dict) else [None]
    listed = all(isinstance(each, list) and all(isinstance(n, int | float) for n in each) for each in units)
    return texts and listed and all(type(each) is int and 2 <= each <= 8 for each in bits)


#: What the entries that are read must be.
_HELD: Mapping[str, Callable[[Any], bool]] = {
    "method": _text,
    "data": _text,
    "neuron": _text,
    MAX_POOL: lambda value: value in (None, "exact", "average"),
    "levels": _whole(2**24),
    "validation_timesteps": _whole(TIMESTEPS_MAX),
    TRAINED_PRECISION: _precision,
}
