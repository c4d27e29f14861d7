"""What an execution would cost on a chip, on the cores that the network would be placed on: ``tc.estimate``.

The command line, reports and sweeps ask here too, so that all of them say the same.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spikec import defaults
from spikec.analysis.placement import Placement
from spikec.calls import named_arguments
from spikec.energy import Estimate, load_profile, priced
from spikec.errors import DataError, DoesNotFit, ToolchainError
from spikec.ir import as_integer
from spikec.ir.graph import IntegerGraph
from spikec.simulation.trace import Trace
from spikec.targets import told_apart
from spikec.targets.chips import CHIPS, Chip, chip_names, chip_of

if TYPE_CHECKING:
    import nir

#: Instead of a placement: one is made or the network is refused (``required``), or none is (``capacity``).
Placing = Literal["required", "capacity"]


@named_arguments
def estimate(
    graph: nir.NIRGraph | IntegerGraph,
    trace: Trace,
    profile: str | Path = defaults.PROFILE,
    *,
    book: str | None = None,
    draws: int = defaults.ENERGY_DRAWS,
    seed: int = defaults.SEED,
    placement: Placement | Placing | None = None,
    first_layer: str | None = None,
    step_seconds: float | None = None,
) -> Estimate:
    """Energy per image of ``trace`` on a chip, with an interval.

    ``profile``: a name (``loihi1``, ``loihi2``, ``cmos45``) or the path of a profile file; ``book``: one of its sets
    of constants. ``placement``: where neurons are computed. By default the network is placed as ``tc.place`` does, and
    where it cannot be, or the profile is of no chip, cores follow from capacity; ``Estimate.assumed`` then says so.
    "required" refuses what cannot be placed, "capacity" places nothing; or give what ``tc.place`` returned.
    ``first_layer`` says who computes the layer that the image enters, see
    :func:`spikec.energy.workload.first_layer_synops`; by default the profile's choice (``bias_current`` on Loihi), and
    ``event_camera`` for sequences.
    ``step_seconds``: the measured wall clock per step; without it the chip's own bound, which leaves out input and
    output. Raises ``DataError`` when trace, placement and graph do not belong together, ``DoesNotFit`` for a network
    whose placement is required and fails, ``ToolchainError`` for an unknown profile, book or mode.

    >>> tc.estimate(graph, trace, profile="cmos45").total.p50 > 0
    True
    """
    net = as_integer(graph)
    if not str(profile).endswith(".toml") and not told_apart.is_one(str(profile), "energy profile"):
        raise ToolchainError(told_apart.wrong(str(profile), "energy profile"))
    options: dict[str, Any] = {"book": book, "draws": draws, "seed": seed}
    options |= {"first_layer": first_layer, "step_seconds": step_seconds}
    if isinstance(placement, str) and placement not in ("required", "capacity"):
        raise DataError(f"placement is {placement!r}; give 'required', 'capacity' or what tc.place returned")
    if placement is not None and not isinstance(placement, str):
        return priced(net, trace, profile, placement=placement, **options)
    chip, why = None, ""
    if placement != "capacity":
        chip = _chip(profile, book)
    if chip is None and placement == "required":
        title = load_profile(profile, book).title
        raise ToolchainError(f"{title} has no cores to place on; known chips: {', '.join(chip_names())}")
    where = None
    if chip is not None:
        try:
            where = chip.place(net)
        except DoesNotFit as error:
            if placement == "required":
                raise
            why = f"cores by capacity, since the network cannot be placed: {error}"
    found = priced(net, trace, profile, placement=where, **options)
    return replace(found, assumed=(why, *found.assumed)) if why else found


def _chip(profile: str | Path, book: str | None) -> Chip | None:
    """The chip that a profile is of: the one of its name, or one that names this profile as its own."""
    return CHIPS.get(load_profile(profile, book).name) or chip_of(str(profile))


__all__ = ["Placing", "estimate"]
