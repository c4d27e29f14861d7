"""Checks numbers, switches and paths that users pass, from Python or numpy, and returns them as plain Python values."""

from __future__ import annotations

import math
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from spikec.errors import ArgumentError, ConversionError
from spikec.whole_files import no_path
from spikec.words import shown


def whole_number(name: str, value: Any, low: int, high: int | None = None) -> int:
    """``value`` as an int. Raises :class:`ConversionError` unless it is a whole number of at least ``low`` and at most
    ``high``."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        span = f"of at least {low}" if high is None else f"between {low} and {high}"
        raise ConversionError(f"{name} must be a whole number {span}, not {value!r}")
    return int(value)


def real_number(name: str, value: Any) -> float:
    """``value`` as a float. Raises :class:`ConversionError` unless it is a finite number, of Python or numpy."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ConversionError(f"{name} must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ConversionError(f"{name} must be finite, it is {value}")
    return number


def switch(name: str, value: Any) -> bool:
    """``value`` as a bool. Raises :class:`ConversionError` unless it is True, False, 1 or 0, of Python or numpy."""
    if not isinstance(value, int | np.integer | np.bool_) or value not in (0, 1):
        raise ConversionError(f"{name} is True or False, not {value!r:.80}")
    return bool(value)


def file_path(value: Any, what: str) -> Path:
    """The path that ``value`` names: text, or what :func:`os.fspath` takes for text. Raises :class:`ArgumentError`, in
    which ``what`` is named so, for bytes, numbers, open files, and text that can be no path (:func:`no_path`)."""
    try:
        path = Path(value)
    except TypeError as error:
        kind = type(value).__name__
        raise ArgumentError(f"{what} is named by its path, text or a pathlib.Path, not by {kind}") from error
    why = no_path(path)
    if why is not None:
        raise ArgumentError(f"{what} cannot be {shown(path)}: {why}")
    return path
