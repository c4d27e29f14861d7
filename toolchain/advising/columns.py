"""The columns of a table of measured deployments, and the order of its lines, for the terminal and for pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from spikec.advising.numbers import accuracy, agreement, cores, distance, energy
from spikec.advising.trials import PURPOSES, Trial
from spikec.reporting.numbers import grouped
from spikec.sweeping.store import Result

if TYPE_CHECKING:
    from spikec.advising.advice import Row

#: The text of a cell by the head of its column.
COLUMNS: dict[str, Callable[[Trial, Result], str]] = {
    "for": lambda trial, _: trial.purpose,
    "T": lambda trial, _: str(trial.configuration.timesteps),
    "latency": lambda _, result: str(result["latency_steps"]),
    "images": lambda _, result: grouped(result["images"]),
    "accuracy": lambda _, result: accuracy(result),
    "minus network": lambda _, result: distance(result),
    "agree": lambda _, result: agreement(result),
    "spikes": lambda _, result: grouped(result["spikes_per_image"]),
    "SynOps": lambda _, result: grouped(result["synops_per_image"]),
    "energy per image": lambda _, result: energy(result),
    "cores": lambda _, result: cores(result),
}


def measured(rows: Iterable[Row]) -> list[tuple[Row, Result]]:
    """The rows that were measured, with their results: by purpose, then the fastest first."""
    order = list(PURPOSES)
    found = [(row, row.result) for row in rows if row.usable and row.result is not None]
    return sorted(found, key=lambda item: (order.index(item[0].trial.purpose), item[1]["latency_steps"]))
