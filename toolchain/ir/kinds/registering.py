"""The registry of kinds, and the checks a class must pass to be registered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TypeVar

from spikec.errors import GraphError
from spikec.installed import entry_points
from spikec.ir.kinds.base import FACTS, METHODS, Kind

#: Kinds by name, filled by :func:`register`; see :func:`kinds`.
_KINDS: dict[str, type[Kind]] = {}
K = TypeVar("K", bound="type[Kind]")

#: What a kind cannot use: the readout's name in files, and the keys and fields that every population has anyway.
_RESERVED_NAMES = ("integrator",)
_RESERVED_KEYS = ("kind", "reset", "scale", "spike_cmp", "v_init_int", "v_threshold_int")
_RESERVED_FIELDS = ("kind", "name", "neuron", "scale", "shape", "sources", "theta", "v_init")


def register(cls: K) -> K:
    """Class decorator: makes a kind known by its name.

    Kinds of other packages are found through entry points in the group ``spikec.kinds``, whose values are decorated
    classes. Raises ``TypeError`` for a class that does not state all facts, or whose facts are impossible.
    """
    mistakes = list(_mistakes(cls))
    if mistakes:
        raise TypeError(f"the neuron kind {cls.__name__} {'; it '.join(mistakes)}")
    _KINDS[cls.name] = cls
    return cls


def _mistakes(cls: type[Kind]) -> Iterator[str]:
    missing = [name for name in FACTS if not hasattr(cls, name)]
    missing += [name for name in METHODS if getattr(cls, name) is getattr(Kind, name)]
    if missing:
        yield f"does not state {', '.join(missing)}"
        return
    if not is_dataclass(cls) or "__dataclass_fields__" not in vars(cls):
        yield "is no dataclass of its own"
        return
    if not re.fullmatch(r"[a-z][a-z0-9_]*", cls.name) or cls.name in _RESERVED_NAMES:
        yield f"cannot be called {cls.name!r}: a name is made of small letters, digits and '_'"
    held = _KINDS.get(cls.name)
    if held is not None and (held.__module__, held.__qualname__) != (cls.__module__, cls.__qualname__):
        yield f"takes the name of {held.__module__}.{held.__qualname__}"
    stored = cls.stored_fields()
    forgotten = [each.name for each in fields(cls) if each.name not in stored]
    if forgotten:
        yield f"has fields that files would not hold: declare {', '.join(forgotten)} with stored(...)"
    taken = [about.key for about in stored.values() if about.key in _RESERVED_KEYS]
    taken += [name for name in stored if name in _RESERVED_FIELDS]
    if taken:
        yield f"stores {', '.join(taken)}, which the profile keeps for itself"
    if cls.constant_once and "pipelined" in cls.schedules:
        yield "takes its constant input once, so it cannot run pipelined"
    if cls.one_number and "pipelined" in cls.schedules:
        yield "writes one number in all its steps, so it cannot run pipelined"


def forget(cls: type[Kind]) -> None:
    """Undo :func:`register`."""
    _KINDS.pop(cls.name, None)


@cache
def _load_packages() -> None:
    for entry in entry_points(group="spikec.kinds"):
        entry.load()  # importing it registers it


def kinds() -> dict[str, type[Kind]]:
    """All kinds by name, those of installed packages included."""
    _load_packages()
    return dict(_KINDS)


def kind_named(name: str) -> type[Kind]:
    """The kind called ``name``. Raises :class:`GraphError` for an unknown one."""
    found = _KINDS.get(name) or kinds().get(name)
    if found is None:
        raise GraphError(f"neuron kind {name!r} is none of {', '.join(kinds())}")
    return found
