"""Limits of a part, as data with sources: ``limits_<name>.toml`` in this folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spikec.data_files import chip_files, read_toml
from spikec.targets.chips import Limit


@dataclass(frozen=True)
class Limits:
    """``limits``: ``flash`` and ``ram`` in bytes, what is kept free of both, and the ``clock`` in Hz."""

    name: str
    title: str
    limits: Mapping[str, Limit]

    def __getitem__(self, key: str) -> int:
        return self.limits[key].value


@lru_cache(maxsize=8)
def load_limits(name: str) -> Limits:
    """Limits of the part called ``name``."""
    data = read_toml(chip_files("limits", Path(__file__).parent)[name], "limits")
    found = {
        key: Limit(key, int(table["value"]), table["unit"], table["grade"], table["source"])
        for key, table in data.items()
        if isinstance(table, dict)
    }
    return Limits(data["name"], data["title"], found)
