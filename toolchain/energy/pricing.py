"""From counts to joules. ``tc.estimate`` is :func:`spikec.evidence.energy.estimate`, which places the network first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikec.analysis.placement import Placement
from spikec.arguments import real_number, whole_number
from spikec.defaults import ENERGY_DRAWS, PROFILE, SEED
from spikec.energy import event_driven, memory_hierarchy
from spikec.energy.bill import Bill
from spikec.energy.conventions import neurobench
from spikec.energy.cores import CoreAssignment, cores_by_capacity, cores_by_placement
from spikec.energy.counts import Counts, count
from spikec.energy.profile import Profile, load_profile, profile_names
from spikec.energy.sampling import Quantiles, Samples, draw_constants, nominal
from spikec.energy.value import EnergyItem, Estimate, Reference, Routing, Sensitivity
from spikec.energy.workload import OF_EVENTS, FirstLayer, Workload, check_first_layer, workload
from spikec.errors import DataError
from spikec.ir import as_integer
from spikec.ir.graph import IntegerGraph
from spikec.simulation.trace import Trace
from spikec.words import option

if TYPE_CHECKING:
    import nir

Model = Callable[[Workload, Mapping[str, Samples]], Bill]

_WEAKEST_FIRST = ("assumed", "vendor", "simulated", "derived", "measured")


def priced(
    graph: nir.NIRGraph | IntegerGraph,
    trace: Trace,
    profile: str | Path = PROFILE,
    *,
    book: str | None = None,
    draws: int = ENERGY_DRAWS,
    seed: int = SEED,
    placement: Placement | None = None,
    first_layer: str | None = None,
    step_seconds: float | None = None,
) -> Estimate:
    """Energy per image of ``trace`` on a chip, with an interval: :func:`spikec.evidence.energy.estimate` with the
    ``placement`` given, and by capacity without one."""
    net = as_integer(graph)
    if not isinstance(trace, Trace):
        raise DataError(f"expected a trace of tc.simulate or program.run, got {type(trace).__name__}")
    if net.sequences and trace.timesteps:
        net = net.lasting(trace.timesteps)
    draws = whole_number("draws", draws, 1)
    if step_seconds is not None and not real_number("step_seconds", step_seconds) > 0:
        raise DataError(f"step_seconds must be positive, it is {step_seconds}")
    chosen = load_profile(profile, book)
    mode = _first_layer(net, first_layer, chosen)
    counts = count(net, trace)
    rng = np.random.default_rng(seed)
    nonzero_only = chosen.data["charges"] == "nonzero"
    mean, sampled = workload(net, trace, counts, first_layer=mode, nonzero_only=nonzero_only, draws=draws, rng=rng)
    constants = draw_constants(chosen, draws, rng)
    reference: Reference | None = None
    where: CoreAssignment | None = None
    model: Model
    if chosen.model == "event_driven":
        if placement is None:
            where = cores_by_capacity(mean, chosen)
        else:
            _check_placement(net, placement, chosen)
            where = cores_by_placement(net, placement, counts, nonzero_only)
        model = partial(event_driven.price, where=where, step_seconds=step_seconds)
    else:
        model = partial(memory_hierarchy.price, counts=counts, sizes=chosen.data)
        reference = memory_hierarchy.comparison(net, sampled, counts, constants, chosen.data)
    bill = model(sampled, constants)
    times = [None if bill.step_seconds is None else Quantiles.of(bill.step_seconds * n) for n in _steps(mean)]
    return Estimate(
        profile=chosen.name,
        title=chosen.title,
        book=chosen.book,
        evidence=chosen.evidence,
        counts=counts,
        first_layer=mode,
        total=Quantiles.of(bill.total),
        nominal=float(model(mean, nominal(chosen)).total.mean()),
        items=tuple(EnergyItem(name, Quantiles.of(j), _basis(chosen, bill, name)) for name, j in bill.items.items()),
        sensitivities=_tornado(chosen, mean, model),
        step_seconds=times[0],
        inference_seconds=times[1],
        latency_seconds=times[2],
        bound_by=bill.bound_by,
        cores=where.cores if where else {},
        total_cores=where.total_cores if where else 0,
        chips=where.chips if where else 0,
        mapping_assumed=where.assumed if where else False,
        routing=_routing(counts, where) if where else {},
        assumed=_assumed(chosen, where),
        unpriced=_unpriced(chosen, mean, where),
        warnings=_warnings(net, trace, counts, chosen),
        constants=tuple(chosen.constants.values()),
        draws=draws,
        seed=seed,
        content_sha256=net.content_sha256,
        deployment_sha256=net.deployment_sha256,
        reference=reference,
        neurobench=neurobench(net, trace, counts),
    )


def _first_layer(net: IntegerGraph, asked: str | None, profile: Profile) -> FirstLayer:
    """Who computes the layer that the input enters. Frames of a sequence are events at every step, whatever the
    profile's choice for images. Raises ``DataError`` for what only an image that stays the same allows."""
    if not net.sequences:
        return check_first_layer(asked or profile.data["first_layer"])
    mode = check_first_layer(asked or OF_EVENTS[0])
    if mode not in OF_EVENTS:
        raise DataError(
            f"{option('first_layer', mode)} needs an image that stays the same; sequences are {' or '.join(OF_EVENTS)}"
        )
    return mode


