"""The report for a terminal: the figures that decide, aligned, under 100 columns where names allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikec.reporting import sentences
from spikec.reporting.numbers import engineering_range, grouped, percent, significant
from spikec.words import columns

if TYPE_CHECKING:
    from spikec.reporting.value import Report


def summary(report: Report) -> str:
    net = report.network
    facts = [
        (
            "network",
            f"T = {net.timesteps}, {net.schedule}; {grouped(net.neurons)} neurons, {grouped(net.weights)} weights",
        ),
        ("deployment", f"sha256 {report.provenance.deployment_sha256}"),
        ("data", f"{report.data_name or 'unnamed'}, {grouped(report.images)} images"),
        *_quality(report),
        *(("input" if i == 0 else "", line) for i, line in enumerate(sentences.coding(report))),
        ("verified", sentences.verification(report.verification)),
        ("quantised", sentences.certificate(report.certificate)),
        (
            "SynOps",
            f"{grouped(report.synops_per_image)} per image, "
            f"{grouped(report.synops_nonzero_per_image)} over non-zero weights",
        ),
    ]
    facts += [(f"fit, {fit.target}", sentences.fit(fit)) for fit in report.fits]
    for energy in report.energies:
        spread = engineering_range(energy.total.p5, energy.total.p95, "J")
        spent = f"{sentences.total(energy)} per inference (90 % interval {spread})"
        facts.append((energy.profile, f"{spent}, {energy.evidence}"))
    width = max(len(name) for name, _ in facts)
    lines = [report.title, report.simulated, ""]
    lines += [f"  {name:<{width}}  {value}" for name, value in facts]
    lines += ["", *_layers(report)]
    return "\n".join(lines)


def _quality(report: Report) -> list[tuple[str, str]]:
    facts = []
    if report.accuracy is not None:
        facts += [("accuracy", sentences.accuracy(report.accuracy)), ("ANN", sentences.ann(report) or "not given")]
        lines = [] if report.loss is None else report.loss.sentences
        facts += [("loss" if i == 0 else "", line) for i, line in enumerate(lines)]
    for rating in report.other_quality:
        facts.append((rating.name, f"{rating.title} {rating.quality.text}"))
        facts += [("", line) for line in ([] if rating.network is None else rating.network.sentences)]
    if report.network.classes is None:
        facts.append(("outputs", sentences.outputs(report)))
    return facts


def _layers(report: Report) -> list[str]:
    head = ("layer", "neurons", "rate", "dead", "bits seen", "bits proven", "overflows")
    rows = [
        (
            row.name,
            grouped(row.neurons),
            percent(row.rate) if row.rate is not None else "-",
            grouped(row.dead) if row.dead is not None else "-",
            str(row.membrane_bits) if row.membrane_bits is not None else "-",
            str(row.bound_bits) if row.bound_bits is not None else "-",
            grouped(row.overflows) if row.overflows is not None else "-",
        )
        for row in report.populations
    ]
    rows_synapses = [
        (row.name, grouped(row.synapses), grouped(row.synops / report.images), significant(row.spikes_per_synapse))
        for row in report.synapses
    ]
    synapse_head = ("synapses", "connections", "SynOps / image", "spikes / synapse")
    return [*_aligned([head, *rows]), "", *_aligned([synapse_head, *rows_synapses])]


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    return [f"  {line}" for line in columns(rows, right=range(1, len(rows[0])))]
