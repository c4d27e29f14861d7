"""What the rules of a chip look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spikec.analysis.ranges import Ranges
from spikec.analysis.violations import Severity, Violation
from spikec.ir.graph import IntegerGraph
from spikec.targets.chips import Limit, Placement
from spikec.targets.loihi.limits import Limits
from spikec.targets.loihi.needs import Demand, Layer


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
    def layers(self) -> tuple[Layer, ...]:
        return self.net.layers


Rule = Callable[[Facts], Iterator[Violation]]


def severity(limit: Limit) -> Severity:
    """A limit that is only recalled or assumed gives a warning."""
    return "error" if limit.verified else "warning"


def recalled(limit: Limit) -> str:
    """What a hint adds about a limit nobody checked."""
    return "" if limit.verified else f" (the limit is {limit.grade}, not verified)"
