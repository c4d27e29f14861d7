"""Advice in notebooks, and as rows of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spikec.advising.columns import COLUMNS, measured
from spikec.display import Column, Table

if TYPE_CHECKING:
    from spikec.advising.advice import Advice, Row

_LEFT = ("for", "T")
_FRAME = ("deployment", "purpose", "timesteps", "state", "why", "pareto", "recommended", "latency_steps", "images",
          "accuracy", "accuracy_low", "accuracy_high", "ann_accuracy", "spikes_per_image", "synops_per_image",
          "energy_p5_joule", "energy_p50_joule", "energy_p95_joule", "fits")  # fmt: skip


def shown(advice: Advice, title: str) -> Table:
    """The measured deployments, as the terminal shows them; ``*`` marks what no other beats."""
    columns = [Column("best", "", left=True), Column("deployment", "deployment", left=True)]
    columns += [Column(head, head, left=head in _LEFT) for head in COLUMNS]
    chosen = {each.trial.id: purpose for purpose, each in advice.recommendations.items()}
    columns.append(Column("recommended", "recommended for", left=True))
    rows = [
        (
            "*" if row.best else "",
            row.trial.label,
            *(cell(row.trial, result) for cell in COLUMNS.values()),
            chosen.get(row.trial.id, ""),
        )
        for row, result in measured(advice.rows)
    ]
    left_out = len(advice.rows) - len(rows)
    notes = ["on held-out images; print(advice) has the recommendations and their commands"]
    if left_out:
        notes.append(f"{left_out} more without a result: print(advice) says why")
    return Table(title, tuple(columns), tuple(rows), tuple(notes))


def frame(advice: Advice) -> Table:
    """A row for each line of the portfolio; None where nothing was measured."""
    chosen = {each.trial.id: purpose for purpose, each in advice.recommendations.items()}
    rows = tuple(_row(row, chosen.get(row.trial.id)) for row in advice.rows)
    return Table("", tuple(Column(name, name) for name in _FRAME), rows)


def _row(row: Row, recommended: str | None) -> tuple[Any, ...]:
    result = row.result
    state = "untried" if result is None else str(result["state"])
    head = (row.trial.label, row.trial.purpose, row.trial.configuration.timesteps, state, row.why or None, row.best)
    if result is None or state != "done":
        return (*head, recommended, *[None] * (len(_FRAME) - len(head) - 1))
    energy: dict[str, Any] = next(iter(result["energy"].values()), {})
    return (
        *head,
        recommended,
        *(result[name] for name in ("latency_steps", "images", "accuracy")),
        *result["interval"],
        result["ann"]["accuracy"],
        result["spikes_per_image"],
        result["synops_per_image"],
        *(energy.get(name) for name in ("p5", "p50", "p95")),
        result["chip"]["fits"],
    )
