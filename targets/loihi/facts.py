"""What the rules of a chip look at, and what they return."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from targets.loihi.limits import Limit, Limits
from targets.loihi.needs import Demand, Layer
from targets.loihi.placement import Placement
from toolchain.ir.integer import IntegerGraph, Population, Readout
from toolchain.quantization.ranges import Ranges

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Violation:
    """``layer`` exceeds a limit: ``actual`` against ``limit`` in the words of ``rule``; ``hint`` says what to do.
    ``layer`` is empty where the whole network is meant."""

    rule: str
    layer: str
    actual: float | str
    limit: float | str
    severity: Severity
    hint: str

    def __str__(self) -> str:
        where = f"{self.layer}: " if self.layer else ""
        return f"{self.severity}: {where}{self.rule} {self.actual}, limit {self.limit}. {self.hint}"


@dataclass(frozen=True)
class Facts:
    """A graph, the chip's limits, the graph's proven ranges, what neurons take of a core, and where they were placed;
    ``placement`` is the refusal where a neuron exceeds a core."""

    net: IntegerGraph
    limits: Limits
    ranges: Ranges
    demand: Demand
    placement: Placement | str

    @property
    def layers(self) -> list[Layer]:
        return [node for node in self.net if isinstance(node, Population | Readout)]


Rule = Callable[[Facts], Iterator[Violation]]


def severity(limit: Limit) -> Severity:
    """A limit that is only recalled or assumed gives a warning."""
    return "error" if limit.verified else "warning"


def recalled(limit: Limit) -> str:
    """What a hint adds about a limit nobody checked."""
    return "" if limit.verified else f" (the limit is {limit.grade}, not verified)"
