"""Cycles from work: a model with two ends, from documented timings of instructions. Its numbers lie in TOML files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from spikec.data_files import read_toml
from spikec.targets.c.cost.work import Work


@dataclass(frozen=True)
class CycleModel:
    """Cycles of one unit of each kind of work, (low, high). ``left_out``: what the model does not hold."""

    title: str
    source: str
    left_out: str
    units: Mapping[str, tuple[float, float]]

    def cycles(self, work: Work) -> tuple[float, float]:
        """(low, high) of one node."""
        amounts = {
            "addition": work.additions - work.grouped,
            "grouped": work.grouped,
            "unpacked": work.unpacked,
            "product": work.products,
            "searched": work.searched,
            "update": work.updates,
            "level": work.updates * work.levels,
            "leak": work.leaks,
            "moved": work.moved,
        }
        low, high = (sum(amount * self.units[kind][end] for kind, amount in amounts.items()) for end in (0, 1))
        return low, high


@lru_cache(maxsize=4)
def cycle_model(name: str = "cortex-m4") -> CycleModel:
    """The model in ``cycles_<name>.toml`` beside this file."""
    data = read_toml(Path(__file__).parent / f"cycles_{name}.toml", "cycles")
    timings = data["instruction"]
    units = {
        kind: (_priced(table["low"], timings, 0), _priced(table["high"], timings, 1))
        for kind, table in data.items()
        if isinstance(table, dict) and kind != "instruction"
    }
    return CycleModel(data["title"], data["source"], data["left_out"], units)


def _priced(instructions: Mapping[str, float], timings: Mapping[str, Any], end: int) -> float:
    return sum(number * float(timings[name][end]) for name, number in instructions.items())
