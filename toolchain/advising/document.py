"""Advice as JSON, described by ``docs/advice.schema.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spikec.advising.choosing import loss
from spikec.advising.numbers import verdict
from spikec.advising.text import provenance
from spikec.advising.trials import PURPOSES

if TYPE_CHECKING:
    from spikec.advising.advice import Advice, Recommendation, Row
    from spikec.sweeping.store import Result

SCHEMA = "spikec.advice/1"
_NUMBERS = ("images", "correct", "accuracy", "interval", "ann", "paired", "latency_steps", "spikes_per_image",
            "synops_per_image", "energy", "neurons", "weights", "overflows", "chip")  # fmt: skip


def document(advice: Advice) -> dict[str, Any]:
    """JSON types only."""
    best = advice.best
    return {
        "schema": SCHEMA,
        "model": advice.model,
        "data": advice.data,
        "chip": advice.chip,
        "precision": advice.precision,
        "images": {
            "calibration": advice.calibration,
            "held_out": advice.held_out,
            "test": advice.test,
            "test_kept_apart": advice.apart,
            "note": provenance(advice),
        },
        "tolerance": advice.tolerance,
        "budget_seconds": advice.budget,
        "spent_seconds": round(advice.spent, 3),
        "folder": None if advice.folder is None else str(advice.folder),
        "deployments": [_row(row) for row in advice.rows],
        "recommendations": {
            purpose: _recommendation(advice.recommendations[purpose], advice.tolerance)
            if purpose in advice.recommendations
            else None
            for purpose in PURPOSES
        },
        "best": None if best is None else best.purpose,
        "within_tolerance": any(loss(each.final) <= advice.tolerance for each in advice.recommendations.values()),
    }


def _row(row: Row) -> dict[str, Any]:
    trial, result = row.trial, row.result
    state = "untried" if result is None else str(result["state"])
    return {
        "label": trial.label,
        "purpose": trial.purpose,
        "timesteps": trial.configuration.timesteps,
        "state": state,
        "why": row.why or None,
        "pareto": row.best,
        "configuration": trial.configuration.to_json(),
        "held_out": _numbers(result) if result is not None and state == "done" else None,
    }


def _numbers(result: Result) -> dict[str, Any]:
    return {name: result[name] for name in _NUMBERS}


def _recommendation(found: Recommendation, tolerance: float) -> dict[str, Any]:
    return {
        "label": found.trial.label,
        "deployment_sha256": found.final.get("deployment_sha256"),  # results of older versions have none
        "content_sha256": found.final["content_sha256"],
        "held_out": _numbers(found.chosen),
        "test": None if found.tested is None else _numbers(found.tested),
        "verdict": verdict(found.final, tolerance),
        "export": found.command,
        "train": found.train,
        "training_gain_at_most": found.gain,
    }
