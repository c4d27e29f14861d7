"""Traces of parts of a set as the trace of the set: what is counted is added up in integers, so that it does not matter
how the set was cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from spikec.errors import DataError
from spikec.ir.input_statistics import joined as joined_codings
from spikec.simulation.trace import TargetSteps, Trace


def joined_all(traces: Iterable[Trace]) -> Trace:
    """The same for any number of traces that come one after the other, of which few are held at a time."""
    held: list[tuple[int, Trace]] = []  # what so many traces became; each fewer than the one before
    for trace in traces:
        number = 1
        while held and held[-1][0] == number:
            number, trace = 2 * number, joined([held.pop()[1], trace])
        held.append((number, trace))
    return joined([trace for _, trace in held])


def joined(traces: Sequence[Trace]) -> Trace:
    """The traces of images that follow each other as one. Raises :class:`DataError` for those of different graphs or
    runs, such as one with counts per image and one without."""
    if not traces:
        raise DataError("there are no traces to join")
    if len(traces) == 1:
        return traces[0]
    found = {each.name: _RULES[each.name](each.name, [getattr(t, each.name) for t in traces]) for each in fields(Trace)}
    return Trace(**found)


def _by_key(rule: Callable[[list[Any]], Any]) -> Callable[[str, list[Any]], Any]:
    """``rule`` for the values of each key, which all must have."""

    def apply(name: str, each: list[Any]) -> Any:
        if any(one.keys() != each[0].keys() for one in each):
            raise DataError(f"traces hold different {name}: they are not of one graph and one run")
        return {key: rule([one[key] for one in each]) for key in each[0]}

    return apply


def _where_known(rule: Callable[[list[Any]], Any]) -> Callable[[str, list[Any]], Any]:
    """``rule`` where all have a value, None where none has."""

    def apply(name: str, each: list[Any]) -> Any:
        if all(one is None for one in each):
            return None
        if any(one is None for one in each):
            raise DataError(f"only some of the traces hold {name}: they are not of one run")
        return rule(each)

    return apply


def _same(name: str, each: list[Any]) -> Any:
    if any(one != each[0] for one in each):
        raise DataError(f"traces of different {name} ({each[0]}): they are not of one graph and one run")
    return each[0]


def _added(each: list[Any]) -> Any:
    """Sums in the type of the parts; counts of a set that leave it are refused, not wrapped."""
    if not isinstance(each[0], np.ndarray):
        return sum(each)
    total = np.zeros(each[0].shape, np.int64)
    for part in each:
        total += part
    if total.size and total.max() > np.iinfo(each[0].dtype).max:
        raise DataError(f"a sum over the images reaches {total.max()}, beyond {each[0].dtype}; run fewer images")
    return total.astype(each[0].dtype)


def _span(each: list[Any]) -> tuple[int, int]:
    return min(low for low, _ in each), max(high for _, high in each)


def _spans(_: str, each: list[Any]) -> Any:
    """Lowest and highest number of each layer, where it was watched in some part."""
    keys = dict.fromkeys(key for one in each for key in one)
    return {key: _span([one[key] for one in each if key in one]) for key in keys}


def _first(_: str, each: list[Any]) -> Any:
    """The earliest of each layer."""
    return {key: value for one in reversed(each) for key, value in one.items()}


def _steps(each: list[TargetSteps]) -> TargetSteps:
    steps, seconds = sum(one.steps for one in each), sum(one.seconds for one in each)
    return TargetSteps(each[-1].processes, steps, seconds, each[-1].latency)


#: What becomes of each field of a trace; a field without a rule raises.
_RULES: dict[str, Callable[[str, list[Any]], Any]] = {
    **dict.fromkeys(("outputs", "counts", "events", "spikes", "membranes", "output_curves"), _by_key(np.concatenate)),
    **dict.fromkeys(("image_events", "image_synops", "image_synops_nonzero"), _by_key(np.concatenate)),
    **dict.fromkeys(("pooled_events", "count_totals", "event_totals", "overflows"), _by_key(_added)),
    **dict.fromkeys(("scales", "timesteps", "extra_steps", "target"), _same),
    **dict.fromkeys(("membrane", "accumulator"), _spans),
    "first_overflow": _first,
    "steps": _where_known(np.concatenate),
    "input_events": _where_known(_added),
    "target_steps": _where_known(_steps),
    "coding": _where_known(joined_codings),
    "info": lambda _, each: each[-1],
    "seconds": lambda _, each: sum(each),
}

__all__ = ["joined", "joined_all"]
