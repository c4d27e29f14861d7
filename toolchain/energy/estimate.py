"""From counts to joules: ``estimate(graph, trace, profile="loihi2")``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from toolchain.energy.counts import Counts, count
from toolchain.energy.event_driven import CoreAssignment, cores_by_capacity, price
from toolchain.energy.profile import Profile, load_profile
from toolchain.energy.sampling import Quantiles, draw_constants, nominal
from toolchain.energy.value import EnergyItem, Estimate, Sensitivity
from toolchain.energy.workload import Workload, check_first_layer, workload
from toolchain.ir import as_integer
from toolchain.ir.integer import IntegerGraph
from toolchain.simulation.trace import Trace

if TYPE_CHECKING:
    import nir

_WEAKEST_FIRST = ("assumed", "vendor", "simulated", "derived", "measured")
_TERMS = {
    "synapses": ("e_syn", "e_syn_conv", "e_syn_dense"),
    "neurons": ("e_neuron", "e_neuron_active", "e_neuron_inactive", "active_share"),
    "spikes": ("e_spike",),
    "messages": ("e_message",),
    "hops": ("e_hop",),
    "static": ("p_static", "t_syn", "t_neuron", "t_message", "t_barrier"),
    "host on chip": ("p_host", "t_syn", "t_neuron", "t_message", "t_barrier"),
    "reset": ("e_reset",),
}


def estimate(
    graph: nir.NIRGraph | IntegerGraph,
    trace: Trace,
    profile: str = "loihi2",
    *,
    book: str | None = None,
    draws: int = 2000,
    seed: int = 0,
    first_layer: str = "bias_current",
) -> Estimate:
    """Energy per image of ``trace`` on a chip, with an interval.

    ``profile``: a name (``loihi1``, ``loihi2``, ``cmos45``) or the path of a profile file; ``book``: one of its sets
    of constants. ``first_layer`` says who computes what the image enters: see
    :func:`toolchain.energy.workload.first_layer_synops`. Raises ``DataError`` when trace and graph do not belong
    together, ``ToolchainError`` for an unknown profile, book or mode.
    """
    net = as_integer(graph)
    constants = load_profile(profile, book)
    counts = count(net, trace)
    return _event_driven(net, trace, counts, constants, draws, seed, first_layer)


def _event_driven(
    net: IntegerGraph, trace: Trace, counts: Counts, profile: Profile, draws: int, seed: int, first_layer: str
) -> Estimate:
    rng = np.random.default_rng(seed)
    mode = check_first_layer(first_layer)
    nonzero_only = profile.data["charges"] == "nonzero"
    mean, sampled = workload(net, trace, counts, first_layer=mode, nonzero_only=nonzero_only, draws=draws, rng=rng)
    where = cores_by_capacity(mean, profile)
    bill = price(sampled, draw_constants(profile, draws, rng), where)
    present = {key for name in bill.items for key in _TERMS[name] if key in profile.constants}
    items = tuple(EnergyItem(name, Quantiles.of(values), _basis(profile, name)) for name, values in bill.items.items())
    return Estimate(
        profile=profile.name,
        title=profile.title,
        book=profile.book,
        evidence=profile.evidence,
        counts=counts,
        first_layer=mode,
        total=Quantiles.of(bill.total),
        items=items,
        sensitivities=_tornado(profile, mean, where),
        step_seconds=Quantiles.of(bill.step_seconds),
        inference_seconds=Quantiles.of(bill.step_seconds * mean.steps),
        latency_seconds=Quantiles.of(bill.step_seconds * mean.latency_steps),
        bound_by=bill.bound_by,
        cores=where.cores,
        chips=where.chips,
        mapping_assumed=where.assumed,
        assumed=_assumed(profile, where),
        unpriced=_unpriced(profile, mean),
        warnings=_warnings(net, trace, counts, profile),
        constants=tuple(c for key, c in profile.constants.items() if key in present | {"supply"}),
        draws=draws,
        seed=seed,
    )


def _basis(profile: Profile, item: str) -> str:
    found = {profile.constants[key].basis for key in _TERMS[item] if key in profile.constants}
    return next(basis for basis in _WEAKEST_FIRST if basis in found)


def _tornado(profile: Profile, work: Workload, where: CoreAssignment) -> tuple[Sensitivity, ...]:
    """Totals with one constant at an end of its interval, widest first. A term solved from the calibration plane
    follows the others and is not moved by itself."""
    solved = profile.calibration["solves"] if profile.calibration else None
    found = []
    for key, constant in profile.constants.items():
        if key != solved and constant.low < constant.high:
            ends = (price(work, nominal(profile, **{key: end}), where).total for end in (constant.low, constant.high))
            low, high = (float(end.mean()) for end in ends)
            if low != high:
                found.append(Sensitivity(key, low, high))
    return tuple(sorted(found, key=lambda s: -s.swing))


def _assumed(profile: Profile, where: CoreAssignment) -> tuple[str, ...]:
    lines = [f"{c.key}: {c.source}" for c in profile.constants.values() if c.basis == "assumed"]
    if where.assumed:
        lines.append(
            f"cores by capacity ({sum(where.cores.values())} on {where.chips} chip(s)): a spike sends one message to "
            "every core of the layers it feeds, over the mean distance of a square mesh"
        )
    lines.append("the pipeline is full: one image follows the other without a gap")
    return tuple(lines)


def _unpriced(profile: Profile, work: Workload) -> tuple[str, ...]:
    lines = list(profile.unpriced)
    if work.host_macs:
        lines.append(f"first layer on the host: {work.host_macs} multiply-accumulates per image")
    if work.first_layer == "host_encoded":
        lines.append("encoding the image to events on the host")
    return tuple(lines)


def _warnings(net: IntegerGraph, trace: Trace, counts: Counts, profile: Profile) -> tuple[str, ...]:
    lines = list(profile.notes)
    if any(p.rho for p in net.populations):
        lines.append("the calibration passes are in the time, but their synaptic operations are not counted")
    if not all(p.name in trace.events for p in net.populations):
        lines.append("the trace holds no counts per image: the interval leaves out the spread between images")
    dead = sum(p.dead for p in counts.populations.values())
    if dead:
        lines.append(f"{dead} neurons never fired in {counts.images} images")
    return tuple(lines)
