"""The page: one HTML file with its style and drawings inside, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spikec.energy.render import SPIKES_PER_SYNAPSE_BAND
from spikec.reporting import sentences
from spikec.reporting.numbers import engineering_range, grouped, interval, percent, proportion, shape, significant, span
from spikec.reporting.page import fit, quality
from spikec.reporting.page.appendix import validation
from spikec.reporting.page.bill import bills, constants
from spikec.reporting.page.html import Column, Html, prose, table, tag
from spikec.reporting.page.layer_tables import layer_tables

if TYPE_CHECKING:
    from spikec.reporting.value import Report


def page(report: Report) -> str:
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("title", report.title),
        Html(f"<style>\n{style}</style>"),
    )
    main = tag(
        "main",
        _header(report),
        _key_figures(report),
        *quality.sections(report),
        *_outputs(report),
        *_input(report),
        _verification(report),
        _certificate(report),
        _layers(report),
        _fit(report),
        _energy(report),
        _provenance(report),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', main), lang='en')}\n"


def _section(title: str, *children: object) -> Html:
    return tag("section", tag("h2", title), *children)


def _header(report: Report) -> Html:
    return tag(
        "header",
        tag("p", "spikec deployment report", class_="eyebrow"),
        tag("h1", report.title),
        tag("p", report.simulated, class_="simulated"),
        tag("p", prose(sentences.verdict(report)), class_="verdict"),
    )


def _figure(name: str, value: str, note: str, class_: str = "") -> Html:
    return tag(
        "div",
        tag("dt", name),
        tag("dd", prose(value), class_=f"value {class_}"),
        tag("dd", prose(note), class_="detail"),
    )


def _key_figures(report: Report) -> Html:
    figures, at = [], f"at T = {report.network.timesteps}"
    if report.accuracy is not None:
        snn = report.accuracy.snn
        note = f"{interval(snn)} (95 %), {grouped(snn.total)} images"
        figures.append(_figure(f"Accuracy {at}", proportion(snn), note))
    for rating in report.other_quality:
        found, told = rating.quality, rating.quality.measure.written
        spread = "" if found.interval is None else f"{told(found.interval[0])} to {told(found.interval[1])} (95 %), "
        name = f"{rating.title[0].upper()}{rating.title[1:]} {at}"
        value = "not defined" if found.value is None else told(found.value)
        figures.append(_figure(name, value, f"{spread}{grouped(found.inputs)} images"))
    if not figures and report.network.classes is None:
        figures.append(_figure("Outputs", str(len(report.outputs)), f"{grouped(report.images)} images {at}"))
    result = report.verification
    if result is None:
        figures.append(_figure("Verification", "not run", "golden model only"))
    else:
        value, class_ = ("identical", "good") if result.identical else ("different", "bad")
        note = f"golden = {result.target}; {result.images} images, {result.layers} layers, {result.timesteps} steps"
        figures.append(_figure("Verification", value, note, class_))
    note = f"{grouped(report.synops_nonzero_per_image)} over non-zero weights"
    figures.append(_figure("SynOps per image", grouped(report.synops_per_image), note))
    for energy in report.energies:
        spread = engineering_range(energy.total.p5, energy.total.p95, "J")
        figures.append(
            _figure(f"Energy, {energy.title}", sentences.total(energy), f"{spread} (90 %), {energy.evidence}")
        )
    return tag("dl", *figures, class_="figures")


def _outputs(report: Report) -> list[Html]:
    """What a network without classes puts out."""
    if report.network.classes is not None:
        return []
    columns = [Column("Output", "name"), Column("Shape"), Column("One unit"), Column("Lowest"), Column("Highest")]
    rows = [
        [row.name, shape(row.shape), *(significant(x) for x in (row.scale, row.low, row.high))]
        for row in report.outputs
    ]
    said = tag("p", "In the units of the trained network, over all images.")
    return [_section("Outputs", said, table("Outputs", columns, rows, class_="narrow"))]


def _input(report: Report) -> list[Html]:
    lines = [tag("p", prose(line)) for line in sentences.coding(report)]
    return [_section("Input", *lines)] if lines else []


def _verification(report: Report) -> Html:
    result = report.verification
    if result is None:
        return _section(
            "Verification",
            tag(
                "p", "Not run. ", tag("code", "spikec verify"), " compares the golden model with a target bit for bit."
            ),
        )
    explained = (
        "Every emission of every layer, at every step, for every image compared, and the integer outputs."
        if result.identical
        else "The figures of this report are the golden model's; the target computes something else."
    )
    return _section("Verification", tag("p", tag("strong", sentences.verification(result)), ". ", explained))


def _certificate(report: Report) -> Html:
    """Spiking network against the quantised network it came from."""
    result = report.certificate
    if result is None:
        text = "The image enters a layer without a weight of its own, so the quantised network cannot be written down."
        return _section("Quantised network", tag("p", text))
    explained = (
        f"Spike counts of {result.images} images against the levels that the quantised network with the same integers, "
        "and as many levels as the neurons can send, computes in one step: what rate coding costs, apart from the "
        "rounding of weights and, where training had another number of levels, of activations."
    )
    columns = [Column("Layer", "name"), Column("Counts compared"), Column("Different"), Column("Largest difference")]
    rows = [[x.layer, grouped(x.neurons), percent(x.differing / x.neurons), str(x.largest)] for x in result.layers]
    parts: list[object] = [tag("p", tag("strong", str(result)), ". ", explained)]
    if not result.lossless:
        parts.append(table("Spike counts against levels", columns, rows, class_="narrow"))
    return _section("Quantised network", *parts)


def _layers(report: Report) -> Html:
    low, high = SPIKES_PER_SYNAPSE_BAND
    net = report.network
    facts = (
        f"{grouped(net.neurons)} neurons, {grouped(net.weights)} weights "
        f"from {span((net.weight_low, net.weight_high))}, "
        f"{percent(1 - net.weights_nonzero / net.weights) if net.weights else 'none'} of them zero. "
        f"Input {shape(net.input_shape)}; {net.schedule} schedule, T = {net.timesteps}"
        f"{f', drain {net.drain}' if net.drain else ''}"
        f"{f', {net.extra_steps} further steps per layer' if net.extra_steps else ''}."
    )
    band = (
        f"Spikes per synapse and inference stand beside {low} to {high}: the break-even points at or below which a "
        "spiking network needs less energy than its non-spiking counterpart, depending on the system (Dampfhoffer and "
        "others, IEEE TETCI 7(3), 2023; read in the abstract). Synapses fed by the image count its non-zero pixels as "
        "events at every step; targets that take it as a current do not pay for them."
    )
    return _section("Layers", tag("p", facts), layer_tables(report), tag("p", band, class_="note"))


def _fit(report: Report) -> Html:
    return _section("Fit", fit.section(report.fits) if report.fits else tag("p", "Not checked."))


def _energy(report: Report) -> Html:
    if not report.energies:
        return _section("Energy", tag("p", "Not estimated."))
    intro = (
        "Estimated from exact counts and published constants, each sampled over its interval together with a bootstrap "
        f"over the {grouped(report.images)} images; nothing was measured on a chip. Two significant digits at most."
    )
    parts = [tag("p", intro), bills(report.energies), tag("h3", "Constants"), constants(report.energies), validation()]
    return _section("Energy and time", *parts)


def _provenance(report: Report) -> Html:
    made = report.provenance
    facts: list[tuple[str, object]] = [
        ("Date", made.date or "not recorded"),
        ("Command", tag("code", made.command) if made.command else "not recorded"),
        ("Seed", made.seed if made.seed is not None else "none used"),
        ("Data", f"{report.data_name or 'unnamed'}, {grouped(report.images)} images"),
        ("Data sha256", tag("code", made.data_sha256)),
        ("Deployment sha256", tag("code", made.deployment_sha256)),
        ("Content sha256 (weights and thresholds)", tag("code", made.graph_sha256 or "unknown")),
        ("Source sha256", tag("code", made.source_sha256 or "unknown")),
        ("Producer", made.producer or "unknown"),
        ("Executed by", made.target),
        *((f"{name}", version) for name, version in made.versions.items()),
        *((name, value) for name, value in made.info.items()),
    ]
    entries = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts]
    return _section("Provenance", tag("dl", *entries, class_="facts"))
