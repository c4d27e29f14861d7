"""From an :class:`~toolchain.energy.Estimate` to what the report keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolchain.energy import Estimate, Quantiles
from toolchain.report.value import BreakEven, Energy, Reference, ReferencePoint


def energy_of(estimate: Estimate) -> Energy:
    return Energy(
        profile=estimate.profile,
        title=estimate.title,
        book=estimate.book,
        evidence=estimate.evidence,
        images=estimate.counts.images,
        first_layer=estimate.first_layer,
        total=estimate.total,
        nominal=estimate.nominal,
        items=estimate.items,
        sensitivities=estimate.sensitivities,
        step_seconds=estimate.step_seconds,
        inference_seconds=estimate.inference_seconds,
        latency_seconds=estimate.latency_seconds,
        bound_by=estimate.bound_by,
        cores=estimate.total_cores or None,
        chips=estimate.chips or None,
        mapping_assumed=estimate.mapping_assumed,
        assumed=estimate.assumed,
        unpriced=estimate.unpriced,
        warnings=estimate.warnings,
        constants=estimate.constants,
        draws=estimate.draws,
        seed=estimate.seed,
        reference=_reference(estimate.reference) if estimate.reference else None,
    )


def _reference(found: Mapping[str, Any]) -> Reference:
    points = tuple(
        ReferencePoint(
            reuse=point["reuse"],
            joules=Quantiles(**point["joules"]),
            ratio=Quantiles(**point["snn_over_reference"]),
            s_star=Quantiles(**point["s_star"]) if point["s_star"] else None,
        )
        for point in found["reuse"]
    )
    curve = tuple(BreakEven(point["reuse"], Quantiles(**point["s_star"])) for point in found["curve"])
    return Reference(found["bits"], found["weight_bits"], found["spikes_per_synapse"], points, curve)
