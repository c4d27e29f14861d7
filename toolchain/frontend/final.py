"""Drops a last softmax or sigmoid: it changes no order over the classes, and a spiking network ends in its logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx

from spikec.frontend.outputs import named_outputs
from spikec.frontend.recording import Recording, Ref, Step
from spikec.ir.metadata import OUTPUT

#: These keep the order of the classes if they run over the classes.
_OVER_CLASSES = ("_softmax", "_log_softmax")
_SINGLE = ("sigmoid", "log_sigmoid_forward")
#: Grows too, but is undefined below zero: only behind one of the above.
_LOG = "log"
#: Operators that hand on what they are given.
_PASSING = ("clone", "detach", "alias", "contiguous", "dropout", "lift_fresh")

#: The key of a graph's ``meta`` that says what was dropped, where, by output; absent where nothing was.
DROPPED = "dropped"


@dataclass(frozen=True)
class Dropped:
    """``said``: such as "log_softmax at net.py:12"; ``apply``: computes it on logits; ``output``: name of the output at
    whose end it stood, None where there is one."""

    said: str
    apply: Callable[[Tensor], Tensor]
    output: str | None


def drop_final(recording: Recording) -> list[Dropped]:
    """Take softmax, log_softmax and sigmoid off the ends of a recording, in place; returns them, last one first.

    Only where no class overtakes another by it: a softmax over the classes of [N, classes] or [N, classes, H, W] that
    nothing but the output reads. Everything else stays.
    """
    makers = {number: step for step in recording.steps for number in step.results if number is not None}
    readers = _readers(recording)
    named = named_outputs(recording.output)
    if named is None:
        recording.output, found = _dropped_from(recording, recording.output, None, makers, readers)
        return found
    found = []
    for name, end in named.items():
        named[name], own = _dropped_from(recording, end, name, makers, readers)
        found += own
    recording.output = named
    return found


def _dropped_from(
    recording: Recording, end: Any, output: str | None, makers: Mapping[int, Step], readers: Mapping[int, int]
) -> tuple[Any, list[Dropped]]:
    """What an output returns without its last operators, and these."""
    found: list[Dropped] = []
    pending: list[Dropped] = []
    first = last = end
    while isinstance(last, Ref) and readers.get(last.number, 0) + (last is first) <= 1 and last.number in makers:
        step = makers[last.number]
        if step.name == _LOG:
            pending.append(_dropped(step, output))
        elif _is_final(recording, step):
            found += [*pending, _dropped(step, output)]
            pending = []
            end = _input(step)
        elif step.name not in _PASSING:
            break
        last = _input(step)
    return end, found


def _readers(recording: Recording) -> dict[int, int]:
    counts: dict[int, int] = {}
    for step in recording.live():
        for number in set(step.refs()):
            counts[number] = counts.get(number, 0) + 1
    return counts


def keep_dropped(graph: fx.GraphModule, found: list[Dropped]) -> None:
    """Note in a canonical graph what :func:`drop_final` took off the network behind it."""
    said: dict[str, list[str]] = {}
    for each in found:
        said.setdefault(each.output or OUTPUT, []).append(each.said)
    if said:
        graph.meta[DROPPED] = said


def dropped_by_output(graph: fx.GraphModule) -> dict[str, list[str]]:
    """What :func:`drop_final` took off the network behind a canonical graph, by the name of the output."""
    return dict(graph.meta.get(DROPPED, {}))


def dropped(graph: fx.GraphModule) -> list[str]:
    """The same of all outputs."""
    return [said for each in dropped_by_output(graph).values() for said in each]


def _is_final(recording: Recording, step: Step) -> bool:
    (number, *_) = step.results
    rank = 0 if number is None else len(recording.shapes[number])
    if rank < 2:
        return False
    return step.name in _SINGLE or (step.name in _OVER_CLASSES and step.arguments["dim"] in (1, 1 - rank))


def _input(step: Step) -> Any:
    return step.arguments["self"]


def _dropped(step: Step, output: str | None) -> Dropped:
    place = step.place
    own = place.leaf and place.kind is not None and place.kind.__module__.startswith("torch.nn")
    name = place.kind.__name__ if own and place.kind is not None else step.name.strip("_").removesuffix("_forward")
    rest = {key: value for key, value in step.arguments.items() if key != "self"}

    def apply(logits: Tensor) -> Tensor:
        result = step.function(logits.clone(), **rest)
        first: Tensor = result[0] if isinstance(result, tuple) else result
        return first

    return Dropped(f"{name} at {place.named(name)}", apply, output)


__all__ = ["DROPPED", "Dropped", "drop_final", "dropped", "dropped_by_output", "keep_dropped"]
