"""What is known about every accumulator and membrane: proven, measured, or seen to overflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from spikec.analysis.ranges import bounds
from spikec.calls import named_arguments
from spikec.display import Column, ShownTuple, Table, count
from spikec.ir import IntegerGraph, as_integer
from spikec.ir.graph import leak_of
from spikec.ir.types import MEMBRANE_MAX
from spikec.simulation.encode import as_sequences
from spikec.simulation.golden import GoldenModel
from spikec.simulation.registers import Register, Registers, accumulator, adders, format_of

if TYPE_CHECKING:
    import nir

    from spikec.analysis.formats import NumberFormat
    from spikec.analysis.ranges import Bound
    from spikec.simulation import Trace

Status = Literal["proven", "measured", "unproven", "overflows"]
Quantity = Literal["accumulator", "membrane"]


@dataclass(frozen=True)
class LayerRange:
    """One register of a layer: the ``accumulator`` of a node that adds (its sum of one step, biases excluded), or the
    ``membrane`` of a population or of the readout, before reset. It holds -limit - 1 to ``limit``.

    ``low`` and ``high``: worst case over every possible image. ``measured``: range on ``images`` images, None where the
    proof made measuring needless. ``margin``: how many times the measured range fits into ``limit`` (proven: the worst
    case). ``detail`` names neuron, value and image of the first overflow.
    """

    layer: str
    quantity: Quantity
    status: Status
    low: int
    high: int
    limit: int
    measured: tuple[int, int] | None = None
    images: int = 0
    detail: str = ""

    @property
    def margin(self) -> float:
        low, high = self.measured or (self.low, self.high)
        return self.limit / max(high, ~low, 1)

    def __str__(self) -> str:
        worst, name = f"[{self.low}, {self.high}]", f"{self.layer}: {self.quantity}"
        match self.status:
            case "proven":
                return f"{name} proven, worst case {worst}, {self.margin:.1f} times within {self.limit}"
            case "measured":
                return (
                    f"{name} measured {list(self.measured or ())} on {self.images} images, margin {self.margin:.1f}; "
                    f"worst case {worst} exceeds {self.limit}"
                )
            case "unproven":
                return f"{name} may reach {worst}, beyond {self.limit}; give images to measure"
            case _:
                return f"{name} overflows {self.limit}: {self.detail}"


@named_arguments
class RangeReport(ShownTuple[LayerRange]):
    """Registers in network order, a tuple that shows itself as a table."""

    __slots__ = ()

    def _headline(self) -> str:
        return summary(self)

    def _table(self) -> Table:
        columns = (
            Column("layer", "layer", left=True),
            Column("quantity", "register", left=True),
            Column("status", "state", left=True),
            Column("low", "worst case, from", count),
            Column("high", "to", count),
            Column("measured_low", "measured, from", count),
            Column("measured_high", "to", count),
            Column("limit", "limit", count),
            Column("margin", "times within", count),
            Column("detail", "where", left=True),
        )
        rows = []
        for each in self:
            seen = each.measured or (None, None)
            head = (each.layer, each.quantity, each.status, each.low, each.high)
            rows.append((*head, *seen, each.limit, each.margin, each.detail))
        return Table(summary(self), columns, tuple(rows))


def check_ranges(
    graph: nir.NIRGraph | IntegerGraph, images: Any = None, *, format: NumberFormat | str | None = None
) -> RangeReport:
    """Every accumulator and membrane of a deployment against the registers of a number format, in network order.

    ``images``: float [N, *input shape], or an iterator of such batches, to measure what is not proven. ``format``: a
    name, a .toml file or a ``NumberFormat`` (default: the one the graph was lowered for).

    >>> {each.status for each in tc.check_ranges(graph)}
    {'proven'}
    """
    integer = as_integer(graph)
    form = format_of(integer, format)
    registers = Registers(Register(form.accumulator_max), Register(form.membrane_max), accumulators=True)
    ranges = bounds(integer)
    trace = None
    if images is not None and not registers.proven(ranges):
        lengths = None
        if integer.sequences:
            images, lengths = as_sequences(integer.input, images)
            integer = integer.lasting(images.shape[1])
        trace = GoldenModel(integer, measure=True, registers=registers).run(images, counts=False, lengths=lengths)
    adding = set(adders(integer))
    found = []
    for node in integer:
        if node.name in adding:
            found.append(_layer("accumulator", ranges.sums[node.name], registers.accumulator.maximum, trace))
        if node.name in ranges.membranes:
            limit = registers.membrane.maximum if leak_of(node) is None else MEMBRANE_MAX
            found.append(_layer("membrane", ranges.membranes[node.name], limit, trace))
    return RangeReport(found)


def _layer(quantity: Quantity, bound: Bound, limit: int, trace: Trace | None) -> LayerRange:
    name, low, high = bound.node, bound.low, bound.high
    if Register(limit).holds(bound):
        return LayerRange(name, quantity, "proven", low, high, limit)
    if trace is None:
        return LayerRange(name, quantity, "unproven", low, high, limit)
    seen = (trace.membrane if quantity == "membrane" else trace.accumulator)[name]
    at = trace.first_overflow.get(name if quantity == "membrane" else accumulator(name))
    detail = f"neuron {list(at.neuron)} reaches {at.value} on image {at.image}" if at else ""
    return LayerRange(name, quantity, "overflows" if at else "measured", low, high, limit, seen, trace.images, detail)


def summary(layers: tuple[LayerRange, ...]) -> str:
    """How many registers are proven, measured, unproven and overflowing, in one line."""
    counts = {status: sum(layer.status == status for layer in layers) for status in _words(layers)}
    return f"{len(layers)} registers: " + ", ".join(f"{count} {status}" for status, count in counts.items())


def _words(layers: tuple[LayerRange, ...]) -> Iterator[Status]:
    yield from dict.fromkeys(layer.status for layer in layers)


__all__ = ["LayerRange", "RangeReport", "check_ranges", "summary"]
