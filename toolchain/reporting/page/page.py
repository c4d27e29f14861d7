"""The page: one HTML file with its style, script and drawings inside, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spikec.reporting import sentences
from spikec.reporting.numbers import engineering_range, grouped, interval, percent, proportion, shape, significant
from spikec.reporting.page import fit, layers, quality
from spikec.reporting.page.appendix import validation
from spikec.reporting.page.bill import bills, constants
from spikec.reporting.page.chart import figure
from spikec.reporting.page.energy_chart import energy_chart
from spikec.reporting.page.errors import errors
from spikec.reporting.page.fidelity import fidelity
from spikec.reporting.page.html import Column, Html, join, prose, table, tag
from spikec.reporting.page.looked_at import cards
from spikec.reporting.page.origin import provenance, reproduction
from spikec.reporting.page.ranges import ranges
from spikec.reporting.page.shell import header, whole

if TYPE_CHECKING:
    from spikec.reporting.value import Report


def page(report: Report) -> str:
    """All of it, in the order of what a reader asks."""
    parts: list[tuple[str, Sequence[object]]] = [
        *quality.sections(report),
        ("Errors", errors(report)),
        ("Examples", _examples(report)),
        ("Outputs", _outputs(report)),
        ("Input", [tag("p", prose(line)) for line in sentences.coding(report)]),
        ("Activity", layers.activity(report)),
        ("Graph", layers.graph(report)),
        ("Fit", [fit.section(report.fits)] if report.fits else [tag("p", "Not checked.")]),
        ("Energy and time", _energy(report)),
        ("Verification", _verification(report)),
        ("Quantised network", _certificate(report)),
        ("Fidelity", fidelity(report.fidelity)),
        ("Ranges", ranges(report)),
        ("Constants", _constants(report)),
        ("Provenance", provenance(report)),
        ("Reproduce", reproduction(report)),
    ]
    verdict = prose(sentences.verdict(report))
    top = header("spikec deployment report", prose(report.title), report.simulated, verdict)
    opening = [top, _key_figures(report), _surprises(report)]
    return whole(report.title, opening, [(title, children) for title, children in parts if children])


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
        trained = sentences.ann_alone(report) or ("not known", "spikec export measures it, or give ann_logits")
        figures.append(_figure("Trained network", *trained))
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


def _surprises(report: Report) -> Html:
    found = [tag("p", prose(line)) for line in report.surprises]
    return tag("div", *found, class_="surprises", role="note") if found else Html("")


def _examples(report: Report) -> list[Html]:
    if not report.examples:
        return []
    lead = (
        "Inputs as the network gets them, how its outputs form step by step, and what some neurons emit: "
        "one row for each neuron, one column for each step."
    )
    return [tag("p", lead), cards(report.examples)]


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
    return [said, table("Outputs", columns, rows, class_="narrow")]


def _verification(report: Report) -> list[Html]:
    result = report.verification
    if result is None:
        how = tag("code", "spikec verify")
        return [tag("p", "Not run. ", how, " compares the golden model with a target bit for bit.")]
    explained = (
        "Every emission of every layer, at every step, for every image compared, and the integer outputs."
        if result.identical
        else "The figures of this report are the golden model's; the target computes something else."
    )
    return [tag("p", tag("strong", sentences.verification(result)), ". ", explained)]


def _certificate(report: Report) -> list[Html]:
    """Spiking network against the quantised network it came from."""
    result = report.certificate
    if result is None:
        lacking = "The quantised network cannot be written down, so the spiking one is not compared with it."
        return [tag("p", lacking)]
    explained = (
        f"Spike counts of {result.images} images against the levels that the quantised network with the same integers, "
        "and as many levels as the neurons can send, computes in one step: what rate coding costs, apart from the "
        "rounding of weights and, where training had another number of levels, of activations."
    )
    parts = [tag("p", tag("strong", prose(sentences.finding(result))), " ", explained)]
    if not result.lossless:
        columns = [
            Column("Layer", "name"),
            Column("Counts compared"),
            Column("Different"),
            Column("Largest difference"),
        ]
        rows = [[x.layer, grouped(x.neurons), percent(x.differing / x.neurons), str(x.largest)] for x in result.layers]
        parts.append(table("Spike counts against levels", columns, rows, class_="narrow"))
    return parts


def _energy(report: Report) -> list[Html]:
    if not report.energies:
        return [tag("p", "Not estimated.")]
    intro = (
        "Estimated from exact counts and published constants, each sampled over its interval together with a bootstrap "
        f"over the {grouped(report.images)} images; nothing was measured on a chip. Two significant digits at most."
    )
    caption = "Per inference: bars from p5 to p95, the line is the median. What is not priced makes it a lower bound."
    drawn = energy_chart(report.energies)
    shown = [figure(drawn, caption, "energy")] if drawn else []
    return [tag("p", intro), *shown, bills(report.energies)]


def _constants(report: Report) -> list[Html]:
    if not report.energies:
        return []
    lead = tag("p", "Every number behind the energies, with its interval, how it was checked, and its source.")
    return [tag("details", tag("summary", "All constants"), join([lead, constants(report.energies)])), validation()]
