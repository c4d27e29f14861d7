"""Reads lava-dl HDF5 files that :func:`spikec.targets.netx.write` wrote, and files that say so of themselves.

HDF5 runs in a process of its own (:mod:`spikec.hdf5`); what it finds is checked like any graph that was made in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import spikec.ir as ig
from spikec.errors import GraphError
from spikec.hdf5.opening import named
from spikec.hdf5.process import LIMIT
from spikec.hdf5.process import read as read_hdf5
from spikec.hdf5.tree import Tree, Value
from spikec.ir.kinds import IF, kind_named
from spikec.ir.sound import check
from spikec.targets.netx.file import FORMAT, FORMAT_2, INTEGRATOR, SOFT, STOCK
from spikec.words import printable

#: Seconds of work that reading may take, and bytes of the file for which it may take one more.
_SECONDS, _PER_SECOND = 2.0, 1e6
#: Bytes of data that a file may declare for each of its own, beside ``LIMIT``.
_UNPACKED = 100
_LAYERS_MAX = 10_000


@dataclass(frozen=True)
class _Group:
    """A group of the file, at ``place``. Its values are asked for by key; what is not as it has to be raises
    ``GraphError``."""

    place: str
    held: Tree

    def __contains__(self, key: str) -> bool:
        return key in self.held

    def group(self, key: str) -> _Group:
        inner = self.held.get(key)
        if not isinstance(inner, dict):
            raise GraphError(f"{self.place} has no group {key}")
        return _Group(f"{self.place}/{key}", inner)

    def text(self, key: str) -> str:
        """One text, alone or in an array of one."""
        data = self._data(key)
        if isinstance(data, np.ndarray) and data.dtype == object and data.size == 1:
            data = data.reshape(-1)[0]
        if not isinstance(data, str):
            raise GraphError(f"{self.place}/{key} is no text")
        return data

    def whole(self, key: str) -> int:
        """One whole number."""
        data = self.array(key)
        if data.size != 1:
            raise GraphError(f"{self.place}/{key} holds {data.size} numbers, it must be one")
        return int(data.reshape(-1)[0])

    def real(self, key: str) -> float:
        data = np.asarray(self._data(key))
        if data.size != 1 or data.dtype.kind not in "iuf":
            raise GraphError(f"{self.place}/{key} is no number")
        return float(data.reshape(-1)[0])

    def wholes(self, key: str, count: int | None = None) -> tuple[int, ...]:
        """Some whole numbers, ``count`` of them where that is given."""
        data = self.array(key)
        if data.ndim != 1 or data.size > 3 or count not in (None, data.size):
            raise GraphError(
                f"{self.place}/{key} has shape {data.shape}; it must hold {count or 'one to three'} numbers"
            )
        return tuple(int(n) for n in data)

    def array(self, key: str) -> ig.Int64:
        """Whole numbers within int64."""
        data = np.asarray(self._data(key))
        if data.dtype.kind not in "iu" or (data.dtype == np.uint64 and data.size and int(data.max()) >= 2**63):
            raise GraphError(f"{self.place}/{key} holds {data.dtype}, it must be whole numbers of at most 63 bits")
        return data.astype(np.int64)

    def _data(self, key: str) -> Any:
        value = self.held.get(key)
        if not isinstance(value, Value) or value.data is None:
            why = f": {value.why}" if isinstance(value, Value) else ""
            raise GraphError(f"{self.place} has no {key}{why}")
        return value.data


#: Reads the synapse of a layer, given the layer's group, its name, its source and the shape of the source.
SynapseReader = Callable[[_Group, str, str, ig.Shape], ig.Synapse]


def read(path: str | os.PathLike[str], *, reset: str = SOFT) -> ig.IntegerGraph:
    """The network of a file written by :func:`spikec.targets.netx.write`. Nothing but the file is needed.

    Raises ``GraphError``, in one sentence, for any other file, and for one whose neurons have the other ``reset``. The
    neurons of a hard-reset file become plain populations with ``theta = vThMant + 1``; only their thresholds mean
    something.
    """
    root = sound_tree(path)
    try:
        return check(_read(root, reset))
    except (GraphError, ValueError, TypeError) as error:  # what kinds and nodes say of values they cannot have
        raise GraphError(printable(f"{named(path)}: {error}")) from error


def sound_tree(path: str | os.PathLike[str]) -> _Group:
    """What a file of ours holds, read by the guarded process. Whoever hands the file to lava-dl asks here first, so
    that no damaged file, and none that leads to another, gets there. Raises ``GraphError``."""
    source = named(path)
    try:
        size = source.stat().st_size
    except (OSError, ValueError):
        size = 0  # the reader says what is wrong
    tree, _ = read_hdf5(
        path, limit=LIMIT + _UNPACKED * size, seconds=_SECONDS + size / _PER_SECOND, names=("spikec", "layer")
    )
    for problem in tree.problems:
        if problem.severity != "note":
            where = f"{problem.where}: " if problem.where else ""
            raise GraphError(
                printable(f"{source} is not an HDF5 file written by spikec netx ({where}{problem.message})")
            )
    if {type(tree.asked.get(name)) for name in ("spikec", "layer")} != {dict}:
        raise GraphError(printable(f"{source} is not an HDF5 file written by spikec netx (it lacks /spikec or /layer)"))
    return _Group("", tree.asked)


def _read(file: _Group, reset: str) -> ig.IntegerGraph:
    about, layers = file.group("spikec"), file.group("layer")
    found, stated = about.text("format"), about.text("reset")
    if found not in (FORMAT, FORMAT_2):
        raise GraphError(f"it has the format {found!r:.60}, this reads {FORMAT!r} and {FORMAT_2!r}")
    if stated != reset:
        if stated == STOCK:
            raise GraphError("it has no neurons but those of stock netx: run_stock runs it")
        raise GraphError(f"it has neurons with {stated:.60} reset: a different network")
    if len(layers.held) > _LAYERS_MAX:
        raise GraphError(f"it has {len(layers.held)} layers; the most is {_LAYERS_MAX}")
    nodes: dict[str, ig.Node] = {}
    source = ""
    shape: ig.Shape = ()
    for number in range(len(layers.held)):
        made, shape = _layer(layers.group(str(number)), about, number, source, shape)
        for node in made:
            if node.name in nodes:
                raise GraphError(f"two of its nodes are called {node.name!r:.60}")
            nodes[node.name], source = node, node.name
    schedule: Any = about.text("schedule")
    content = about.text("content_sha256")
    return ig.IntegerGraph(nodes, about.whole("timesteps"), schedule, about.whole("drain"), content_sha256=content)


def _layer(
    layer: _Group, about: _Group, number: int, source: str, shape: ig.Shape
) -> tuple[tuple[ig.Node, ...], ig.Shape]:
    """The nodes of a layer, and the shape that the last of them sends."""
    kind = layer.text("type")
    if kind == "flatten":
        flat = ig.Flatten(f"flat{number}", (source,), shape, (int(np.prod(shape, dtype=np.int64)),))
        return (flat,), flat.output_shape
    name = layer.text("name")
    if kind == "input":
        dtype: Any = about.text("input_dtype")
        node = ig.InputNode(name, layer.wholes("shape"), dtype, about.real("input_scale"))
        return (node,), node.shape
    if kind not in _SYNAPSES:
        raise GraphError(f"layer {name:.60} has the type {kind!r:.60}, this reads {', '.join(_SYNAPSES)}")
    synapse = _SYNAPSES[kind](layer, name, source, shape)
    neurons = _neurons(layer.group("neuron"), synapse, about.real("readout_scale"))
    return (synapse, neurons), neurons.shape


def _weights(layer: _Group) -> tuple[ig.Shape, ig.Int64, ig.Int64]:
    """Output shape, weight and bias of a synapse."""
    return layer.wholes("shape"), layer.array("weight"), layer.array("bias")


def _dense(layer: _Group, name: str, source: str, shape: ig.Shape) -> ig.Affine:
    return ig.Affine(name, (source,), shape, *_weights(layer))


def _conv(layer: _Group, name: str, source: str, shape: ig.Shape) -> ig.Convolution:
    def pair(key: str) -> tuple[int, int]:
        first, second = layer.wholes(key, 2)
        return first, second

    geometry = (pair("stride"), pair("padding"), pair("dilation"))
    return ig.Convolution(name, (source,), shape, *_weights(layer), *geometry, layer.whole("groups"))


_SYNAPSES: dict[str, SynapseReader] = {"dense": _dense, "conv": _conv}


def _neurons(group: _Group, synapse: ig.Synapse, scale: float) -> ig.Population | ig.Readout:
    name, shape = group.text("name"), synapse.output_shape
    kind = group.text("kind") if "kind" in group else IF.name
    v_init = group.array("vInit") if "vInit" in group else None
    if kind == INTEGRATOR or group.text("type") == "INTEGRATOR":
        return ig.Readout(name, (synapse.name,), shape, _of_each(v_init, shape), scale)
    theta = group.array("theta") if "theta" in group else np.array(group.whole("vThMant") + 1)
    return ig.Population(
        name, (synapse.name,), shape, _kind(group, kind, name), _of_each(theta, shape), _of_each(v_init, shape)
    )


def _of_each(values: ig.Int64 | None, shape: ig.Shape) -> ig.Int64:
    """One value for each neuron: as they are, or one for all."""
    if values is not None and values.ndim:
        return values
    if np.prod(shape, dtype=np.float64) > LIMIT:
        raise GraphError(f"{shape} neurons are more than a file may hold")
    return np.full(shape, 0 if values is None else int(values), np.int64)


def _kind(group: _Group, kind: str, name: str) -> ig.Kind:
    """The kind with its stored fields. Raises ``GraphError`` for an unknown kind, and for a field that is missing."""
    cls = kind_named(kind)
    values: dict[str, Any] = {}
    for field, about in cls.stored_fields().items():
        if about.netx in group:
            values[field] = group.array(about.netx) if about.per == "neuron" else group.whole(about.netx)
        elif about.default is None:
            raise GraphError(f"the {kind} neurons {name:.60} have no {about.netx}")
    return cls(**values)
