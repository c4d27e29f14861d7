"""The energy part of the page: one bill per profile, what moves it, and every constant behind it."""

from __future__ import annotations

from toolchain.report.charts import range_strip, stacked_bar, tornado_strip
from toolchain.report.html import Column, Html, join, table, tag
from toolchain.report.numbers import UNKNOWN, engineering, engineering_range, grouped, percent, quantiles, significant
from toolchain.report.value import Energy

SLOTS = 10  # colours in the style sheet


def bills(energies: tuple[Energy, ...]) -> Html:
    return join(_bill(energy) for energy in energies)


def lower_bound(energy: Energy) -> str:
    return "at least " if energy.unpriced else ""


def _bill(energy: Energy) -> Html:
    lead = tag(
        "p",
        tag("strong", f"{lower_bound(energy)}{engineering(energy.total.p50, 'J')}"),
        f" per inference; 90 % interval {engineering_range(energy.total.p5, energy.total.p95, 'J')}, "
        f"{grouped(energy.images)} images. ",
        tag("span", energy.evidence, class_="badge"),
        class_="figure",
    )
    parts = [tag("h3", energy.title), lead, _items(energy), _time(energy), _reference(energy), _tornado(energy)]
    parts += [_notes("Not priced: the total is a lower bound", energy.unpriced), _notes("Assumed", energy.assumed)]
    parts.append(_notes("Warnings", energy.warnings))
    return tag("section", *parts, class_="bill")


def _items(energy: Energy) -> Html:
    priced = [item for item in energy.items if item.joules.p95 > 0]
    whole = sum(item.joules.p50 for item in priced)
    slots = {item.name: index % SLOTS for index, item in enumerate(priced)}
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
        Column(f"{engineering(axis[0], 'J', 1)} to {engineering(axis[1], 'J', 1)}, logarithmic", "mark wide"),
        Column("Basis", "text"),
    ]
    rows: list[list[object]] = []
    for item in sorted(energy.items, key=lambda item: -item.joules.p50):
        j = item.joules
        slot = slots.get(item.name)
        label = f"{item.name}: {quantiles(j, 'J')}"
        rows.append(
            [
                join([_swatch(slot), item.name]),
                engineering(j.p5, "J"),
                engineering(j.p50, "J"),
                engineering(j.p95, "J"),
                percent(j.p50 / whole, 0) if whole else UNKNOWN,
                range_strip(j.p5, j.p50, j.p95, axis, slot, label) if slot is not None else "",
                item.basis,
            ]
        )
    bar = stacked_bar(shares, f"Shares of the median items: {described}") if shares else Html("")
    note = tag(
        "p", "Quantiles are per item: medians of items need not add up to the median of the total.", class_="note"
    )
    return join([bar, table(f"Energy per inference, {energy.profile}", columns, rows), note])


def _swatch(slot: int | None) -> Html:
    return tag("span", class_=f"swatch b{slot}", aria_hidden="true") if slot is not None else Html("")


def _time(energy: Energy) -> Html:
    parts = []
    if energy.step_seconds is not None and energy.inference_seconds is not None:
        parts.append(f"Time: {quantiles(energy.step_seconds, 's')} per step")
        parts.append(f", {quantiles(energy.inference_seconds, 's')} per inference with a full pipeline")
        if energy.latency_seconds is not None:
            parts.append(f", {quantiles(energy.latency_seconds, 's')} from image to answer")
        parts.append(f"; bound by {energy.bound_by}. " if energy.bound_by else ". ")
    if energy.cores is not None and energy.chips is not None:
        by = "assumed by capacity" if energy.mapping_assumed else "placed"
        parts.append(f"{grouped(energy.cores)} cores on {grouped(energy.chips)} chip(s), {by}. ")
    parts.append(f"First layer: {energy.first_layer.replace('_', ' ')}.")
    return tag("p", *parts)


def _reference(energy: Energy) -> Html:
    """The quantised network beside the spiking one, for every assumed reuse: one ratio would mean nothing."""
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
            significant(point.ratio.p50),
            f"{significant(point.ratio.p5)} to {significant(point.ratio.p95)}",
            significant(point.s_star.p50) if point.s_star and point.s_star.p50 > 0 else "never",
        ]
        for point in found.points
    ]
    label = f"Against one pass of the network with {found.bits}-bit activations on the same memories"
    measured = (
        f"Measured: {significant(found.spikes_per_synapse)} spikes per synapse and inference, first layer left out. "
        "How often a fetched value is used decides the comparison, so every assumption is shown."
    )
    return join([table(label, columns, rows, class_="narrow"), tag("p", measured, class_="note")])


def _tornado(energy: Energy) -> Html:
    if not energy.sensitivities:
        return Html("")
    ends = [end for s in energy.sensitivities for end in (s.low, s.high)] + [energy.total.p50]
    reach = (max(ends) - min(ends)) or 1.0
    axis = (min(ends) - 0.02 * reach, max(ends) + 0.02 * reach)
    columns = [
        Column("Constant", "name"),
        Column("Total at its low end"),
        Column("at its high end"),
        Column("Swing"),
        Column(f"{engineering(axis[0], 'J')} to {engineering(axis[1], 'J')}, line at p50", "mark wide"),
    ]
    rows = []
    for s in sorted(energy.sensitivities, key=lambda s: -abs(s.high - s.low)):
        low, high = engineering(s.low, "J"), engineering(s.high, "J")
        strip = tornado_strip(s.low, energy.total.p50, s.high, axis, f"{s.constant}: {low} to {high}")
        swing = engineering(abs(s.high - s.low), "J")
        rows.append([tag("code", s.constant), low, high, swing, strip])
    return table("What moves the total", columns, rows)


def _notes(title: str, lines: tuple[str, ...]) -> Html:
    if not lines:
        return Html("")
    return tag("div", tag("h4", title), tag("ul", *(tag("li", line) for line in lines)), class_="notes")


def constants(energies: tuple[Energy, ...]) -> Html:
    columns = [
        Column("Constant", "name"),
        Column("Value"),
        Column("Low"),
        Column("High"),
        Column("Unit", "text"),
        Column("Basis", "text"),
        Column("Source", "text source"),
    ]
    return join(
        table(
            f"Constants, {energy.profile}",
            columns,
            [
                [
                    tag("code", c.key),
                    significant(c.value, 3),
                    significant(c.low, 3),
                    significant(c.high, 3),
                    c.unit,
                    c.basis,
                    c.source,
                ]
                for c in energy.constants
            ],
        )
        for energy in energies
        if energy.constants
    )
