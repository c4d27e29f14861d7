"""Ranges: what the membranes were seen to hold, what they can hold, and what the register does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikec.ir.types import MEMBRANE_MAX
from spikec.reporting.numbers import UNKNOWN, grouped, span
from spikec.reporting.page.charts import bits_strip
from spikec.reporting.page.html import Column, Html, table, tag

if TYPE_CHECKING:
    from spikec.reporting.value import PopulationRow, Report


#: Of the register, sign included.
_BITS = MEMBRANE_MAX.bit_length() + 1


def ranges(report: Report) -> list[Html]:
    """A sentence and a row for each layer."""
    proven = [row for row in report.populations if row.bound_bits is not None and row.bound_bits <= _BITS]
    beyond = sum(row.overflows or 0 for row in report.populations)
    layers = len(report.populations)
    said = (
        f"{grouped(beyond)} numbers left the {_BITS}-bit register"
        if beyond
        else f"No membrane left the {_BITS}-bit register"
    )
    lead = f"{said}; for {len(proven)} of {layers} layers the weights prove that no input can make one do so."
    columns = [
        Column("Layer", "name"),
        Column("Membrane seen", hint="before reset, lowest to highest; unknown where the trace was not measured"),
        Column("Bits seen", hint="two's complement width of what was seen"),
        Column("Can never leave", hint="from the weights alone, for every input"),
        Column("Bits proven"),
        Column(f"of {_BITS} bits", "drawing", hint="both halves logarithmic; shaded: proven, filled: seen"),
        Column("Overflows", hint=f"neuron-steps beyond {_BITS} bits"),
    ]
    rows = [_row(row) for row in report.populations]
    return [tag("p", lead), table("Membranes, layer by layer", columns, rows)]


def _row(row: PopulationRow) -> list[object]:
    seen = span(row.membrane) if row.membrane else UNKNOWN
    bound = span(row.bound) if row.bound else UNKNOWN
    return [
        tag("code", row.name),
        seen,
        row.membrane_bits if row.membrane_bits is not None else UNKNOWN,
        bound,
        row.bound_bits if row.bound_bits is not None else UNKNOWN,
        bits_strip(row.membrane, row.bound, _BITS, f"{row.name}: seen {seen}, proven {bound}"),
        _flagged(row.overflows),
    ]


def _flagged(overflows: int | None) -> object:
    if overflows is None:
        return UNKNOWN
    return tag("strong", grouped(overflows), class_="bad") if overflows else "0"
