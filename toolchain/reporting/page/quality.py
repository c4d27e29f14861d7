"""The part of the page on quality: accuracy, other measures, and how they grow with the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spikec.reporting import sentences
from spikec.reporting.numbers import UNKNOWN, grouped, interval, proportion
from spikec.reporting.page.chart import figure
from spikec.reporting.page.curve import Point, curve, numbers, shares
from spikec.reporting.page.html import Column, Html, prose, table, tag

if TYPE_CHECKING:
    from spikec.evidence.quality import Rating
    from spikec.reporting.value import Accuracy, CurvePoint, Report

_NO_CURVE = "This schedule has no readout before its last step, so there is no curve."
#: Steps of a curve above which the table beside it leaves some out.
_MOST_ROWS = 8


def sections(report: Report) -> list[tuple[str, Sequence[object]]]:
    """Accuracy, where it is measured, and all other measures, each with its title."""
    found: list[tuple[str, Sequence[object]]] = []
    if report.accuracy is not None:
        found.append(("Accuracy", _accuracy(report, report.accuracy)))
    others = report.other_quality
    if others:
        parts: list[object] = [_summary(report, others)]
        for rating in others:
            parts += _rating(rating, report.network.timesteps)
        if not any(rating.bands for rating in others):
            parts.append(tag("p", _NO_CURVE, class_="note"))
        found.append(("Quality" if report.accuracy is None else "Other measures", parts))
    return found


def _accuracy(report: Report, known: Accuracy) -> list[object]:
    sentence = f"The integer network classifies {sentences.accuracy(known)} correctly"
    ann = sentences.ann(report)
    parts: list[object] = [
        tag("p", prose(f"{sentence}{f'; the ANN {ann}' if ann else ''}. {sentences.paired(known) or ''}"))
    ]
    parts += [tag("p", prose(line)) for line in sentences.loss(report)]
    if not report.curve:
        return [*parts, tag("p", _NO_CURVE, class_="note")]
    points = [
        Point(
            p.timesteps,
            p.accuracy.value,
            p.accuracy.low,
            p.accuracy.high,
            f"T = {p.timesteps}: {proportion(p.accuracy)} ({interval(p.accuracy)})",
        )
        for p in report.curve
    ]
    level, deployed = _level(report, known), report.network.timesteps
    scale = shares([p.low for p in points] + ([level] if level is not None else []))
    chart = curve("Accuracy against the number of steps", points, deployed, level, scale)
    caption = (
        "Accuracy when the readout of the same run is taken after T steps; the band is the 95 % Wilson interval. "
        f"The network was lowered for T = {deployed} (large dot)."
    )
    return [*parts, _beside(chart, caption, _curve_table(report.curve, deployed), "accuracy")]


def _level(report: Report, known: Accuracy) -> float | None:
    """The trained network's accuracy, from the best source there is."""
    if known.ann is not None:
        return known.ann.value
    if known.ann_stated is not None:
        return known.ann_stated
    if report.loss is not None:
        return report.loss.network / report.loss.images
    return None if report.at_export is None else report.at_export.accuracy.value


def _beside(chart: Html, caption: str, table: Html, name: str) -> Html:
    return tag("div", figure(chart, caption, name), table, class_="beside")


def _curve_table(curve: tuple[CurvePoint, ...], deployed: int) -> Html:
    columns = [Column("T", "name"), Column("Accuracy"), Column("95 % interval"), Column("Correct"), Column("Images")]
    rows = [
        [
            p.timesteps,
            proportion(p.accuracy),
            interval(p.accuracy),
            grouped(p.accuracy.count),
            grouped(p.accuracy.total),
        ]
        for p in curve
        if p.timesteps in _shown([each.timesteps for each in curve], deployed)
    ]
    return table("Accuracy against T", columns, rows, class_="narrow")


def _shown(steps: Sequence[int], deployed: int) -> set[int]:
    """Every T of a short curve; of a long one the powers of two, the deployed T and the last."""
    if len(steps) <= _MOST_ROWS:
        return set(steps)
    return {deployed, steps[-1], *(2**power for power in range(steps[-1].bit_length()))}


def _summary(report: Report, ratings: Sequence[Rating]) -> Html:
    """A row for each measure: the integer network, the trained one, and the difference."""
    columns = [
        Column("Measure", "name"),
        Column("Integer network"),
        Column("95 % interval"),
        Column("Trained network"),
        Column("Difference"),
        Column("95 % interval"),
        Column("Same inputs"),
        Column("Better"),
    ]
    rows = [_row(rating) for rating in ratings]
    title = f"Quality at T = {report.network.timesteps} on {grouped(report.images)} inputs"
    return table(title, columns, rows, class_="narrow")


def _row(rating: Rating) -> list[object]:
    found, other = rating.quality, rating.network
    told, change = found.measure.written, found.measure.change
    value = UNKNOWN if found.value is None else told(found.value)
    spread = UNKNOWN if found.interval is None else " to ".join(map(told, found.interval))
    compared = [UNKNOWN] * 4
    if other is not None:
        paired = UNKNOWN if other.interval is None else " to ".join(map(change, other.interval))
        compared = [told(other.network), change(other.change), paired, grouped(other.images)]
    better = "higher" if found.measure.higher_is_better else "lower"
    return [rating.title, value, spread, *compared, better]


def _rating(rating: Rating, deployed: int) -> list[object]:
    """Sentences, and the curve where there is one."""
    parts: list[object] = [tag("h3", f"{rating.title[0].upper()}{rating.title[1:]}")]
    parts += [tag("p", prose(line)) for line in sentences.quality(rating)]
    measure = rating.quality.measure
    points = []
    for step, found in enumerate(rating.bands, 1):
        if found.value is not None:
            low, high = found.interval or (found.value, found.value)
            spread = "" if found.interval is None else f" ({measure.written(low)} to {measure.written(high)})"
            points.append(Point(step, found.value, low, high, f"T = {step}: {measure.written(found.value)}{spread}"))
    if not points:
        return parts
    level = None if rating.network is None else rating.network.network
    extremes = [end for p in points for end in (p.low, p.high)] + ([level] if level is not None else [])
    scale = shares(extremes) if measure.percent and 0 <= min(extremes) <= max(extremes) <= 1 else numbers(extremes)
    chart = curve(f"{rating.title} against the number of steps", points, deployed, level, scale)
    caption = (
        "The same run, read out after T steps; the band is the 95 % interval. "
        f"The network was lowered for T = {deployed} (large dot)."
    )
    columns = [Column("T", "name"), Column("Value"), Column("95 % interval")]
    rows: list[list[object]] = [
        [p.timesteps, measure.written(p.value), " to ".join(map(measure.written, (p.low, p.high)))]
        for p in points
        if p.timesteps in _shown([each.timesteps for each in points], deployed)
    ]
    values = table(f"{rating.title} against T", columns, rows, class_="narrow")
    return [*parts, _beside(chart, caption, values, rating.name)]


__all__ = ["sections"]
