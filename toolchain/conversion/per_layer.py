"""A field of a method that may differ by layer: one whole number, or one for each pattern of layer names.

Its text ``"features.*=7,classifier.*=3"`` is what files, the command line and a method hold. A pattern (``fnmatch``)
matches the name of the layer that has the weights or of the neurons they lead into, as for ``Int8(overrides=...)``; the
last match wins, and a layer without one has the field's default.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from spikec.arguments import whole_number
from spikec.errors import ConversionError

#: What may be given: a number, numbers by pattern, or their text.
PerLayer: TypeAlias = "int | str | Mapping[str, int]"

#: What separates the parts of the text, which patterns cannot hold.
_SEPARATORS = ",="


def per_layer(name: str, value: Any, low: int, high: int) -> int | str:
    """``value`` as a number or as text. Raises :class:`ConversionError`, its text starting with ``name``."""
    if isinstance(value, str):
        value = _parsed(name, value)
    if not isinstance(value, Mapping):
        return whole_number(name, value, low, high)
    if not value:
        raise ConversionError(f"{name} names no layer: give a number, or numbers by layer such as {{'*': 3}}")
    for pattern in value:
        if not isinstance(pattern, str) or not pattern or any(mark in pattern for mark in _SEPARATORS):
            raise ConversionError(f"{name}: {pattern!r} is no pattern of layer names (without ',' and '=')")
    return text_of({pattern: whole_number(f"{name} of {pattern}", x, low, high) for pattern, x in value.items()})


def text_of(numbers: Mapping[str, int]) -> str:
    """The text of numbers by pattern."""
    return ",".join(f"{pattern}={number}" for pattern, number in numbers.items())


def number_for(value: int | str, names: Iterable[str], default: int) -> int:
    """The number for the layer with these ``names``; ``value`` as :func:`per_layer` returns it."""
    if isinstance(value, int):
        return value
    known = list(names)
    found = [number for pattern, number in _numbers(value).items() if fnmatch.filter(known, pattern)]
    return found[-1] if found else default


def one_number(value: PerLayer) -> int:
    """``value``, where it is the same for every layer. Raises :class:`ConversionError` where it is not."""
    if not isinstance(value, int):
        raise ConversionError(f"{value!r} differs by layer: take ``method.at(names)`` of the layer first")
    return value


def unmatched(value: int | str, names: Iterable[str]) -> list[str]:
    """Patterns that match none of the ``names``."""
    known = list(names)
    patterns = [] if isinstance(value, int) else _numbers(value)
    return [pattern for pattern in patterns if not fnmatch.filter(known, pattern)]


def _numbers(text: str) -> dict[str, int]:
    parts = (part.rpartition("=") for part in text.split(","))
    return {pattern: int(number) for pattern, _, number in parts}


def _parsed(name: str, text: str) -> dict[str, int]:
    found = {}
    for part in text.split(","):
        pattern, equals, number = (word.strip() for word in part.rpartition("="))
        if not equals or not pattern or not number.isdecimal():
            raise ConversionError(
                f"{name} must be a whole number, or numbers by layer such as 'features.*=7,classifier.*=3', "
                f"not {text!r}"
            )
        found[pattern] = int(number)
    return found
