"""Checks of the values of a grid file, which name the mistake and the nearest right name.

They import what they need when they are called, since a command line builds its options without torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from spikec.errors import ToolchainError
from spikec.words import unknown

if TYPE_CHECKING:
    from spikec.targets.told_apart import Sort

#: A check returns what is wrong with a value, or None.
Check = Callable[[Any], "str | None"]


#: Fewer numbers are a choice, of which a message names both ends.
_CHOICE = 100


def whole(low: int, high: int | None = None) -> Check:
    """A whole number of at least ``low`` and at most ``high``."""
    choice = high is not None and high - low < _CHOICE

    def check(value: Any) -> str | None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and low <= value and (high is None or value <= high):
            return None
        beyond = f"of at most {high}" if whole and value >= low else f"of at least {low}"
        reach = f"between {low} and {high}" if choice else beyond
        return f"must be a whole number {reach}, not {value!r}"

    return check


def choice(names: Callable[[], Iterable[str]], sort: Sort | None = None) -> Check:
    """One of ``names()``; where they are of a ``sort`` that has others beside it, the path of a .toml file as well."""

    def check(value: Any) -> str | None:
        if sort and isinstance(value, str) and value.endswith(".toml"):
            return None if os.path.isfile(value) else f"no file {value}"
        known = list(names())
        if isinstance(value, str):
            return None if value in known else _wrong(value, known, sort)
        return f"must be one of {', '.join(known)}, not {value!r}"

    return check


def _wrong(name: str, known: list[str], sort: Sort | None) -> str:
    if sort is None:
        return unknown(name, known)
    from spikec.targets.told_apart import wrong

    return wrong(name, sort)


def number(value: Any) -> str | None:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return None if real else f"must be a number, not {value!r}"


def positive(value: Any) -> str | None:
    return number(value) or (None if 0 < value < float("inf") else f"must be more than 0, not {value!r}")


def text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else f"must be a text, not {value!r}"


def file(value: Any) -> str | None:
    """The path of a file that exists."""
    if not isinstance(value, str) or not value:
        return f"must be the path of a file, not {value!r}"
    return None if os.path.isfile(value) else f"no file {value}"


def folder(value: Any) -> str | None:
    return None if isinstance(value, str) and os.path.isdir(value) else f"{value!r} is not a folder"


def model(value: Any) -> str | None:
    from spikec.models.resolving import other_file
    from spikec.models.zoo import REGISTRY

    if not isinstance(value, str) or not value:
        return f"must be the name of a network, not {value!r}"
    if value.endswith(".nir"):
        return f"{value} is a NIR file; a sweep takes trained networks"
    if value.endswith(".onnx"):
        return file(value)
    other = other_file(value)
    if other is not None:
        return other
    place, colon, _ = value.rpartition(":")
    if not colon:
        return None if value in REGISTRY else unknown(value, REGISTRY)
    return None if not place.endswith(".py") or os.path.isfile(place) else f"no file {place}"


def data(value: Any) -> str | None:
    from spikec.models.data import NAMES

    if not isinstance(value, str):
        return f"must be the name of a data set, not {value!r}"
    kind, _, path = value.partition(":")
    if kind in ("folder", "npz", "events"):
        return None if path else f"{value!r} names no path: write {kind}:PATH"
    return None if value in NAMES else unknown(value, (*NAMES, "folder:PATH", "npz:PATH", "events:PATH"))


def override(value: Any) -> str | None:
    if not isinstance(value, dict):
        return f"must be a table such as {{'classifier.*' = 6}}, not {value!r}"
    wrong = [pattern for pattern, bits in value.items() if whole(2, 8)(bits)]
    return f"bits of {', '.join(wrong)} must be whole numbers between 2 and 8" if wrong else None


def calibration(value: Any) -> str | None:
    """A text that :func:`spikec.conversion.calibration.choice.calibration_of` reads."""
    from spikec.conversion.calibration.choice import calibration_of

    try:
        calibration_of(value)
    except ToolchainError as error:
        return str(error)
    return None


def format(value: Any) -> str | None:
    from spikec.analysis.formats import format_names

    return choice(format_names, "number format")(value)


def energy(value: Any) -> str | None:
    from spikec.energy import profile_names

    if not isinstance(value, list):
        return f"must be a list of profiles, not {value!r}"
    found = [mistake for profile in value if (mistake := choice(profile_names, "energy profile")(profile))]
    return "; ".join(found) or None


def method_parts(value: Any) -> tuple[str, dict[str, Any]]:
    """Name and options of a method written ``"qcfs"`` or ``{name = "offset-spikes", rho = 8}``."""
    if isinstance(value, dict):
        options = dict(value)
        return str(options.pop("name", "")), options
    return str(value), {}


def method(value: Any) -> str | None:
    """A method, with options of its own that are right for at least one T."""
    from dataclasses import fields

    from spikec.conversion import methods

    if not isinstance(value, str | dict) or (isinstance(value, dict) and not isinstance(value.get("name"), str)):
        return f"must be a name or a table with a name and options, not {value!r}"
    name, options = method_parts(value)
    if name not in methods():
        return unknown(name, methods())
    known = {each.name for each in fields(methods()[name])} - {"timesteps", "schedule"}
    wrong = [unknown(option, sorted(known) or ["no option at all"]) for option in options if option not in known]
    if wrong:
        return f"{name}: {'; '.join(wrong)}"
    return _options_mistake(name, options)


def _options_mistake(name: str, options: dict[str, Any]) -> str | None:
    """What is wrong with options that fail for every T tried; each run reports what depends on its T or schedule."""
    from spikec.conversion import methods
    from spikec.conversion.methods.base import default_timesteps

    first = None
    for timesteps in (default_timesteps(methods()[name]), 1, 2, 4, 8, 16, 32):
        try:
            methods()[name](timesteps=timesteps, **options)
        except (ToolchainError, TypeError, ValueError) as error:
            first = first or f"{name}: {error}"
        else:
            return None
    return first
