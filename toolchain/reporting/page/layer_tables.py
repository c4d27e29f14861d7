"""The per-layer tables of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikec.energy.render import SPIKES_PER_SYNAPSE_BAND
from spikec.reporting.numbers import UNKNOWN, grouped, percent, shape, significant, span
from spikec.reporting.page.charts import band_strip, fraction_bar
from spikec.reporting.page.html import Column, Html, join, table, tag
from spikec.words import plural

if TYPE_CHECKING:
    from spikec.reporting.value import PopulationRow, Report, SynapseRow

_BAND_AXIS = (0.01, 10.0)


def layer_tables(report: Report) -> Html:
    return join([_populations(report), _synapses(report)])


def _populations(report: Report) -> Html:
    columns = [
        Column("Population", "name"),
        Column("Kind", "word"),
        Column("Neurons"),
        Column("Threshold", hint="integer, smallest to largest over the neurons"),
        Column("v_init", hint="initial membrane potential, smallest to largest"),
        Column("Events\N{NO-BREAK SPACE}/ image"),
        Column("Rate", hint="events per neuron and step"),
        Column("", "drawing small"),
        Column("Dead", hint="neurons without an event in any image"),
        Column("Saturated", hint="neurons with an event in every step of every image"),
    ]
    rows = [_population(row, report.images) for row in report.populations]
    explained = (
        f"Dead neurons fired in none of the {plural(report.images, 'image')}, saturated ones in every step of each."
    )
    return join([table("Neurons, layer by layer", columns, rows), tag("p", explained, class_="note")])


def _population(row: PopulationRow, images: int) -> list[object]:
    return [
        tag("code", row.name),
        row.kind,
        tag("span", grouped(row.neurons), title=shape(row.shape)),
        span(row.theta) if row.theta else UNKNOWN,
        span(row.v_init),
        grouped(row.events / images) if row.events is not None else UNKNOWN,
        significant(row.rate) if row.rate is not None else UNKNOWN,
        fraction_bar(row.rate, f"{percent(row.rate)} of neurons fire in a step") if row.rate is not None else "",
        grouped(row.dead) if row.dead is not None else UNKNOWN,
        grouped(row.saturated) if row.saturated is not None else UNKNOWN,
    ]


def _synapses(report: Report) -> Html:
    low, high = SPIKES_PER_SYNAPSE_BAND
    columns = [
        Column("Synapses", "name"),
        Column("Kind", "word"),
        Column("Weights", hint="stored int8 values"),
        Column("Nonzero"),
        Column("Connections", hint="existing synapses, padding excluded: the MACs of one ANN pass"),
        Column("Events in / image"),
        Column("SynOps / image", hint="events times existing synapses"),
        Column("nonzero weights only", hint="what chips that skip zero weights charge"),
        Column("Spikes / synapse", hint="per inference"),
        Column(f"{low} to {high}", "drawing", hint=f"logarithmic, {_BAND_AXIS[0]:g} to {_BAND_AXIS[1]:g}"),
    ]
    rows = [_synapse(row, report.images) for row in report.synapses]
    every = sum(row.synapses for row in report.synapses)
    weights, stored = report.network.weights, report.network.weights_nonzero
    total: list[object] = [
        "All",
        "",
        grouped(weights),
        percent(stored / weights) if weights else UNKNOWN,
        grouped(every),
        "",
        grouped(report.synops_per_image),
        grouped(report.synops_nonzero_per_image),
        *_spikes_per_synapse("all layers", report.synops_per_image / every if every else 0.0),
    ]
    return table("Synapses, layer by layer", columns, [*rows, total], class_="totalled")


def _synapse(row: SynapseRow, images: int) -> list[object]:
    return [
        join([tag("code", row.name), tag("span", " input", class_="note") if row.from_input else ""]),
        tag("span", row.kind, title=f"weight {shape(row.weight_shape)}"),
        grouped(row.weights),
        percent(row.weights_nonzero / row.weights) if row.weights else UNKNOWN,
        grouped(row.synapses),
        grouped(row.events / images),
        grouped(row.synops / images),
        grouped(row.synops_nonzero / images),
        *_spikes_per_synapse(row.name, row.spikes_per_synapse),
    ]


def _spikes_per_synapse(name: str, value: float) -> list[object]:
    low, high = SPIKES_PER_SYNAPSE_BAND
    place = "below" if value < low else "above" if value > high else "inside"
    described = f"{name}: {significant(value)} spikes per synapse and inference, {place} {low} to {high}"
    return [significant(value), band_strip(value, SPIKES_PER_SYNAPSE_BAND, _BAND_AXIS, described)]
