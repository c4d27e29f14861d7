"""Sentences on results that a reader would not expect, each with its reason, from the numbers of the report alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from spikec.reporting.numbers import engineering, percent, proportion, ratio

if TYPE_CHECKING:
    from spikec.energy import Estimate
    from spikec.reporting.value import Report

#: A newer chip that needs at least this share of what an older one does is a surprise.
_AS_MUCH = 0.9


def surprises(report: Report) -> tuple[str, ...]:
    """In the order of the page: accuracy, then energy."""
    return (*_better(report), *_fewer_steps(report), *_newer_chips(report), *_quantised(report))


def _better(report: Report) -> Iterator[str]:
    known, loss = report.accuracy, report.loss
    if known is not None and known.ann is not None and known.only_snn is not None and known.only_ann is not None:
        more, interval_low = known.snn.count - known.ann.count, None
    elif loss is not None:
        more, interval_low = loss.spiking - loss.network, loss.interval[0]
    else:
        return
    if more > 0:
        images = "image" if more == 1 else "images"
        chance = "" if interval_low is not None and interval_low > 0 else ", which may be chance"
        yield f"The spiking network is right on {more:,} {images} more than the network it was made from{chance}."


def _fewer_steps(report: Report) -> Iterator[str]:
    deployed = report.network.timesteps
    earlier = [point for point in report.curve if point.timesteps < deployed]
    own = next((point for point in report.curve if point.timesteps == deployed), None)
    best = max(earlier, key=lambda point: point.accuracy.count, default=None)
    if own is not None and best is not None and best.accuracy.count > own.accuracy.count:
        yield (
            f"Read out after {best.timesteps} of the {deployed} steps, more images are right "
            f"({proportion(best.accuracy)}) than at the end ({proportion(own.accuracy)})."
        )


def _newer_chips(report: Report) -> Iterator[str]:
    """Of chips whose names differ by a last number only, one that is newer and yet not cheaper."""
    families: dict[str, list[tuple[int, Estimate]]] = {}
    for energy in report.energies:
        if found := re.fullmatch(r"(.*?)(\d+)", energy.profile):
            families.setdefault(found[1], []).append((int(found[2]), energy))
    for members in families.values():
        members.sort(key=lambda member: member[0])
        for (_, older), (_, newer) in itertools.pairwise(members):
            times = newer.total.p50 / older.total.p50 if older.total.p50 else 0.0
            if times >= _AS_MUCH:
                yield _dearer(older, newer, times)


def _dearer(older: Estimate, newer: Estimate, times: float) -> str:
    item = max(newer.items, key=lambda item: item.joules.p50)
    whole = sum(each.joules.p50 for each in newer.items)
    same = next((each for each in older.items if each.name == item.name), None)
    beside = "" if same is None else f" against {engineering(same.joules.p50, 'J')} on {older.title}"
    what = "static power, which flows whether or not anything is computed" if item.name == "static" else item.name
    much = f"{ratio(times)} times the energy of" if times > 1.05 else "about as much energy as"
    rest = sum(each.joules.p50 for each in older.items if each.name != item.name)
    own = sum(each.joules.p50 for each in newer.items if each.name != item.name)
    cheaper = f" Without it {newer.title} would need {engineering(own, 'J')}, {older.title} {engineering(rest, 'J')}."
    share = percent(item.joules.p50 / whole, 0)
    return (
        f"{newer.title} would need {much} {older.title} here: {share} of it is "
        f"{what} ({engineering(item.joules.p50, 'J')}{beside}).{cheaper if same is not None else ''}"
    )


def _quantised(report: Report) -> Iterator[str]:
    for energy in report.energies:
        points = [] if energy.reference is None else energy.reference.points
        if points and all(point.ratio.p5 > 1 for point in points):
            least = min(point.ratio.p50 for point in points)
            yield (
                f"On the same memories ({energy.title}), one pass of the quantised network would need less energy than "
                f"the spiking one, at least {ratio(least)} times less: too many spikes meet each synapse."
            )
