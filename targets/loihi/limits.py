"""Limits of a chip, as data with sources: ``limits_<name>.toml`` in this folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spikec.analysis.formats import NumberFormat, load_format
from spikec.data_files import chip_files, read_toml
from spikec.errors import ToolchainError
from spikec.ir.kinds import Kind
from spikec.targets.chips import Limit

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Limits:
    """All limits of one chip. A limit that is not published has no key.

    ``binary_spikes_only``: an emission is a spike or none, without sign or payload. ``programmable``: neurons run a
    program of their own. ``weight_widths``: the numbers of bits that a stored weight may have. ``form``: the number
    format.
    """

    name: str
    title: str
    binary_spikes_only: bool
    soft_reset: bool
    programmable: bool
    weight_widths: tuple[int, ...]
    form: NumberFormat
    limits: Mapping[str, Limit]

    def __getitem__(self, key: str) -> Limit:
        return self.limits[key]

    def __contains__(self, key: str) -> bool:
        return key in self.limits

    def carries(self, kind: Kind) -> bool:
        """Whether the spikes of the chip can carry the emissions of ``kind``."""
        return kind.binary or not self.binary_spikes_only


def load_limits(name: str) -> Limits:
    """Limits of the chip called ``name``. Raises ``ToolchainError`` if there is no file with them."""
    file = chip_files("limits", _FOLDER).get(name)
    if file is None:
        raise ToolchainError(f"there is no file limits_{name}.toml in the folder of any chip")
    return _read(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read(file: Path, changed: int) -> Limits:
    """The limits in a file. ``changed``: when it was written, used as cache key only."""
    data = read_toml(file, "limits")
    limits = {
        key: Limit(key, int(table["value"]), table["unit"], table["grade"], table["source"])
        for key, table in data.items()
        if isinstance(table, dict)
    }
    return Limits(
        name=data["name"],
        title=data["title"],
        binary_spikes_only=bool(data["binary_spikes_only"]),
        soft_reset=bool(data["soft_reset"]),
        programmable=bool(data["programmable"]),
        weight_widths=tuple(data["weight_widths"]),
        form=load_format(data["name"]),
        limits=limits,
    )
