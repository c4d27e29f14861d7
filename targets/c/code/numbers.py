"""The smallest C type for a range of integers, and integers as literals."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikec.errors import RangeError

#: C types from small to large: name, lowest and highest value. From 32 bits on, unsigned ones would only add traps: C
#: compares a negative number with one of them as if it were a large one.
_TYPES = (
    ("uint8_t", 0, 2**8 - 1),
    ("int8_t", -(2**7), 2**7 - 1),
    ("uint16_t", 0, 2**16 - 1),
    ("int16_t", -(2**15), 2**15 - 1),
    ("int32_t", -(2**31), 2**31 - 1),
    ("int64_t", -(2**63), 2**63 - 1),
)
_LIMITS = {name: (low, high) for name, low, high in _TYPES}


def holding(low: int, high: int, *, signed: bool = False) -> str:
    """The smallest type for numbers from ``low`` to ``high``; ``signed``: an unsigned one will not do. Raises
    ``RangeError`` beyond 64 bits."""
    for name, least, most in _TYPES:
        if least <= low and high <= most and not (signed and name.startswith("u")):
            return name
    raise RangeError(f"numbers from {low} to {high} do not fit 64 bits; use fewer steps or smaller weights")


def widest(*types: str) -> str:
    """The smallest signed type that holds all values of these types."""
    low, high = min(_LIMITS[each][0] for each in types), max(_LIMITS[each][1] for each in types)
    return holding(low, high, signed=True)


def size_of(ctype: str) -> int:
    """Bytes of a type."""
    return dtype_of(ctype).itemsize


def dtype_of(ctype: str) -> np.dtype[Any]:
    """The same type in numpy."""
    return np.dtype(ctype.removesuffix("_t"))


def literal(value: int, ctype: str = "int32_t") -> str:
    """An integer constant of (at least) a type. The lowest numbers have no literal of their own in C. On machines whose
    ``int`` has 16 bits, larger constants are ``long`` by themselves."""
    if ctype == "int64_t":
        return f"INT64_C({value})" if value > -(2**63) else "(-INT64_C(9223372036854775807) - 1)"
    return str(value) if value > -(2**31) else "(-2147483647 - 1)"
