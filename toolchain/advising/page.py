"""Advice as one page: the recommendations, what was tried as a Pareto chart, and the table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from spikec.advising.choosing import joules, loss, loss_interval
from spikec.advising.columns import COLUMNS, measured
from spikec.advising.numbers import accuracy, cores_in_words, distance, energy, verdict
from spikec.advising.text import provenance
from spikec.advising.trials import PURPOSES
from spikec.reporting.front import front
from spikec.reporting.numbers import engineering, grouped
from spikec.reporting.page.chart import figure
from spikec.reporting.page.curve import Scale, numbers
from spikec.reporting.page.html import Column, Html, command, prose, table, tag
from spikec.reporting.page.pareto import Mark, legend, pareto
from spikec.reporting.page.shell import SIMULATED, header, whole
from spikec.sweeping.store import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from spikec.advising.advice import Advice, Recommendation, Row

#: Losses of more points are drawn at the lower edge.
_DEEPEST = 10.0


def page(advice: Advice) -> str:
    """All of it, from the recommendations down to what was not tried."""
    title = f"{advice.model} on {advice.title}: which deployment"
    others = [row for row in advice.rows if not row.usable]
    parts = [
        ("Recommendations", [_recommendations(advice)]),
        ("Loss against cost", _charts(advice)),
        ("Deployments", [_table(advice)]),
        *([("Not measured", [_others(others)])] if others else []),
    ]
    note = tag("p", prose(f"{advice.data}; {advice.precision}. {provenance(advice)}"), class_="note")
    return whole(title, [header("spikec advise", title, SIMULATED, prose(_verdict(advice)), note)], parts)


def _verdict(advice: Advice) -> str:
    best = advice.best
    if best is None:
        return "Nothing could be measured."
    return (
        f"Without a purpose in mind: {best.trial.label}, {best.purpose}. {accuracy(best.final)}, "
        f"{distance(best.final)} points against the network, {verdict(best.final, advice.tolerance)}."
    )


def _recommendations(advice: Advice) -> Html:
    cards = []
    for purpose, about in PURPOSES.items():
        found = advice.recommendations.get(purpose)
        nothing = [tag("p", about), tag("p", "Nothing could be measured for it.", class_="note")]
        parts = nothing if found is None else _recommended(found, about, advice.tolerance)
        cards.append(tag("article", tag("h3", purpose.capitalize()), *parts, class_="card"))
    return tag("div", *cards, class_="cards")


def _recommended(found: Recommendation, about: str, tolerance: float) -> list[Html]:
    final = found.final
    lines = [
        f"{accuracy(final)} on {final['images']:,} {'test' if found.tested else 'held-out'} images",
        f"{distance(final)} points against the network; {verdict(final, tolerance)}",
        f"{final['latency_steps']} steps from image to answer",
        f"{energy(final)} per image, {cores_in_words(final)}",
        f"{grouped(final['spikes_per_image'])} spikes, {grouped(final['synops_per_image'])} SynOps per image",
    ]
    if not found.chosen["chip"]["fits"]:
        lines.append(f"does not fit: {found.chosen['chip']['errors'][0]}")
    if found.gain is not None:
        lines.append(f"training can win back at most {100 * found.gain:.1f} points")
    commands = [each for each in (found.command, found.train) if each]
    shown = tag("ul", *(tag("li", command(each)) for each in commands), class_="commands")
    return [
        tag("p", about),
        tag("p", tag("strong", found.trial.label)),
        tag("ul", *(tag("li", prose(line)) for line in lines)),
        shown if commands else Html(""),
    ]


def _charts(advice: Advice) -> list[Html]:
    rows = [row for row, _ in measured(advice.rows)]
    if not rows:
        return [tag("p", "Nothing was measured.")]
    scale = _scale([result for _, result in measured(advice.rows)])
    steps = "latency, steps from image to answer"
    drawn = [_chart(advice, rows, scale, steps, "latency", lambda r: float(r["latency_steps"]), lambda v: f"{v:g}")]
    if all(math.isfinite(joules(result)) for _, result in measured(advice.rows)):
        name = "energy per image, median"
        drawn.append(_chart(advice, rows, scale, name, "energy", joules, lambda v: engineering(v, "J", 1)))
    note = (
        "On held-out training images, with 95 % intervals; rings are recommended, dashed lines join what no other "
        "deployment for the purpose beats in both."
    )
    return [legend(list(PURPOSES)), tag("div", *drawn, class_="beside"), tag("p", note, class_="note")]


def _scale(results: list[Result]) -> Scale:
    """Points above the network; those far below are at the edge."""
    ends = [-100 * end for result in results for end in loss_interval(result)]
    return numbers([*(max(end, -_DEEPEST) for end in ends), 0.0])


def _chart(
    advice: Advice,
    rows: list[Row],
    scale: Scale,
    title: str,
    name: str,
    cost: Callable[[Result], float],
    written: Callable[[float], str],
) -> Html:
    chosen = {each.trial.id for each in advice.recommendations.values()}
    groups = list(PURPOSES)
    marks = []
    for purpose in groups:
        own = [(row, row.result) for row in rows if row.trial.purpose == purpose and row.result is not None]
        ahead = front([(cost(result), loss(result)) for _, result in own])
        for (row, result), best in zip(own, ahead, strict=True):
            low, high = (-100 * end for end in loss_interval(result))
            told = f"{row.trial.label}: {distance(result)} points, {result['latency_steps']} steps, {energy(result)}"
            group = groups.index(purpose)
            value = -100 * loss(result)
            marks.append(Mark(cost(result), value, high, low, told, group, best, row.trial.id in chosen))
    axes = ("points above the network", title)
    drawn = pareto(f"Points against {title}", marks, scale, axes, written, (0.0, "network"))
    return figure(drawn, "", f"pareto-{name}")


def _table(advice: Advice) -> Html:
    columns = [
        Column("Deployment", "name"),
        *(Column(head, "word" if head == "for" else "number") for head in COLUMNS),
        Column("", "word"),
    ]
    rows = []
    for row, result in measured(advice.rows):
        fits = "" if result["chip"]["fits"] else f"does not fit {result['chip']['name']}"
        best = "best" if row.best else ""
        cells = [prose(cell(row.trial, result)) for cell in COLUMNS.values()]
        rows.append([row.trial.label, *cells, "; ".join(filter(None, (best, fits)))])
    return table("On held-out images; best: no other for its purpose is better in everything", columns, rows)


def _others(rows: list[Row]) -> Html:
    columns = [Column("Deployment", "name"), Column("For", "word"), Column("Why", "text")]
    body = [[row.trial.label, row.trial.purpose, row.why or "a membrane leaves its register"] for row in rows]
    return table("Deployments without a result", columns, body)
