"""Advice in words: what was measured on what, the table, a picture of letters, and the recommendations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from spikec.advising.choosing import loss
from spikec.advising.columns import COLUMNS, measured
from spikec.advising.numbers import accuracy, cores_in_words, distance, energy, verdict
from spikec.advising.trials import PURPOSES
from spikec.reporting.numbers import grouped
from spikec.sweeping.store import Result
from spikec.words import columns, option

if TYPE_CHECKING:
    from spikec.advising.advice import Advice, Recommendation, Row

_HEADER = ("", "deployment", *COLUMNS, "")
_RIGHT = range(3, len(_HEADER) - 1)
_REASON = 100
_WIDTH, _HEIGHT = 56, 10
#: Losses beyond this many points are drawn at the bottom.
_DEEPEST = 10.0


def written(advice: Advice) -> str:
    """All of it."""
    parts = [
        _head(advice),
        _table(advice),
        *_untried(advice),
        _picture(advice),
        *_recommendations(advice),
        _end(advice),
    ]
    return "\n\n".join(part for part in parts if part)


def provenance(advice: Advice) -> str:
    """Which images did what."""
    tested = "training images kept apart, since the data have no test set" if advice.apart else "the test set"
    return (
        f"Chosen on training images that calibrate nothing ({advice.held_out:,} are held out, {advice.calibration:,} "
        f"others calibrate). Final figures are on {tested} ({advice.test:,} images), which decided nothing."
    )


def _head(advice: Advice) -> str:
    time = f"budget {advice.budget:g} s, {advice.spent:.0f} s spent"
    return f"{advice.model} on {advice.data}, for {advice.title}: {advice.precision}; {time}\n{provenance(advice)}"


def _table(advice: Advice) -> str:
    lines: list[tuple[str, ...]] = [_HEADER, *(_cells(row, result) for row, result in measured(advice.rows))]
    text = columns(lines, _RIGHT)
    notes = [
        "On held-out images. minus network: points, with a 95 % interval from pairs of answers to the same images.",
        "latency: steps from image to answer. *: no other for its purpose is better in accuracy, latency and energy.",
    ]
    return "\n".join([*text, *notes])


def _latency(row: Row) -> int:
    return 0 if row.result is None else int(row.result["latency_steps"])


def _cells(row: Row, result: Result) -> tuple[str, ...]:
    fits = "" if result["chip"]["fits"] else f"does not fit {result['chip']['name']}"
    return ("*" if row.best else "", row.trial.label, *(cell(row.trial, result) for cell in COLUMNS.values()), fits)


def _untried(advice: Advice) -> list[str]:
    lines = []
    for row in advice.rows:
        if row.usable:
            continue
        why = row.why or "a membrane leaves its register"
        lines.append(f"{row.trial.label}: {why if len(why) <= _REASON else why[: _REASON - 3] + '...'}")
    return ["\n".join(lines)] if lines else []


def _picture(advice: Advice) -> str:
    """Points lost against latency; s, l and g for the purposes, capital letters for what is recommended."""
    found = [row for row in advice.rows if row.usable]
    if len(found) < 2:
        return ""
    chosen = {each.trial.id for each in advice.recommendations.values()}
    steps = [math.log(_latency(row)) for row in found]
    low, high = min(steps), max(steps)
    lost = [min(max(100 * loss(row.result), 0.0), _DEEPEST) for row in found if row.result is not None]
    deepest = max(1.0, math.ceil(max(lost)))
    grid = [[" "] * (_WIDTH + 1) for _ in range(_HEIGHT + 1)]
    for row, step, points in zip(found, steps, lost, strict=True):
        x = round((step - low) / (high - low or 1) * _WIDTH)
        y = round(points / deepest * _HEIGHT)
        letter = row.trial.purpose[0]
        if not grid[y][x].isupper():
            grid[y][x] = letter.upper() if row.trial.id in chosen else letter
    marks = {0: "0.0", _HEIGHT // 2: f"-{deepest / 2:.1f}", _HEIGHT: f"-{deepest:.1f}"}
    lines = [f"{marks.get(y, ''):>6} |{''.join(line).rstrip()}" for y, line in enumerate(grid)]
    names = ", ".join(f"{purpose[0]} {purpose}" for purpose in PURPOSES)
    first, last = f"{min(map(_latency, found))} steps", f"{max(map(_latency, found))} steps"
    axis = f"{'':>6} +{'-' * _WIDTH}\n{'':>8}{first}{last.rjust(_WIDTH - len(first))}"
    deep = f"; the lowest line: {_DEEPEST:g} points and more" if deepest == _DEEPEST else ""
    return "\n".join([f"points lost against latency: {names}; capital letters are recommended{deep}", *lines, axis])


def _recommendations(advice: Advice) -> list[str]:
    parts = []
    for purpose, about in PURPOSES.items():
        found = advice.recommendations.get(purpose)
        lines = _lines(found, advice.tolerance) if found else ["nothing could be measured"]
        parts.append("\n  ".join([f"{purpose} ({about})", *lines]))
    return parts


def _lines(found: Recommendation, tolerance: float) -> list[str]:
    final, chosen = found.final, found.chosen
    on = "test" if found.tested else "held-out"
    lines = [
        found.trial.label,
        f"{final['images']:,} {on} images: {accuracy(final)}, the network "
        f"{100 * final['ann']['accuracy']:.1f} %: {distance(final)} points; {verdict(final, tolerance)}",
        f"latency {final['latency_steps']} steps, {grouped(final['spikes_per_image'])} spikes, "
        f"{grouped(final['synops_per_image'])} SynOps, {energy(final)} per image, {cores_in_words(final)}",
    ]
    if found.tested:
        lines.append(f"chosen on {chosen['images']:,} held-out images, where it had {distance(chosen)} points")
    if not chosen["chip"]["fits"]:
        lines.append(
            f"does not fit {chosen['chip']['name']}, as nothing for this purpose does: {chosen['chip']['errors'][0]}"
        )
    if found.command:
        lines.append(found.command)
    if found.gain is not None:
        train = f": {found.train}, then spikec advise with these weights" if found.train else ""
        lines.append(f"training can win back at most {100 * found.gain:.1f} points{train}")
    return lines


def _end(advice: Advice) -> str:
    lines = []
    if not any(_within(each, advice.tolerance) for each in advice.recommendations.values()):
        lines.append(f"No deployment was found within {100 * advice.tolerance:g} points of the network.")
    if advice.best is not None:
        lines.append(f"Without a purpose in mind: {advice.best.purpose}, {advice.best.trial.label}.")
    if any(row.why.startswith("not tried") for row in advice.rows):
        again = (
            f"the same command goes on from {advice.folder}" if advice.folder else "-o FOLDER keeps results to go on"
        )
        lines.append(f"Not everything was tried: {again}; a larger {option('budget')} tries more.")
    return "\n".join(lines)


def _within(found: Recommendation, tolerance: float) -> bool:
    return loss(found.final) <= tolerance
