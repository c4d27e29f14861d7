"""The energy part of the page: one bill per profile, what moves it, and every constant behind it."""

from __future__ import annotations

from spikec.energy import Constant, Estimate
from spikec.energy.render import per_second
from spikec.reporting import sentences
from spikec.reporting.numbers import (
    UNKNOWN,
    engineering,
    engineering_range,
    percent,
    quantiles,
    ratio,
    scaled,
    significant,
)
from spikec.reporting.page.break_even import break_even_chart
from spikec.reporting.page.chart import figure
from spikec.reporting.page.charts import range_strip, stacked_bar, tornado_strip
from spikec.reporting.page.html import Column, Html, join, prose, table, tag
from spikec.words import plural

SLOTS = 10  # colours in the style sheet


def bills(energies: tuple[Estimate, ...]) -> Html:
    return join(_bill(energy) for energy in energies)


def _bill(energy: Estimate) -> Html:
    lead = tag(
        "p",
        tag("strong", sentences.total(energy)),
        prose(f" per inference; 90 % interval {engineering_range(energy.total.p5, energy.total.p95, 'J')}, "),
        f"{plural(energy.counts.images, 'image')}. ",
        tag("span", energy.evidence, class_="badge"),
        class_="figure",
    )
    parts = [tag("h3", energy.title), lead, _items(energy), _time(energy), _reference(energy), _tornado(energy)]
    notes = [("Not priced: the total is a lower bound", energy.unpriced), ("Assumed", energy.assumed)]
    notes.append(("Warnings", energy.warnings))
    parts.append(tag("div", *(_notes(title, lines) for title, lines in notes), class_="beside notes"))
    return tag("section", *parts, class_="bill")


def _items(energy: Estimate) -> Html:
    # Colour follows an item's place in the bill, so that related profiles use the same one; the order is by size.
    slots = {item.name: index % SLOTS for index, item in enumerate(energy.items) if item.joules.p95 > 0}
    ordered = sorted(energy.items, key=lambda item: -item.joules.p50)
    priced = [item for item in ordered if item.name in slots]
    whole = sum(item.joules.p50 for item in priced)
    shares = [(item.name, item.joules.p50 / whole, slots[item.name]) for item in priced] if whole else []
    described = "; ".join(f"{name} {percent(share, 0)}" for name, share, _ in shares)
    top = 10 * max((item.joules.p95 for item in priced), default=1.0)
    axis = (min((max(item.joules.p5, top * 1e-6) for item in priced), default=0.1) / 2, top / 5)
    columns = [
        Column("Item", "name"),
        Column("p5"),
        Column("p50"),
        Column("p95"),
        Column("Share of p50"),
        Column(f"{engineering(axis[0], 'J', 1)} to {engineering(axis[1], 'J', 1)}, logarithmic", "drawing wide"),
        Column("Basis", "word"),
    ]
    rows: list[list[object]] = []
    for item in ordered:
        j = item.joules
        slot = slots.get(item.name)
        label = f"{item.name}: {quantiles(j, 'J')}"
        rows.append(
            [
                join([_swatch(slot), item.name]),
                engineering(j.p5, "J"),
                engineering(j.p50, "J"),
                engineering(j.p95, "J"),
                _share(j.p50 / whole) if whole else UNKNOWN,
                range_strip(j.p5, j.p50, j.p95, axis, slot, label) if slot is not None else "",
                item.basis,
            ]
        )
    bar = stacked_bar(shares, f"Shares of the median items: {described}") if shares else Html("")
    note = tag(
        "p", "Quantiles are per item: medians of items need not add up to the median of the total.", class_="note"
    )
    return join([bar, table(f"Energy per inference, {energy.title}", columns, rows), note])


def _share(value: float) -> str:
    return "< 1 %" if 0 < value < 0.005 else percent(value, 0)


def _swatch(slot: int | None) -> Html:
    return tag("span", class_=f"swatch b{slot}", aria_hidden="true") if slot is not None else Html("")


def _time(energy: Estimate) -> Html:
    parts = []
    if energy.step_seconds is not None and energy.inference_seconds is not None:
        parts.append(f"Time: {quantiles(energy.step_seconds, 's')} per step")
        parts.append(f", {quantiles(energy.inference_seconds, 's')} per inference with a full pipeline")
        parts.append(f", {per_second(energy.inference_seconds)}")
        if energy.latency_seconds is not None:
            parts.append(f", {quantiles(energy.latency_seconds, 's')} from image to answer")
        parts.append(f"; bound by {energy.bound_by}. " if energy.bound_by else ". ")
    if energy.chips:
        by = "an assumption by capacity" if energy.mapping_assumed else "as placed"
        parts.append(f"{plural(energy.total_cores, 'core')} on {plural(energy.chips, 'chip')}, {by}. ")
    parts.append(f"First layer: {energy.first_layer.replace('_', ' ')}.")
    return tag("p", prose("".join(parts)))


