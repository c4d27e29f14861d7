"""The identity of a deployment: a hash over everything that changes what it computes, and over nothing else.

What counts is found, not listed: every field of every node, save its name and those marked :data:`FOR_PEOPLE`. A field
that has its default is left out, so that one that is added later changes no identity of before.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import MissingImplementation
from spikec.ir.delays import Steps
from spikec.ir.kinds import Kind
from spikec.ir.operations import Operation, Synapse

#: Metadata of a field of a node that only reports read.
FOR_PEOPLE: Mapping[str, Any] = MappingProxyType({"for_people": True})

_VERSION = "spikec deployment 1"
#: Of every node: what it is called, and what feeds it, which the hash takes as edges.
_NAMES = ("name", "sources")
_CHUNK = 2**20  # numbers widened at once: weights may be stored narrow


def identity(
    nodes: Sequence[Any],
    late: Mapping[str, tuple[str, Steps]],
    outputs: Sequence[str],
    settings: Mapping[str, str | int],
) -> str:
    """SHA-256 in hexadecimal digits.

    ``nodes``: dataclasses with a name, in topological order. ``late``: what was sent some steps before, as a source:
    the node that sent it, and how many steps. ``outputs``: names of nodes whose order counts; ``settings``: of the
    graph.

    A node is its fields and the nodes that feed it, in any order, since their sum enters; so names and the order of
    branches do not count, and nodes that are alike count as often as there are. Where nodes feed themselves, hashes are
    computed again from those before until no more nodes differ.
    """
    own = {node.name: _digest(_node_parts(node)) for node in nodes}
    found = dict.fromkeys(own, b"")
    apart = 0
    while True:
        before, found = found, {}
        for node in nodes:
            feeding = (
                _digest(_parts([0, found[source]])) if source not in late else _late(late[source], before)
                for source in node.sources
            )
            found[node.name] = _digest([own[node.name], *sorted(feeding)])
        if not late or len(set(found.values())) == apart:
            break
        apart = len(set(found.values()))
    told = [*sorted(settings.items()), sorted(found.values()), [found[name] for name in outputs]]
    return _digest(_parts([_VERSION, *told])).hex()


def _late(sent: tuple[str, Steps], before: Mapping[str, bytes]) -> bytes:
    of, steps = sent
    return _digest(_parts([steps, before[of]]))


def _node_parts(node: Any) -> Iterator[bytes]:
    """What a node is and what it holds. Arrays of neurons have the shape of the neurons."""
    if isinstance(node, Operation):
        yield f"{node.nir_node.__name__} {node.variant}".encode()
        yield from _field_parts(node.bare(), None)
    else:
        yield type(node).__name__.encode()
        yield from _field_parts(node, node.shape)


def _field_parts(holder: Any, shape: tuple[int, ...] | None) -> Iterator[bytes]:
    for each in fields(holder):
        kept = isinstance(holder, Synapse) and each.name == "weight"
        value = holder.narrow_weight if kept else getattr(holder, each.name)
        if each.name not in _NAMES and not each.metadata.get("for_people") and not _is_default(each, value):
            yield each.name.encode()
            yield from _value_parts(value, shape)


def _is_default(each: Field[Any], value: Any) -> bool:
    default = each.default
    value = value.item() if isinstance(value, np.generic) else value
    return default is not MISSING and type(value) is type(default) and bool(value == default)


def _value_parts(value: Any, shape: tuple[int, ...] | None) -> Iterator[bytes]:
    if isinstance(value, Kind):
        yield from _kind_parts(value, shape)
    elif is_dataclass(value):
        yield from _field_parts(value, shape)
    elif isinstance(value, np.ndarray) and shape is not None:
        yield from _array_parts(np.broadcast_to(value, shape))
    else:
        yield from _parts([value])


def _kind_parts(kind: Kind, shape: tuple[int, ...] | None) -> Iterator[bytes]:
    """The name of a kind and its fields. One number for every neuron may be missing, or be given once for all. A kind
    within a kind, that of the neurons before a max pool, follows from the graph."""
    yield kind.name.encode()
    known = kind.stored_fields()
    for each in fields(kind):
        value, about = getattr(kind, each.name), known.get(each.name)
        if about is not None and about.per == "neuron":
            value = np.broadcast_to(np.asarray(about.default if value is None else value), shape or ())
            if about.default is not None and bool((value == about.default).all()):
                continue
        elif isinstance(value, Kind) or (about is not None and value == about.default):
            continue
        yield each.name.encode()
        yield from _value_parts(value, shape)


def _parts(values: Iterable[Any]) -> Iterator[bytes]:
    """Texts, numbers, arrays, hashes and lists of them as bytes that no other value has."""
    for value in values:
        match value:
            case bytes():
                yield value
            case str():
                yield b"s" + value.encode()
            case bool() | int() | np.integer() | np.bool_():
                yield b"i%d" % int(value)
            case float() | np.floating():
                yield b"f" + struct.pack("<d", float(value))
            case None:
                yield b"n"
            case np.ndarray():
                yield from _array_parts(value)
            case list() | tuple():
                yield b"[%d" % len(value)
                yield from _parts(value)
            case _:
                raise MissingImplementation(f"the identity of a deployment cannot hold a {type(value).__name__}")


def _array_parts(array: npt.NDArray[Any]) -> Iterator[bytes]:
    """Shape and values, as int64 or float64 in C order, whatever type holds them here."""
    wide = "<f8" if array.dtype.kind == "f" else "<i8"
    yield f"{wide}{tuple(map(int, array.shape))}".encode()
    flat = array.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        yield flat[start : start + _CHUNK].astype(wide).tobytes()


def _digest(parts: Iterable[bytes]) -> bytes:
    """SHA-256 of parts, each preceded by its length: no two different sequences give the same bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


__all__ = ["FOR_PEOPLE", "identity"]
