"""The cost of a network in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from spikec.targets.c.cost.work import totals

if TYPE_CHECKING:
    from spikec.targets.c.cost.cost import Cost

_UNKNOWN = {True: "unknown: no compiler for it is installed (pip install ziglang)", False: "no compiler was asked"}


def text(cost: Cost, clock: int | None) -> str:
    """Flash, RAM, operations and cycles, a line each."""
    parts, unknown = cost.sections, _UNKNOWN[cost.asked]
    instructions = (
        " or ".join(f"{each.instructions:,} bytes ({each.compiler}, {each.words})" for each in cost.code) or unknown
    )
    stack = " or ".join(f"{each.stack:,} bytes at most ({each.words})" for each in cost.code) or unknown
    sharing = f", in which {_listed(parts.sharing)} take turns" if parts.sharing else ""
    sums = totals(cost.work)
    whose = "of the worst image" if cost.images is None else f"per image, the mean of {cost.images:,}"
    low, high = cost.cycles
    lines = [
        f"flash: {parts.flash:,} bytes of constants ({_listed(parts.constants)})",
        f"  instructions: {instructions}",
        f"RAM: {parts.ram:,} bytes of state ({_listed(parts.state)}; {parts.turns:,} bytes{sharing})",
        f"  stack: {stack}",
        f"operations {whose}: {sums['operations']:,.0f}, of which {sums['additions']:,.0f} additions of weights, "
        f"{sums['products']:,.0f} products, {sums['updates']:,.0f} updates of neurons, {sums['searched']:,.0f} looks "
        "for spikes",
        f"memory traffic: {sums['loaded']:,.0f} bytes read, {sums['stored']:,.0f} written",
        *(f"  {each.name} ({each.what}): {each.operations:,.0f} operations" for each in cost.work),
        f"cycles by a model of the {cost.model.title}: {low:,.0f} to {high:,.0f}{_time(low, high, clock)}",
        f"  from {cost.model.source}; left out: {cost.model.left_out}",
    ]
    return "\n".join(lines)


def _listed(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {size:,}" for name, size in sizes.items()) or "nothing"


def _time(low: float, high: float, clock: int | None) -> str:
    if clock is None:
        return ""
    return f", {low / clock * 1e3:,.2f} to {high / clock * 1e3:,.2f} ms at {clock / 1e6:g} MHz"
