"""Does it fit: the part of the page on the checks and the placement of every chip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikec.reporting import sentences
from spikec.reporting.numbers import grouped, percent
from spikec.reporting.page import placed
from spikec.reporting.page.chart import figure
from spikec.reporting.page.histogram import histogram
from spikec.reporting.page.html import Column, Html, join, prose, table, tag

if TYPE_CHECKING:
    from spikec.reporting.value import Fit


def section(fits: tuple[Fit, ...]) -> Html:
    """Cores, their places and loads, and every violation, chip by chip."""
    note = (
        "Checks against published limits and an estimate of where neurons would go; Intel's mapper is not public. "
        "A load is the largest share of any resource of a core."
    )
    return join([*(_chip(fit) for fit in fits), tag("p", note, class_="note")])


def _chip(fit: Fit) -> Html:
    parts = [tag("h3", fit.title), tag("p", sentences.fit(fit), ".")]
    if fit.loads:
        parts.append(_placement(fit))
    if fit.violations:
        columns = [
            Column("", "word"),
            Column("Rule", "name"),
            Column("Layer", "text"),
            Column("Actual"),
            Column("Limit"),
            Column("What to do", "text"),
        ]
        rows: list[list[object]] = [
            [_severity(v.severity), v.rule, v.layer, _number(str(v.actual)), _number(str(v.limit)), prose(v.hint)]
            for v in fit.violations
        ]
        parts.append(table(f"Violations on {fit.title}", columns, rows))
    if fit.assumptions:
        listed = tag("ul", *(tag("li", prose(line)) for line in fit.assumptions))
        parts.append(tag("details", tag("summary", "What the placement takes for granted"), listed))
    return tag("section", *parts, class_="bill")


def _placement(fit: Fit) -> Html:
    """The drawing, or where there are too many cores for one, how many have which load."""
    mean, fullest = sum(fit.loads) / len(fit.loads), max(fit.loads)
    load = f"Mean load {percent(mean, 0)}, fullest core {percent(fullest, 0)}"
    layers = list(fit.cores_of)
    shown = []
    if fit.placed:
        title = f"Placement on {fit.title}"
        caption = f"{load}. Each square is a core in its tile, filled as far as its fullest resource is used."
        shown.append(figure(placed.placement(fit.placed, layers, title), caption, f"placement-{fit.target}", "free"))
    if len(fit.loads) > 1:
        classes = [0] * 10
        for each in fit.loads:
            classes[min(9, int(each * 10 - 1e-9))] += 1
        spans = [f"{10 * i} to {10 * i + 10} % full" for i in range(10)]
        drawn = histogram(f"Cores by load, {fit.title}", classes, spans, ("0 %", "100 %"), "cores", 260.0, 104.0)
        caption = "Cores by load." if fit.placed else f"Cores by load. {load}."
        shown.append(figure(drawn, caption, f"loads-{fit.target}"))
    keys = placed.legend(layers, fit.cores_of)
    return join([tag("div", *shown, class_="beside"), keys])


def _severity(severity: str) -> object:
    return tag("strong", severity, class_="bad") if severity == "error" else severity


def _number(value: str) -> str:
    return f"{grouped(int(value))}" if value.isdigit() else value
