"""Drops a last softmax or sigmoid: it changes no order over the classes, and a spiking network ends in its logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx

from spikec.frontend.recording import Recording, Ref, Step

#: These keep the order of the classes if they run over the classes.
_OVER_CLASSES = ("_softmax", "_log_softmax")
_SINGLE = ("sigmoid", "log_sigmoid_forward")
#: Grows too, but is undefined below zero: only behind one of the above.
_LOG = "log"
#: Operators that hand on what they are given.
_PASSING = ("clone", "detach", "alias", "contiguous", "dropout", "lift_fresh")

#: The key of a graph's ``meta`` that says what was dropped, where; absent where nothing was.
DROPPED = "dropped"


@dataclass(frozen=True)
class Dropped:
    """``said``: such as "log_softmax at net.py:12"; ``apply``: computes it on logits."""

    said: str
    apply: Callable[[Tensor], Tensor]


def drop_final(recording: Recording) -> list[Dropped]:
    """Take softmax, log_softmax and sigmoid off the end of a recording, in place; returns them, last one first.

    Only where no class overtakes another by it: a softmax over the classes of [N, classes] that nothing but the output
    reads. Everything else stays.
    """
    found: list[Dropped] = []
    pending: list[Dropped] = []
    makers = {number: step for step in recording.steps for number in step.results if number is not None}
    readers = _readers(recording)
    end = last = recording.output
    while isinstance(last, Ref) and readers.get(last.number, 0) + (last is end) <= 1 and last.number in makers:
        step = makers[last.number]
        if step.name == _LOG:
            pending.append(_dropped(step))
        elif _is_final(recording, step):
            found += [*pending, _dropped(step)]
            pending = []
            end = _input(step)
        elif step.name not in _PASSING:
            break
        last = _input(step)
        if last is not end and not isinstance(last, Ref):
            break
    recording.output = end
    return found


def _readers(recording: Recording) -> dict[int, int]:
    counts: dict[int, int] = {}
    for step in recording.live():
        for number in set(step.refs()):
            counts[number] = counts.get(number, 0) + 1
    return counts


def dropped(graph: fx.GraphModule) -> list[str]:
    """What :func:`drop_final` took off the network behind a canonical graph."""
    return list(graph.meta.get(DROPPED, []))


def _is_final(recording: Recording, step: Step) -> bool:
    (number, *_) = step.results
    if number is None or len(recording.shapes[number]) != 2:
        return False  # over an image it is no last layer: the network is refused for its shape
    return step.name in _SINGLE or (step.name in _OVER_CLASSES and step.arguments["dim"] in (1, -1))


def _input(step: Step) -> Any:
    return step.arguments["self"]


def _dropped(step: Step) -> Dropped:
    place = step.place
    own = place.leaf and place.kind is not None and place.kind.__module__.startswith("torch.nn")
    name = place.kind.__name__ if own and place.kind is not None else step.name.strip("_").removesuffix("_forward")
    rest = {key: value for key, value in step.arguments.items() if key != "self"}

    def apply(logits: Tensor) -> Tensor:
        result = step.function(logits.clone(), **rest)
        first: Tensor = result[0] if isinstance(result, tuple) else result
        return first

    return Dropped(f"{name} at {place.named(name)}", apply)


__all__ = ["DROPPED", "Dropped", "drop_final", "dropped"]
