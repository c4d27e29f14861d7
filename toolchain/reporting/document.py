"""The report in JSON types, schema ``spikec.report/1``; ``schema.json`` describes it."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spikec.energy.render import SPIKES_PER_SYNAPSE_BAND
from spikec.errors import DataError
from spikec.evidence.loss import loss_document

if TYPE_CHECKING:
    from spikec.analysis.violations import Violation
    from spikec.energy import Estimate, Quantiles
    from spikec.evidence.certificate import Certificate
    from spikec.reporting.value import Fit, Report

SCHEMA = "spikec.report/1"


def document(report: Report) -> dict[str, Any]:
    """JSON types only. Raises ``DataError`` that names the field where a number is NaN or infinite."""
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "title": report.title,
        "simulated": report.simulated,
        "data_name": report.data_name,
        "images": report.images,
        "network": asdict(report.network),
        "outputs": [asdict(row) for row in report.outputs],
        "accuracy": asdict(report.accuracy) if report.accuracy else None,
        "curve": [asdict(point) for point in report.curve],
        "populations": [asdict(row) for row in report.populations],
        "synapses": [asdict(row) for row in report.synapses],
        "fits": [_fit(fit) for fit in report.fits],
        "energies": [_energy(energy) for energy in report.energies],
        "verification": report.verification.to_json() if report.verification else None,
        "certificate": _certificate(report.certificate) if report.certificate else None,
        "loss": loss_document(report.loss),
        "quality": [rating.to_json() for rating in report.quality],
        "coding": asdict(report.coding) if report.coding else None,
        "method": report.method,
        "confusion": asdict(report.confusion) if report.confusion else None,
        "predicted": [asdict(each) for each in report.predicted],
        "examples": [asdict(each) for each in report.examples],
        "rates": [asdict(each) for each in report.rates],
        "diagram": [asdict(each) for each in report.diagram],
        "fidelity": asdict(report.fidelity) if report.fidelity else None,
        "at_export": asdict(report.at_export) if report.at_export else None,
        "surprises": report.surprises,
        "reproduction": [asdict(each) for each in report.reproduction],
        "provenance": asdict(report.provenance),
        "synops_per_image": report.synops_per_image,
        "synops_nonzero_per_image": report.synops_nonzero_per_image,
        "spikes_per_synapse_band": SPIKES_PER_SYNAPSE_BAND,
    }
    plain: dict[str, Any] = _plain(found, "report")
    return plain


def _fit(fit: Fit) -> dict[str, Any]:
    return {
        "target": fit.target,
        "title": fit.title,
        "cores": fit.cores,
        "lower_bound": fit.lower_bound,
        "chips": fit.chips,
        "cores_of": fit.cores_of,
        "loads": fit.loads,
        "violations": [_violation(violation) for violation in fit.violations],
        "placed": [asdict(core) for core in fit.placed],
        "assumptions": fit.assumptions,
    }


def _violation(violation: Violation) -> dict[str, str]:
    """Value and limit become text, since a limit may be a number or a word."""
    return {
        "rule": violation.rule,
        "layer": violation.layer,
        "actual": str(violation.actual),
        "limit": str(violation.limit),
        "severity": violation.severity,
        "hint": violation.hint,
    }


def _energy(energy: Estimate) -> dict[str, Any]:
    return {
        "profile": energy.profile,
        "title": energy.title,
        "book": energy.book,
        "evidence": energy.evidence,
        "images": energy.counts.images,
        "first_layer": energy.first_layer,
        "total": asdict(energy.total),
        "nominal": energy.nominal,
        "items": [asdict(item) for item in energy.items],
        "sensitivities": [asdict(sensitivity) for sensitivity in energy.sensitivities],
        "step_seconds": _quantiles(energy.step_seconds),
        "inference_seconds": _quantiles(energy.inference_seconds),
        "latency_seconds": _quantiles(energy.latency_seconds),
        "bound_by": energy.bound_by,
        "cores": energy.total_cores or None,
        "chips": energy.chips or None,
        "mapping_assumed": energy.mapping_assumed,
        "assumed": energy.assumed,
        "unpriced": energy.unpriced,
        "warnings": energy.warnings,
        "constants": [asdict(constant) for constant in energy.constants],
        "draws": energy.draws,
        "seed": energy.seed,
        "reference": asdict(energy.reference) if energy.reference else None,
    }


def _quantiles(value: Quantiles | None) -> dict[str, float] | None:
    return asdict(value) if value is not None else None


def _certificate(certificate: Certificate) -> dict[str, Any]:
    return {
        "images": certificate.images,
        "lossless": certificate.lossless,
        "proof": certificate.proof,
        "statement": str(certificate),
        "outputs": certificate.outputs,
        "layers": [
            {"layer": each.layer, "compared": each.neurons, "differing": each.differing, "largest": each.largest}
            for each in certificate.layers
        ],
    }


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"{where} is {value}; a report holds finite numbers only, so check what was measured there")
    return value
