"""What a report says about chips by default: whether the network fits, and the energy it would need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from spikec.energy import Estimate, profile_names
from spikec.evidence.energy import estimate
from spikec.ir import IntegerGraph
from spikec.reporting.details import PlacedCore
from spikec.reporting.value import Fit
from spikec.simulation.trace import Trace

if TYPE_CHECKING:
    from spikec.targets.chips import Placement


#: Of a placement that is written down core by core and drawn.
MOST_CORES = 1024


def chips() -> tuple[str, ...]:
    """All chips in the order of the page: by name, backwards, so that the newest of a family comes first."""
    from spikec.targets.chips import chip_names

    return tuple(sorted(chip_names(), reverse=True))


def profiles() -> dict[str, str | None]:
    """All energy profiles in the order of the page, each with its chip; those without a chip (None) come last. A chip
    without a profile has no part in it."""
    from spikec.targets.chips import get_chip

    of_chips = ((get_chip(chip).profile, chip) for chip in chips())
    found: dict[str, str | None] = {profile: chip for profile, chip in of_chips if profile is not None}
    return {**found, **{name: None for name in profile_names() if name not in found}}


def fits_of(graph: IntegerGraph) -> tuple[tuple[Fit, ...], dict[str, Placement]]:
    """The fit of every chip, and the placements that exist by chip name."""
    from spikec.targets.chips import placed

    placements = {chip: placed(graph, chip) for chip in chips()}
    fits = tuple(_fit(graph, chip, placement) for chip, placement in placements.items())
    return fits, {chip: placement for chip, placement in placements.items() if placement is not None}


def _fit(graph: IntegerGraph, chip: str, placement: Placement | None) -> Fit:
    from spikec.targets.chips import check, get_chip

    return Fit(
        target=chip,
        title=get_chip(chip).title,
        cores=len(placement.cores) if placement else None,
        lower_bound=placement.lower_bound if placement else None,
        chips=placement.chips if placement else None,
        cores_of=dict(placement.cores_of) if placement else {},
        loads=tuple(core.load for core in placement.cores) if placement else (),
        violations=tuple(check(graph, chip, placement=placement)),
        placed=_placed(placement) if placement and len(placement.cores) <= MOST_CORES else (),
        assumptions=tuple(placement.assumptions) if placement else (),
    )


def _placed(placement: Placement) -> tuple[PlacedCore, ...]:
    """Columns are counted from the first that the chip uses."""
    places = np.asarray(placement.places)
    chip = places[:, 0]
    first = {int(each): places[chip == each, 1].min() for each in np.unique(chip)}
    found = []
    for core, (at, column, row) in zip(placement.cores, places, strict=True):
        neurons: dict[str, int] = {}
        for part in core.slices:
            number = math.prod(high - low for low, high in part.box)
            neurons[part.layer] = neurons.get(part.layer, 0) + number
        fullest = max(core.usage, key=lambda key: core.usage[key][0] / core.usage[key][1])
        found.append(PlacedCore(core.chip, int(column - first[int(at)]), int(row), core.load, fullest, neurons))
    return tuple(found)


def estimates_of(graph: IntegerGraph, trace: Trace, placements: Mapping[str, Placement]) -> list[Estimate]:
    """One for every profile, with the cores of its chip's placement; none for a chip that cannot hold the network."""
    return [
        estimate(graph, trace, profile=profile, placement=placements[chip] if chip is not None else None)
        for profile, chip in profiles().items()
        if chip is None or chip in placements
    ]
