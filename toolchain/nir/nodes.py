"""The nodes of NIR 1.0.8 and their fields, read from ``nodes.toml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from spikec.data_files import read_toml

GRAPH = "NIRGraph"
#: Kinds with a time constant of their own, and those that spike.
LEAKY = ("LI", "LIF", "CubaLI", "CubaLIF")
SPIKING = ("IF", "LIF", "CubaLIF")
#: Fields that hold a time constant.
TAUS = ("tau", "tau_mem", "tau_syn")
#: Kinds that remember something from one step to the next.
STATEFUL = ("I", "IF", *LEAKY, "Delay")
CONVOLUTIONS = ("Conv1d", "Conv2d")
POOLS = ("SumPool2d", "AvgPool2d")
DENSE = ("Affine", "Linear")


@dataclass(frozen=True)
class FieldRule:
    """What NIR expects of one field. ``missing``: None where it is required."""

    of: Literal["float", "whole", "padding"]
    ranks: tuple[int, ...]
    missing: int | str | None = None
    neuron: bool = False


@lru_cache(maxsize=1)
def nodes() -> dict[str, dict[str, FieldRule]]:
    """Kind of node -> its fields, without graphs."""
    table = read_toml(Path(__file__).with_name("nodes.toml"), "table of NIR nodes")
    return {
        kind: {
            name: FieldRule(of=about["of"], ranks=tuple(about["ranks"]), **{k: about[k] for k in _OTHER & about.keys()})
            for name, about in fields.items()
        }
        for kind, fields in table.items()
    }


_OTHER = {"missing", "neuron"}


def per_neuron(kind: str) -> list[str]:
    """Fields of a kind with one value per neuron."""
    return [name for name, rule in nodes().get(kind, {}).items() if rule.neuron]
