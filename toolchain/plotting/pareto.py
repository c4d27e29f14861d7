"""Deployments side by side: what accuracy costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from spikec.advising.advice import Advice
from spikec.calls import named_arguments
from spikec.errors import DataError
from spikec.plotting.style import Axes, colour, drawing, level
from spikec.reporting.front import front
from spikec.reporting.numbers import prefixed
from spikec.sweeping.run import Sweep
from spikec.sweeping.shape import DONE

Cost = Literal["energy", "spikes", "synops", "latency", "timesteps"]
_LABELS = {
    "energy": "energy per image",
    "spikes": "spikes per image",
    "synops": "SynOps per image",
    "latency": "latency (steps)",
    "timesteps": "time steps T",
}


@dataclass(frozen=True)
class _Point:
    group: str
    cost: float
    accuracy: float
    interval: tuple[float, float]
    network: float


@named_arguments
def pareto(found: Sweep | Advice, cost: Cost = "energy", *, ax: Axes | None = None) -> Axes:
    """Accuracy against ``cost`` of every deployment that was measured, with 95 % intervals.

    The step joins those that no other beats in both; the dashed line is the trained network.

    ``found``: of ``tc.sweep`` or ``tc.advise`` (its held-out images); ``cost``: energy (median estimate), spikes,
    synops, latency or timesteps. A colour for each method. Raises ``DataError`` where nothing was measured.

    >>> ax = tc.plot.pareto(sweep, "spikes")
    >>> ax.get_xlabel()
    'spikes per image'
    """
    if not isinstance(found, Sweep | Advice):
        raise DataError(f"expected what tc.sweep or tc.advise returns, got {type(found).__name__}")
    if cost not in get_args(Cost):
        raise DataError(f"cost is one of {', '.join(get_args(Cost))}, not {cost!r}")
    points = list(_points(found, cost))
    if not points:
        more = "; a sweep needs energy = ['loihi2'] in its grid for it" if cost == "energy" else ""
        raise DataError(f"nothing was measured whose {cost} is known{more}")
    by, unit = prefixed(max(point.cost for point in points), "J") if cost == "energy" else (1.0, "")
    groups = list(dict.fromkeys(point.group for point in points))
    with drawing(ax, 2.5) as ax:
        for number, group in enumerate(groups):
            mine = [point for point in points if point.group == group]
            heights = [100 * point.accuracy for point in mine]
            error = [
                [100 * (point.accuracy - point.interval[0]) for point in mine],
                [100 * (point.interval[1] - point.accuracy) for point in mine],
            ]
            x = [point.cost / by for point in mine]
            ax.errorbar(
                x, heights, yerr=error, fmt="o", color=colour(number), markersize=4, elinewidth=0.7, label=group
            )
        kept = front([(point.cost, -point.accuracy) for point in points])
        best = sorted(
            {(point.cost / by, 100 * point.accuracy) for point, keep in zip(points, kept, strict=True) if keep}
        )
        ax.step(*zip(*best, strict=True), where="post", color="black", linewidth=0.8, zorder=1, label="not beaten")
        networks = {point.network for point in points}
        if len(networks) == 1:
            own = networks.pop()
            level(ax, 100 * own, f"trained network, {100 * own:.1f} %")
        if cost != "timesteps" and max(p.cost for p in points) > 20 * min(p.cost for p in points) > 0:
            ax.set_xscale("log")
        ax.set_xlabel(f"{_LABELS[cost]} ({unit})" if unit else _LABELS[cost])
        ax.set_ylabel("accuracy (%)")
        ax.legend(loc="best")
    return ax


def _points(found: Sweep | Advice, cost: Cost) -> Iterator[_Point]:
    results = list(found) if isinstance(found, Sweep) else [row.result for row in found.rows if row.result is not None]
    for result in results:
        if result["state"] != DONE:
            continue
        value = _cost(result, cost)
        if value is not None:
            low, high = result["interval"]
            group = str(result["configuration"]["method"])
            yield _Point(group, value, result["accuracy"], (low, high), result["ann"]["accuracy"])


def _cost(result: dict[str, Any], cost: Cost) -> float | None:
    if cost == "energy":
        estimate = next(iter(result["energy"].values()), None)
        return None if estimate is None else float(estimate["p50"])
    if cost == "timesteps":
        return float(result["configuration"]["timesteps"])
    known = result.get({"spikes": "spikes_per_image", "synops": "synops_per_image", "latency": "latency_steps"}[cost])
    return None if known is None else float(known)
