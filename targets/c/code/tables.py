"""Constant arrays: as narrow as their numbers allow, one number where all are equal, one per channel where that is
enough."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.ir.types import Int64, Shape
from spikec.targets.c.code.layout import channels, order_of
from spikec.targets.c.code.numbers import holding, literal, size_of
from spikec.targets.c.code.text import Text

_PER_LINE = 24


@dataclass(frozen=True)
class Table:
    """One number for each neuron of a layer. ``at``: C text of the number at place ``n`` and channel ``c``, names that
    loops of this code use; ``low`` and ``high`` of all; ``by``: ``all``, ``channel`` or ``neuron``."""

    at: str
    low: int
    high: int
    by: str


class Tables:
    """Writes the constant arrays of one file; ``sizes``: their bytes, by name. In C they are called ``NAME_k_...``,
    which no function is."""

    def __init__(self, prefix: str) -> None:
        self.text = Text()
        self.sizes: dict[str, int] = {}
        self._prefix = prefix

    def array(self, name: str, values: npt.NDArray[np.integer[Any]], about: str, *, ctype: str = "") -> tuple[str, str]:
        """Write an array; its C name and type."""
        low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
        ctype = ctype or holding(low, high)
        name = unused(name, self.sizes)
        full = f"{self._prefix}_k_{name}"
        self.text.comment(about)
        self.text.verbatim(f"static const {ctype} {full}[{max(values.size, 1)}] = {{\n{_listed(values, ctype)}\n}};\n")
        self.sizes[name] = max(values.size, 1) * size_of(ctype)
        return full, ctype

    def table(self, name: str, values: Int64, shape: Shape, about: str) -> Table:
        """Numbers [*shape] of a layer."""
        low, high = int(values.min()), int(values.max())
        if low == high:
            return Table(literal(low, holding(low, high)), low, high, "all")
        positions, count = channels(shape)
        order = order_of(shape)
        placed = (values.reshape(-1) if order is None else values.reshape(-1)[order]).reshape(positions, count)
        if positions > 1 and (placed == placed[0]).all():
            full, _ = self.array(name, placed[0], about)
            return Table(f"{full}[c]", low, high, "channel")
        full, _ = self.array(name, placed.reshape(-1), about)
        return Table(f"{full}[n]", low, high, "neuron")


def unused(name: str, taken: Container[str]) -> str:
    """A name that is not taken: this one, or with a number."""
    number, chosen = 1, name
    while chosen in taken:
        number += 1
        chosen = f"{name}_{number}"
    return chosen


def _listed(values: npt.NDArray[np.integer[Any]], ctype: str) -> str:
    """The numbers of an array as text, some a line."""
    flat = values.reshape(-1)
    if not flat.size:
        return "    0"
    if flat.min() >= -128 and flat.max() < 256:  # as weights are: looked up, not formatted
        words = _BYTES[flat.astype(np.int64) + 128].tolist()
    else:
        words = [literal(int(value), ctype) for value in flat]
    return ",\n".join("    " + ", ".join(words[start : start + _PER_LINE]) for start in range(0, len(words), _PER_LINE))


_BYTES = np.array([str(value) for value in range(-128, 256)], dtype=object)
