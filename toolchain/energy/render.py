"""An estimate as JSON (schema ``energy-report/1``) and as text."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spikec.energy.sampling import Quantiles

if TYPE_CHECKING:
    from spikec.energy.value import Estimate, Reference

SCHEMA = "energy-report/1"
#: Spikes per synapse and inference at or below which a spiking network can need less energy than its non-spiking
#: counterpart, depending on the assumed data reuse: Dampfhoffer et al., IEEE TETCI 7(3), 2023 (read in the abstract).
SPIKES_PER_SYNAPSE_BAND = (0.15, 1.38)
_PREFIXES = ("", "m", "\N{MICRO SIGN}", "n", "p", "f")


def si(value: float, unit: str, digits: int = 2) -> str:
    """A few significant digits with an SI prefix: ``0.00123`` J is ``1.2 mJ``."""
    if value == 0:
        return f"0 {unit}"
    rounded = float(f"{value:.{digits - 1}e}")
    step = min(max(0, math.ceil(-math.log10(abs(rounded)) / 3)), len(_PREFIXES) - 1)
    scaled = rounded * 1000**step
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(scaled))))
    return f"{scaled:.{decimals}f} {_PREFIXES[step]}{unit}"


def amount(value: float) -> str:
    """Whole numbers from 10 on, two significant digits below."""
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def interval(q: Quantiles, unit: str) -> str:
    return f"{si(q.p50, unit)} ({si(q.p5, unit)} to {si(q.p95, unit)})"


def per_second(seconds: Quantiles) -> str:
    """Images per second where one takes ``seconds``: ``740 images/s (590 to 980)``."""
    p50, low, high = (
        f"{float(f'{1 / value:.2g}'):,.0f}" if 1 / value >= 10 else f"{1 / value:.2g}"
        for value in (seconds.p50, seconds.p95, seconds.p5)
    )
    return f"{p50} images/s ({low} to {high})"


def text(estimate: Estimate) -> str:
    """Verdict, items, time, counts per layer, and what is assumed or missing."""
    counts, images = estimate.counts, estimate.counts.images
    at_least = "at least " if estimate.lower_bound else ""
    lines = [
        f"Energy on {estimate.title}, book {estimate.book}: {estimate.evidence}",
        f"  {at_least}{interval(estimate.total, 'J')} per image, 90 % interval, {images} images",
    ]
    width = max(len(item.name) for item in estimate.items)
    for item in sorted(estimate.items, key=lambda item: -item.p50):
        lines.append(f"    {item.name:<{width}}  {interval(item.joules, 'J'):<32} {item.basis}")
    if estimate.step_seconds and estimate.inference_seconds and estimate.latency_seconds:
        lines.append(
            f"  time: {interval(estimate.step_seconds, 's')} per step, {interval(estimate.inference_seconds, 's')} per "
            f"image, {per_second(estimate.inference_seconds)}, latency {interval(estimate.latency_seconds, 's')}; "
            f"bound by {estimate.bound_by}"
        )
    if estimate.chips:
        by = "by capacity, an assumption" if estimate.mapping_assumed else "as placed"
        cores, chips = estimate.total_cores, estimate.chips
        lines.append(f"  {cores:,} core{'s'[: cores > 1]} on {chips:,} chip{'s'[: chips > 1]}, {by}")
    lines.append(
        f"  per image: {amount(counts.synops / images)} SynOps ({amount(counts.synops_nonzero / images)} on non-zero "
        f"weights), {amount(counts.spikes / images)} spikes, {counts.dense_macs:,} MACs in the ANN"
    )
    width = max(len(name) for name in estimate.synapses)
    for name, s in estimate.synapses.items():
        per_synapse = s.synops / images / s.dense_macs if s.dense_macs else 0.0
        origin = f"  input: {estimate.first_layer}" if s.input_fed else ""
        lines.append(
            f"    {name:<{width}}  {amount(s.synops / images):>14} SynOps  {per_synapse:6.2g} per synapse{origin}"
        )
    lines += _reference(estimate)
    for title, notes in (
        ("not priced", estimate.unpriced),
        ("assumed", estimate.assumed),
        ("warning", estimate.warnings),
    ):
        lines += [f"  {title}: {note}" for note in notes]
    return "\n".join(lines)


def _reference(estimate: Estimate) -> list[str]:
    """The quantised network for comparison: a line for each assumed reuse, since the ratio depends on it."""
    found = estimate.reference
    if found is None:
        return []
    lines = [
        f"  against one pass of the network with {found.bits}-bit activations on the same memories "
        f"(measured: {found.spikes_per_synapse:.2g} spikes per synapse):"
    ]
    for point in found.points:
        s_star = point.s_star.p50 if point.s_star else None
        even = "" if s_star is None else f", even at {s_star:.2g} spikes per synapse" if s_star > 0 else ", never even"
        lines.append(
            f"    reuse {point.reuse:>3}: {si(point.joules.p50, 'J')}, spiking costs "
            f"{point.ratio.p50:.2g} times as much{even}"
        )
    return lines


def document(estimate: Estimate) -> dict[str, Any]:
    """The estimate in JSON types. Counts are totals over images and steps; joules and seconds per image."""
    counts = estimate.counts
    return {
        "schema": SCHEMA,
        "evidence": estimate.evidence,
        "profile": {"name": estimate.profile, "title": estimate.title, "book": estimate.book},
        "model": {
            "deployment_sha256": estimate.deployment_sha256,
            "content_sha256": estimate.content_sha256,
            "neurons": counts.neurons,
            "synapses": counts.dense_macs,
        },
        "data": {"images": counts.images, "timesteps": counts.timesteps, "steps": counts.steps},
        "sampling": {"draws": estimate.draws, "seed": estimate.seed},
        "first_layer": estimate.first_layer,
        "mapping": {
            "cores": dict(estimate.cores),
            "total_cores": estimate.total_cores,
            "chips": estimate.chips,
            "assumed": estimate.mapping_assumed,
            "routing": {name: asdict(routing) for name, routing in estimate.routing.items()},
        },
        "total": asdict(estimate.total),
        "lower_bound": estimate.lower_bound,
        "energy": {item.name: {**asdict(item.joules), "basis": item.basis} for item in estimate.items},
        "time": {
            "step": _quantiles(estimate.step_seconds),
            "inference": _quantiles(estimate.inference_seconds),
            "latency": _quantiles(estimate.latency_seconds),
            "bound_by": estimate.bound_by,
        },
        "synapses": {
            name: {
                **asdict(s),
                "acc": s.acc,
                "synop_kind": s.synop_kind,
                "spikes_per_synapse": s.synops / counts.images / s.dense_macs if s.dense_macs else 0.0,
            }
            for name, s in counts.synapses.items()
        },
        "populations": {name: {**asdict(p), "rate": p.rate} for name, p in counts.populations.items()},
        "totals": {
            "synops": counts.synops,
            "synops_nonzero": counts.synops_nonzero,
            "spikes": counts.spikes,
            "updates": counts.updates,
            "dense_macs": counts.dense_macs,
        },
        "neurobench": estimate.neurobench,
        "spikes_per_synapse_band": list(SPIKES_PER_SYNAPSE_BAND),
        "tornado": [asdict(s) for s in estimate.sensitivities],
        "reference": _reference_document(estimate.reference),
        "assumed": list(estimate.assumed),
        "unpriced": list(estimate.unpriced),
        "warnings": list(estimate.warnings),
        "constants": [asdict(c) for c in estimate.constants],
    }


def _reference_document(found: Reference | None) -> dict[str, Any]:
    """The reference as JSON types; empty if the profile prices only the spiking network."""
    if found is None:
        return {}
    return {
        "bits": found.bits,
        "weight_bits": found.weight_bits,
        "spikes_per_synapse": found.spikes_per_synapse,
        "reuse": [
            {
                "reuse": point.reuse,
                "joules": asdict(point.joules),
                "snn_over_reference": asdict(point.ratio),
                "s_star": _quantiles(point.s_star),
            }
            for point in found.points
        ],
        "curve": [{"reuse": point.reuse, "s_star": asdict(point.s_star)} for point in found.curve],
    }


def _quantiles(q: Quantiles | None) -> dict[str, float] | None:
    return asdict(q) if q is not None else None
