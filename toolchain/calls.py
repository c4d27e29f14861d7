"""Calls with arguments that a function does not have: one sentence with the name that was probably meant."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, TypeVar

from spikec.arguments import switch
from spikec.errors import ArgumentError, ConversionError
from spikec.words import nearest

Called = TypeVar("Called", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)

#: Frames of these are not where a warning belongs: the package, and what wraps its functions.
_INSIDE = frozenset({__name__.partition(".")[0], "torch", "contextlib"})

#: What the field and other packages call an argument of ours.
_ALSO = {
    "t": "timesteps",
    "steps": "timesteps",
    "num_steps": "timesteps",
    "time_steps": "timesteps",
    "l": "levels",
    "k": "spikes",
    "n": "limit",
    "bit": "bits",
    "num_bits": "bits",
    "nbits": "bits",
    "weight_bits": "bits",
    "mode": "schedule",
    "chip": "target",
    "x": "images",
    "data": "images",
    "inputs": "images",
    "examples": "example",
}
#: Where it belongs, for functions that have no such argument. Targets get a network whose method is settled.
_ELSEWHERE = {
    "timesteps": "timesteps belong to the method, such as tc.QCFS(timesteps=4)",
    "schedule": "the schedule belongs to the method, such as tc.QCFS(timesteps=4, schedule='layerwise')",
    "bits": "bits belong to the precision, such as tc.Int8(bits=4)",
    "per": "per belongs to the precision, such as tc.Int8(per='channel')",
    "limit": "give fewer images, such as images[:10]",
}


def named_arguments(function: Called) -> Called:
    """Decorator: a call that Python would answer with ``TypeError`` raises :class:`ArgumentError`, which is one too; so
    does a switch that is neither on nor off."""
    signature, name = inspect.signature(function), function.__name__
    switches = [each for each, about in signature.parameters.items() if about.annotation in (bool, "bool")]

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = _check(name, signature, args, kwargs)
        for each in switches:
            if each in given:
                _on_or_off(name, each, given[each])
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]


def named_fields(cls: Class) -> Class:
    """The same for calls of a class."""
    begin, name = cls.__init__, cls.__name__  # type: ignore[misc]
    signature = inspect.signature(begin)

    @wraps(begin)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        _check(name, signature, (self, *args), kwargs)
        begin(self, *args, **kwargs)

    setattr(cls, "__init__", checked)  # noqa: B010
    return cls


def check_call(name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Raise :class:`ArgumentError` where ``function``, which users know as ``name``, does not take these arguments."""
    _check(name, inspect.signature(function), args, kwargs)


def outside() -> int:
    """The ``stacklevel`` of a warning for the line that called the package, however deep it is given: the number of the
    nearest frame that is not of this package nor of a decorator of torch, from the function that asks on."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    return level


def _check(name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """What each parameter gets, those left out aside."""
    try:
        return signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise ArgumentError(_sentence(name, signature, kwargs, str(error))) from None


def _on_or_off(function: str, name: str, value: Any) -> None:
    try:
        switch(name, value)
    except ConversionError as error:
        raise ArgumentError(f"{function}: {error}") from None


def _sentence(name: str, signature: inspect.Signature, kwargs: dict[str, Any], otherwise: str) -> str:
    takes = [p.name for p in signature.parameters.values() if p.name != "self"]
    unknown = [each for each in kwargs if each not in takes]
    listed = f"{name} takes {', '.join(takes) or 'none'}"
    if unknown:
        return f"{name} has no argument {unknown[0]!r}: {meant(unknown[0], takes)}; {listed}"
    return f"{name}: {otherwise}; {listed}"


def meant(name: str, takes: Collection[str]) -> str:
    """The argument that ``name`` probably means, or where it belongs, as the middle of a sentence."""
    usual = _ALSO.get(name.lower(), name.lower())
    if usual in takes:
        return f"did you mean {usual!r}?"
    begins = next((each for each in takes if len(name) > 1 and each.startswith(name.lower())), None)
    close = begins or nearest(name.lower(), takes)
    if close is not None:
        return f"did you mean {close!r}?"
    return _ELSEWHERE.get(usual, "there is none like it")
