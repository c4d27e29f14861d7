"""Does it fit: the part of the page on the checks and the placement of every chip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikec.reporting import sentences
from spikec.reporting.numbers import grouped, percent
from spikec.reporting.page.charts import load_bars
from spikec.reporting.page.html import Column, Html, join, prose, table, tag

if TYPE_CHECKING:
    from spikec.reporting.value import Fit


def section(fits: tuple[Fit, ...]) -> Html:
    """Cores, their loads, and every violation, chip by chip."""
    note = (
        "Checks against published limits and an estimate of where neurons would go; Intel's mapper is not public. "
        "A load is the largest share of any resource of a core."
    )
    return join([*(_chip(fit) for fit in fits), tag("p", note, class_="note")])


def _chip(fit: Fit) -> Html:
    parts = [tag("h3", fit.title), tag("p", sentences.fit(fit), ".")]
    if fit.loads:
        layers = ", ".join(f"{layer}: {grouped(cores)}" for layer, cores in fit.cores_of.items())
        mean, fullest = sum(fit.loads) / len(fit.loads), max(fit.loads)
        caption = f"Cores by load: mean {percent(mean, 0)}, fullest {percent(fullest, 0)}. Cores per layer: {layers}."
        parts.append(tag("figure", load_bars(fit.loads), tag("figcaption", caption)))
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
    return tag("section", *parts, class_="bill")


def _severity(severity: str) -> object:
    return tag("strong", severity, class_="bad") if severity == "error" else severity


def _number(value: str) -> str:
    return f"{int(value):,}" if value.isdigit() else value
