"""The layers: the graph as a drawing, how rates are spread, and the tables."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from spikec.energy.render import SPIKES_PER_SYNAPSE_BAND
from spikec.reporting.details import Rates
from spikec.reporting.numbers import grouped, percent, shape, significant, span
from spikec.reporting.page.chart import figure
from spikec.reporting.page.diagram import diagram
from spikec.reporting.page.histogram import histogram
from spikec.reporting.page.html import Html, tag
from spikec.reporting.page.layer_tables import layer_tables
from spikec.words import plural

if TYPE_CHECKING:
    from spikec.reporting.value import PopulationRow, Report


def graph(report: Report) -> list[Html]:
    """What the network is, and its drawing."""
    net = report.network
    facts = (
        f"{grouped(net.neurons)} neurons, {grouped(net.weights)} weights "
        f"from {span((net.weight_low, net.weight_high))}, "
        f"{percent(1 - net.weights_nonzero / net.weights) if net.weights else 'none'} of them zero. "
        f"Input {shape(net.input_shape)}; {net.schedule} schedule, T = {net.timesteps}"
        f"{f', drain {net.drain}' if net.drain else ''}"
        f"{f', {net.extra_steps} further steps per layer' if net.extra_steps else ''}."
    )
    if not report.diagram:
        return [tag("p", facts)]
    caption = "In the order of the data, by the names of your modules; each box ends with the neurons that it feeds."
    return [tag("p", facts), figure(diagram(report.diagram), caption, "graph")]


def activity(report: Report) -> list[Html]:
    """Histograms of rates, and the tables of neurons and synapses."""
    rows = {row.name: row for row in report.populations}
    drawn = [_histogram(each, rows.get(each.layer)) for each in report.rates]
    low, high = SPIKES_PER_SYNAPSE_BAND
    band = (
        f"Spikes per synapse and inference stand beside {low} to {high}: the break-even points at or below which a "
        "spiking network needs less energy than its non-spiking counterpart, depending on the system (Dampfhoffer and "
        "others, IEEE TETCI 7(3), 2023; read in the abstract). Synapses fed by the image count its non-zero pixels as "
        "events at every step; targets that take it as a current do not pay for them."
    )
    lead = "How many neurons of each layer have which rate, in events per neuron and step; one axis for all layers."
    shown = [tag("p", lead), tag("div", *drawn, class_="several")] if drawn else []
    return [*shown, layer_tables(report), tag("p", band, class_="note")]


def _histogram(found: Rates, row: PopulationRow | None) -> Html:
    edges = found.edges
    spans = [f"{significant(a)} to {significant(b)}" for a, b in pairwise(edges)]
    ends = (significant(edges[0]), significant(edges[-1]))
    drawn = histogram(f"Rates of {found.layer}", found.counts, spans, ends, "neurons", 260.0, 104.0)
    mean = "" if row is None or row.rate is None else f", mean {percent(row.rate)}"
    silent = f", {plural(found.silent, 'neuron')} silent" if found.silent else ""
    return figure(drawn, Html(tag("code", found.layer) + f"{mean}{silent}"), f"rates-{found.layer}")
