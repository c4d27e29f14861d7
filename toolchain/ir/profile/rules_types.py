"""Rule of the profile about what a field of a node is: numbers, a word or a table of shapes. The other rules compute
with these; what they take of the metadata they look at themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nir
import numpy as np

from spikec.ir.metadata import shown

#: Fields of NIR nodes that are no numbers.
_TABLES, _OTHER = {"input_type": "input", "output_type": "output"}, {"metadata", "nodes", "edges"}
#: Fields that are one number.
_SINGLE = {"start_dim", "end_dim"}
#: Where NIR takes a word (``same``), and where a file may say nothing.
_WORDS, _OPEN = {"padding"}, {"input_shape"}
#: Kinds of numpy's types that are whole or real numbers, and truth values.
_REAL = "biuf"


def types(graph: nir.NIRGraph) -> Iterator[tuple[str, str]]:
    """Every field of a node holds real numbers; types of inputs and outputs are tables of shapes."""
    if not isinstance(graph.nodes, dict):
        yield "", f"nodes must be a dictionary, not {shown(graph.nodes)}"
        return
    for name, node in graph.nodes.items():
        if not isinstance(name, str) or not isinstance(node, nir.NIRNode):
            yield str(name), f"a node must be one of nir under a name, not {shown(node)} under {shown(name)}"
            continue
        for field, value in vars(node).items():
            if field in _TABLES:
                if not isinstance(value, dict) or not all(each is None or _real(each) for each in value.values()):
                    yield name, f"{field} must be a dictionary of shapes, not {shown(value)}"
                elif _TABLES[field] not in value and not isinstance(node, nir.NIRGraph):
                    yield name, f"{field} must be a dictionary of shapes with the key {_TABLES[field]!r}"
            elif field in _OTHER or (field in _WORDS and isinstance(value, str)) or (field in _OPEN and value is None):
                continue
            elif not _real(value) or (field in _SINGLE and np.size(value) != 1):
                yield name, f"{field} must hold {'one number' if field in _SINGLE else 'numbers'}, not {shown(value)}"


def _real(value: Any) -> bool:
    try:
        return np.asarray(value).dtype.kind in _REAL
    except ValueError:  # lists of different lengths
        return False
