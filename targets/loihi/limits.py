"""Limits of a chip, as data with sources: ``limits_<name>.toml`` in this folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain.data_files import chip_files, read_toml
from toolchain.errors import ToolchainError
from toolchain.quantization.formats import NumberFormat, load_format

_FOLDER = Path(__file__).parent
_VERIFIED = frozenset({"code", "secondary"})


@dataclass(frozen=True)
class Limit:
    """One number a chip cannot exceed. ``grade``: how it was checked, see the file."""

    key: str
    value: int
    unit: str
    grade: str
    source: str

    @property
    def verified(self) -> bool:
        return self.grade in _VERIFIED


@dataclass(frozen=True)
class Limits:
    """All limits of one chip; a chip without a published limit of some kind lacks the key. ``weight_widths``: bits a
    stored weight may take; ``form``: its numbers."""

    name: str
    title: str
    kinds: tuple[str, ...]
    soft_reset: bool
    weight_widths: tuple[int, ...]
    form: NumberFormat
    limits: Mapping[str, Limit]

    def __getitem__(self, key: str) -> Limit:
        return self.limits[key]

    def __contains__(self, key: str) -> bool:
        return key in self.limits


def chip_names() -> list[str]:
    """Chips with known limits, sorted."""
    return sorted(chip_files("limits", _FOLDER))


def load_limits(name: str) -> Limits:
    """Limits of the chip called ``name``; ``ToolchainError`` for an unknown one."""
    file = chip_files("limits", _FOLDER).get(name)
    if file is None:
        raise ToolchainError(f"no limits of a chip called {name!r} are known; choose {' or '.join(chip_names())}")
    data = read_toml(file, "limits")
    limits = {
        key: Limit(key, int(table["value"]), table["unit"], table["grade"], table["source"])
        for key, table in data.items()
        if isinstance(table, dict)
    }
    return Limits(
        name=data["name"],
        title=data["title"],
        kinds=tuple(data["kinds"]),
        soft_reset=bool(data["soft_reset"]),
        weight_widths=tuple(data["weight_widths"]),
        form=load_format(name),
        limits=limits,
    )
