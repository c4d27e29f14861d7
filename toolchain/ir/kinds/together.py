"""Checks of kinds against the network they are in, and against each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from numbers import Integral
from typing import Any

from spikec.ir.kinds.base import Kind
from spikec.ir.kinds.registering import kinds
from spikec.ir.timing import Timing
from spikec.ir.types import TIMESTEPS_MAX, Schedule


def settings_problems(found: Collection[type[Kind]], schedule: Schedule, timesteps: int, drain: int) -> Iterator[str]:
    """Why kinds cannot have this schedule, T or drain, or cannot be mixed; one sentence each."""
    by_name = {kind.name: kind for kind in sorted(found, key=lambda kind: kind.name)}
    for name, kind in by_name.items():
        if schedule not in kind.schedules:
            allowed = " or ".join(repr(each) for each in kind.schedules)
            yield f"kind {name!r} needs the schedule {allowed}"
        if kind.alone and len(by_name) > 1:
            yield f"kind {name!r} cannot be mixed with {', '.join(sorted(set(by_name) - {name}))}"
        low, high = kind.timesteps
        if 1 <= timesteps <= TIMESTEPS_MAX and not low <= timesteps <= high:
            span = "one step" if high == 1 else f"{low} to {high} steps"
            yield f"kind {name!r} runs in {span}, timesteps is {timesteps}"
    if drain and (schedule != "pipelined" or not all(kind.drains for kind in by_name.values())):
        draining = " or ".join(name for name, kind in kinds().items() if kind.drains)
        yield f"drain needs the schedule 'pipelined' and {draining} neurons throughout"


def facts_problems(found: Iterable[Kind], timing: Timing) -> Iterator[str]:
    """Facts of kinds that are impossible, or that do not go together in one network; one sentence each."""
    codes: dict[tuple[object, ...], str] = {}
    for kind in found:
        name = kind.name
        low, high = kind.emission
        if not (_whole(low, high) and low <= 0 < high):
            yield f"kind {name!r} emits {low} to {high}: emissions are whole numbers, from 0 or less to 1 or more"
            return
        values = tuple(kind.place_value(step, timing.timesteps) for step in range(min(timing.timesteps, 64)))
        if not (_whole(*values) and min(values) > 0):
            yield f"kind {name!r} has emissions worth {list(values)}: place values are whole numbers of at least 1"
            return
        if len(set(values)) > 1 and not kind.constant_once:
            yield f"kind {name!r} has place values that differ between steps, so it must set constant_once"
        if kind.rehearsal and timing.schedule == "layerwise":
            yield f"kind {name!r} needs a rehearsal, which the schedule 'layerwise' does not run"
        codes.setdefault((values, kind.constant_once), name)
    if len(codes) > 1:
        yield f"kinds {' and '.join(repr(name) for name in codes.values())} code numbers differently"


def sequence_problems(found: Iterable[Kind], schedule: Schedule, drain: int) -> Iterator[str]:
    """Why kinds cannot run on a sequence, one frame for each step; one sentence each."""
    if schedule != "pipelined":
        yield f"input 'sequence' needs the schedule 'pipelined': with {schedule!r} a layer waits for the last frame"
    if drain:
        yield "input 'sequence' has nothing to drain: after its last frame a sequence is over; leave out drain"
    for name in sorted({kind.name for kind in found if kind.rehearsal}):
        yield f"kind {name!r} runs twice over the same input, which a sequence of frames does not offer"


def _whole(*values: Any) -> bool:
    """Whether all are whole numbers, of Python or numpy."""
    return all(isinstance(value, Integral) for value in values)
