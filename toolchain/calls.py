"""Calls with arguments that a function does not have: one sentence with the name that was probably meant."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Collection
from functools import wraps
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np

from spikec.arguments import switch
from spikec.errors import ArgumentError, ConversionError
from spikec.words import nearest

Called = TypeVar("Called", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)

#: Frames of these are not where a warning belongs: the package, and what wraps its functions.
_INSIDE = frozenset({__name__.partition(".")[0], "torch", "contextlib"})

#: Values of several values.
_MANY = (list, tuple, dict, set, frozenset, bytes, bytearray)
#: What is taken where a parameter is annotated so.
_PLAIN: dict[Any, list[str]] = {
    bool: ["True", "False"],
    str: ["text"],
    int: ["a whole number"],
    float: ["a number"],
    type(None): ["None"],
}

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
    does a switch that is neither on nor off, and an array or a list where a word or a number is asked for."""
    signature, name = inspect.signature(function), function.__name__

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        _check_values(name, function, signature, _check(name, signature, args, kwargs))
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


def _check_values(name: str, owner: Any, signature: inspect.Signature, given: dict[str, Any]) -> None:
    """Raise :class:`ArgumentError` for switches that are neither on nor off, and for what no comparison with a word
    survives: an array has no truth of its own, and a list is in no set."""
    for each, value in given.items():
        annotation = signature.parameters[each].annotation
        if annotation in (bool, "bool"):
            _on_or_off(name, each, value)
        elif isinstance(value, _MANY) or (hasattr(value, "__array__") and np.ndim(value) > 0):
            words = _words(annotation, vars(sys.modules[owner.__module__]), value)
            if words:
                *all_but, last = words
                takes = f"{', '.join(all_but)} or {last}" if all_but else last
                raise ArgumentError(f"{name}: {each} is {takes}, not {' '.join(repr(value).split()):.80}")


def _words(annotation: Any, names: dict[str, Any], value: Any) -> list[str]:
    """What a parameter for a word takes, as a sentence says it: ``True``, ``'totals'``, ``text``. Empty for other
    parameters, and where it may take ``value``."""
    try:
        meant = eval(annotation, names) if isinstance(annotation, str) else annotation
    except (NameError, AttributeError, TypeError):  # a type that is imported for type checkers alone
        return []
    kinds = get_args(meant) if get_origin(meant) in (Union, UnionType) else (meant,)
    if not any(kind in (str, bool) or get_origin(kind) is Literal for kind in kinds):
        return []
    found: list[str] = []
    for kind in kinds:
        if get_origin(kind) is Literal:
            found += map(repr, get_args(kind))
        elif kind in _PLAIN:
            found += _PLAIN[kind]
        elif not _is_class(kind) or issubclass(kind, os.PathLike) or isinstance(value, kind):
            return []  # paths have a sentence of their own
        else:
            found.append(f"a {kind.__name__}")
    return found


def _is_class(kind: Any) -> bool:
    """Whether ``isinstance`` can tell: neither ``Mapping[str, int]`` nor a protocol."""
    return isinstance(kind, type) and get_origin(kind) is None and not getattr(kind, "_is_protocol", kind is Any)


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
