"""The kind of a population from the metadata of its node."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikec.errors import GraphError
from spikec.ir.integers import held_once
from spikec.ir.kinds.base import Kind
from spikec.ir.kinds.registering import kind_named
from spikec.ir.metadata import int_of, shown, text_of
from spikec.ir.types import Int64, Shape


def full(value: Any, shape: Shape) -> Int64:
    """Whole numbers as int64 of ``shape``, from one number or from one for every neuron; not to be written to, since
    numbers that repeat are held once (:func:`spikec.ir.integers.held_once`). Raises ``GraphError`` for others."""
    given = np.asarray(value)
    found = held_once(np.broadcast_to(given, shape))
    few = found[tuple(slice(None) if stride else slice(1) for stride in found.strides)]
    if few.dtype.kind not in "biu" and not (np.isfinite(few).all() and (few == np.rint(few)).all()):
        raise GraphError(f"numbers of neurons must be whole, not {shown(given)}")
    return np.broadcast_to(few.astype(np.int64), shape)


def kind_of(metadata: dict[str, Any], shape: Shape) -> Kind:
    """The kind that the metadata of a population of ``shape`` names, with its fields. Raises ``GraphError``."""
    cls = kind_named(text_of(metadata, "kind"))
    values: dict[str, Any] = {}
    for name, about in cls.stored_fields().items():
        if about.per == "neuron":
            values[name] = full(metadata.get(about.key, about.default), shape)
        else:
            values[name] = int_of(metadata, about.key, 0 if about.default is None else about.default)
    return cls(**values)