def _reference(energy: Estimate) -> Html:
    """The quantised network beside the spiking one, for every assumed reuse: the ratio depends on the reuse."""
    found = energy.reference
    if found is None:
        return Html("")
    columns = [
        Column("Operations per fetched value", "name"),
        Column("Quantised network"),
        Column("Spiking / quantised"),
        Column("90 % interval"),
        Column("Break-even spikes / synapse"),
    ]
    rows = [
        [
            point.reuse,
            engineering(point.joules.p50, "J"),
            ratio(point.ratio.p50),
            f"{ratio(point.ratio.p5)} to {ratio(point.ratio.p95)}",
            significant(point.s_star.p50) if point.s_star and point.s_star.p50 > 0 else "never",
        ]
        for point in found.points
    ]
    label = f"Against one pass of the network with {found.bits}-bit activations on the same memories"
    measured = (
        f"Measured: {significant(found.spikes_per_synapse)} spikes per synapse and inference, first layer left out. "
        "How often a fetched value is used decides the comparison, so every assumption is shown."
    )
    parts: list[Html] = [table(label, columns, rows, class_="narrow"), tag("p", measured, class_="note")]
    if drawn := break_even_chart(found):
        caption = (
            "Break-even: spikes per synapse and inference at which both networks cost the same, with its 90 % band. "
            "The spiking network costs less where the dashed line of what was measured runs below the curve, which "
            "ends where no number of spikes is few enough. From reuse 2 on, the quantised network also keeps its "
            "partial sums beside the arithmetic, hence the first drop."
        )
        parts.append(figure(drawn, caption, "break-even"))
    return join(parts)


def _tornado(energy: Estimate) -> Html:
    """Constants by how far they move the nominal total; those below one percent are only counted."""
    moving = sorted(energy.sensitivities, key=lambda s: -s.swing)
    shown = [s for s in moving if s.swing >= 0.01 * energy.nominal]
    if not shown:
        return Html("")
    ends = [end for s in shown for end in (s.low, s.high)]
    reach = max(ends) - min(ends)
    axis = (min(ends) - 0.02 * reach, max(ends) + 0.02 * reach)
    columns = [
        Column("Constant", "name"),
        Column("Total at its low end"),
        Column("at its high end"),
        Column("Swing"),
        Column(f"{engineering(axis[0], 'J')} to {engineering(axis[1], 'J')}, line at nominal", "drawing wide"),
    ]
    rows = []
    for s in shown:
        low, high = engineering(s.low, "J"), engineering(s.high, "J")
        strip = tornado_strip(s.low, energy.nominal, s.high, axis, f"{s.constant}: {low} to {high}")
        rows.append([tag("code", s.constant), low, high, engineering(s.swing, "J"), strip])
    note = f"One constant at an end of its interval, the others nominal: {engineering(energy.nominal, 'J')} in all."
    if len(moving) > len(shown):
        note += f" {len(moving) - len(shown)} further constants move the total by less than 1 %."
    return join([table("What moves the total", columns, rows), tag("p", prose(note), class_="note")])


def _notes(title: str, lines: tuple[str, ...]) -> Html:
    if not lines:
        return Html("")
    return tag("div", tag("h4", title), tag("ul", *(tag("li", prose(line)) for line in lines)))


def constants(energies: tuple[Estimate, ...]) -> Html:
    columns = [
        Column("Constant", "name"),
        Column("Value"),
        Column("Low"),
        Column("High"),
        Column("Unit", "word"),
        Column("Basis", "word"),
        Column("Grade", "word", hint="how the number was checked"),
        Column("Source", "text source"),
    ]
    return join(
        table(f"Constants, {energy.title}", columns, [_constant(c) for c in energy.constants])
        for energy in energies
        if energy.constants
    )


def _constant(constant: Constant) -> list[object]:
    (value, low, high), unit = scaled((constant.value, constant.low, constant.high), constant.unit)
    source = tag("span", constant.source, title=constant.quote or None)
    return [tag("code", constant.key), value, low, high, unit, constant.basis, constant.grade, source]