def _check_placement(net: IntegerGraph, placement: Placement, profile: Profile) -> None:
    shapes = {layer.name: layer.shape for layer in net.layers}
    if {layer: cores.shape for layer, cores in placement.core_of.items()} != shapes:
        raise DataError("the placement is of another network; place the one the trace was made with")
    target = getattr(placement, "target", profile.name)
    if target != profile.name and {target, profile.name} <= set(profile_names()):
        raise DataError(f"the placement is on {target}, the profile is {profile.name}; place the network there")


def _steps(work: Workload) -> tuple[int, int, int]:
    return 1, work.steps, work.latency_steps


def _routing(counts: Counts, where: CoreAssignment) -> dict[str, Routing]:
    found = {}
    for name, entry in counts.populations.items():
        spikes = entry.spikes_out / counts.images
        parts = (where.destinations, where.hops_east_west, where.hops_north_south, where.crossings)
        found[name] = Routing(*(spikes * part[name] for part in parts))
    return found


def _basis(profile: Profile, bill: Bill, item: str) -> str:
    found = {profile.constants[key].basis for key in bill.terms[item] if key in profile.constants}
    return next(basis for basis in _WEAKEST_FIRST if basis in found)


def _tornado(profile: Profile, work: Workload, model: Model) -> tuple[Sensitivity, ...]:
    """Totals with one constant at an end of its interval, widest first. A term solved from the calibration plane
    follows the others and is not moved by itself."""
    solved = profile.calibration["solves"] if profile.calibration else None
    found = []
    for key, constant in profile.constants.items():
        if key != solved:
            ends = (model(work, nominal(profile, **{key: end})).total for end in (constant.low, constant.high))
            low, high = (float(end.mean()) for end in ends)
            if low != high:
                found.append(Sensitivity(key, low, high))
    return tuple(sorted(found, key=lambda s: -s.swing))


def _assumed(profile: Profile, where: CoreAssignment | None) -> tuple[str, ...]:
    lines = [f"{c.key}: {c.source}" for c in profile.constants.values() if c.basis == "assumed"]
    lines += profile.data.get("assumed", [])
    if where is not None:
        lines.append("the pipeline is full: one image follows the other without a gap")
        lines.append("a step lasts as long as its mean load; steps with more spikes take longer")
    if where is not None and where.assumed:
        lines.append(
            f"cores by capacity ({where.total_cores} on {where.chips} chip(s)): a spike sends one message to every "
            "core of the layers it feeds, over the mean distance of a square mesh"
        )
    return tuple(lines)


def _unpriced(profile: Profile, work: Workload, where: CoreAssignment | None) -> tuple[str, ...]:
    lines = list(profile.unpriced)
    if where is not None and where.chips > 1:
        lines.append("messages between chips: no energy per crossing is published")
    if work.host_macs:
        lines.append(f"first layer on the host: {work.host_macs:,} multiply-accumulates per image")
    if work.first_layer == "host_encoded":
        lines.append("encoding the image to events on the host")
    return tuple(lines)


def _warnings(net: IntegerGraph, trace: Trace, counts: Counts, profile: Profile) -> tuple[str, ...]:
    lines = list(profile.notes)
    if any(p.neuron.rehearsal for p in net.populations):
        lines.append("the calibration passes are in the time, but their synaptic operations are not counted")
    if not all(p.name in (trace.image_events or trace.events) for p in net.populations):
        lines.append("the trace holds no counts per image: the interval leaves out the spread between images")
    if profile.model == "memory_hierarchy" and any(p.neuron.multiplied for p in net.populations):
        lines.append("payloads are priced as additions of weights; their multiplications cost more")
    dead = sum(p.dead for p in counts.populations.values())
    if dead:
        lines.append(f"{dead:,} neurons never fired in {counts.images:,} images")
    return tuple(lines)
