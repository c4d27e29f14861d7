"""The kind of a population from the metadata of its node."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikec.errors import GraphError
from spikec.ir.kinds.base import Kind
from spikec.ir.kinds.registering import kind_named
from spikec.ir.metadata import int_of, shown, text_of
from spikec.ir.types import Int64, Shape


def full(value: Any, shape: Shape) -> Int64:
    """Whole numbers as int64 of ``shape``, from one number or from one for every neuron. Raises ``GraphError`` for
    others."""
    found = np.asarray(value)
    if found.dtype.kind not in "biu" and not (np.isfinite(found).all() and (found == np.rint(found)).all()):
        raise GraphError(f"numbers of neurons must be whole, not {shown(found)}")
    return np.broadcast_to(found.astype(np.int64), shape).copy()


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
