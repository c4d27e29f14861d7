"""Where it is wrong: the confusion of classes, or numbers predicted against those wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikec.reporting.details import ClassRow, Confusion, Predicted
from spikec.reporting.numbers import UNKNOWN, grouped, interval, percent, proportion
from spikec.reporting.page.chart import figure
from spikec.reporting.page.charts import fraction_bar
from spikec.reporting.page.html import Column, Html, table, tag
from spikec.reporting.page.matrix import matrix
from spikec.reporting.page.scatter import scatter

if TYPE_CHECKING:
    from spikec.reporting.value import Report


def errors(report: Report) -> list[Html]:
    """Empty where nothing was measured."""
    parts = [] if report.confusion is None else _confusion(report.confusion)
    return parts + [_predicted(each) for each in report.predicted]


def _confusion(found: Confusion) -> list[Html]:
    tables = [_classes(found)]
    if found.mistakes:
        columns = [
            Column("Label", "name"),
            Column("Taken for", "word" if found.names else "number"),
            Column(found.unit.capitalize()),
        ]
        rows = [[found.named(each.label), found.named(each.predicted), grouped(each.count)] for each in found.mistakes]
        tables.append(table("Most frequent mistakes", columns, rows, class_="narrow"))
    parts: list[Html] = []
    if found.matrix is not None:
        caption = (
            f"Labels from top to bottom, predictions from left to right, {found.unit}; shaded by the share of the "
            "label, the diagonal is right."
        )
        parts.append(figure(matrix(found.matrix, found.unit, found.named), caption, "confusion"))
    return [tag("div", *parts, tag("div", *tables, class_="grow"), class_="beside")]


def _classes(found: Confusion) -> Html:
    pixels = found.unit == "pixels"
    columns = [
        Column("Class", "name"),
        *([Column("Name", "word")] if found.names else []),
        Column("Right", hint="share of those with this label"),
        Column("95 % interval" if not pixels else "Overlap", hint="intersection over union" if pixels else None),
        Column("", "drawing small"),
        Column("Labelled"),
        Column("Predicted"),
    ]
    return table("Class by class", columns, [_class(row, found) for row in found.rows], class_="narrow")


def _class(row: ClassRow, found: Confusion) -> list[object]:
    right, pixels = row.right, found.unit == "pixels"
    overlap = UNKNOWN if row.iou is None else percent(row.iou)
    return [
        row.label,
        *([found.named(row.label)] if found.names else []),
        UNKNOWN if right is None else proportion(right),
        overlap if pixels else UNKNOWN if right is None else interval(right),
        ""
        if right is None
        else fraction_bar(right.value, f"class {found.named(row.label)}: {proportion(right)} right"),
        grouped(row.labelled),
        grouped(row.predicted),
    ]


def _predicted(found: Predicted) -> Html:
    some = "all" if found.shown == found.total else f"{found.shown:,} of {found.total:,}"
    caption = f"{found.head}: {some} numbers, in the units of the trained network; on the dashed line they are right."
    return figure(scatter(found), caption, f"predicted-{found.head}")
