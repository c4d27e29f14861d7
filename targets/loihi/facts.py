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
    """A graph, the chip's limits, the graph's proven ranges, what neurons need of a core, and where they were placed.

    ``placement`` is the text of the refusal if a neuron exceeds a core.
    """

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
    """How serious a violation of ``limit`` is: a warning if the limit is only recalled or assumed, else an error."""
    return "error" if limit.verified else "warning"


def recalled(limit: Limit) -> str:
    """What a hint adds for a limit that was not verified; empty for others."""
    return "" if limit.verified else f" (the limit is {limit.grade}, not verified)"
