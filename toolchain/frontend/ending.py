"""Finds a last softmax or sigmoid among the calls of a network: losses and spikes take logits."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from spikec.frontend.calls import Called
from spikec.frontend.sites import Site

#: These keep the order of the classes if they run over the classes.
_OVER_CLASSES = ("softmax", "log_softmax")
_OVER_CLASSES_LAYERS = (nn.Softmax, nn.LogSoftmax)
_SINGLE, _SINGLE_LAYERS = ("sigmoid", "logsigmoid", "log_sigmoid"), (nn.Sigmoid, nn.LogSigmoid)
#: What hands on what it is given.
_PASSING, _PASSING_LAYERS = ("dropout", "contiguous", "clone"), (nn.Identity, nn.Dropout)
#: Functions that a pass counts at their place, so that a call can be told.
COUNTED = (*_OVER_CLASSES, *_SINGLE, "log")


def ending(calls: list[Called], result: Any) -> tuple[list[str], dict[Site, set[int]]]:
    """What can be left out at the end of a network without a class overtaking another, last one first, such as
    ``"log_softmax at net.py:12"``; and where: numbers of calls among the :data:`COUNTED` functions at a place.

    That is a softmax over the classes of [N, classes], a sigmoid, or the logarithm of one, that nothing but the output
    reads.
    """
    found: list[int] = []
    pending: list[int] = []
    last, before, chain = result, len(calls), set[int]()
    while isinstance(last, Tensor) and last.ndim == 2:
        number = next((n for n in range(before - 1, -1, -1) if calls[n].gives(last)), None)
        if number is None or any(calls[n].reads(last) for n in range(number + 1, len(calls)) if n not in chain):
            break
        call = calls[number]
        if _is(call, ("log",), ()):
            pending.append(number)
        elif _is_final(call):
            found += [*pending, number]
            pending = []
        elif not _is(call, _PASSING, _PASSING_LAYERS):
            break
        chain.add(number)
        last, before = (call.inputs[0] if call.inputs else None), number
    dropped: dict[Site, set[int]] = {}
    for number in found:
        place = calls[number].site
        earlier = [c for c in calls[:number] if c.site == place and _is(c, COUNTED, _LAYERS)]
        dropped.setdefault(place, set()).add(len(earlier))
    return [_said(calls[number]) for number in found], dropped


_LAYERS = (*_OVER_CLASSES_LAYERS, *_SINGLE_LAYERS)


def _is(call: Called, functions: tuple[str, ...], layers: tuple[type[nn.Module], ...]) -> bool:
    if call.module is not None:
        return isinstance(call.module, layers)
    return call.function_name.rstrip("_") in functions


def _is_final(call: Called) -> bool:
    if _is(call, _SINGLE, _SINGLE_LAYERS):
        return True
    if not _is(call, _OVER_CLASSES, _OVER_CLASSES_LAYERS):
        return False
    if isinstance(call.module, nn.Softmax | nn.LogSoftmax):
        axis: Any = call.module.dim
    else:
        axis = call.args[1] if len(call.args) > 1 else call.kwargs.get("dim")
    return axis in (1, -1, None)  # without dim, torch takes the classes of [N, classes]


def _said(call: Called) -> str:
    name = type(call.module).__name__ if call.module is not None else call.function_name.strip("_")
    return f"{name} at {call.where}"
