"""Writes and reads lava-dl HDF5 files of integer graphs, with h5py alone.

Layers and keys are those of ``netx.hdf5.Network`` in lava-dl 0.6.0: datasets under ``/layer/<i>``, maps in C, H, W
order, weights as torch has them. Lava-dl has no neuron with a soft reset and no key for initial membranes, so the
neurons have the types ``SOFTIF`` and ``INTEGRATOR``, which stock netx does not know: it fails instead of running other
dynamics. Their keys: ``kind``, ``name``, ``theta``, ``vInit`` (one per neuron), and one for every stored field of the
kind (``thetaNeg``, ``levels``, ``rho``, ``maxSpikes``) that holds anything but its default.
The group ``/spikec`` holds what concerns the whole network: ``timesteps``, ``schedule``, ``drain``, input coding.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

import spikec.ir as ig
from spikec.errors import DoesNotFit, GraphError, MissingImplementation
from spikec.implementations import Implementations
from spikec.ir import as_integer
from spikec.ir.kinds import IF, kind_named
from spikec.targets.netx.chain import as_chain, no_layer
from spikec.whole_files import replacing

if TYPE_CHECKING:
    import nir

FORMAT = "spikec.netx/1"
#: The format of files whose neurons need fields that readers of the first format do not look for.
FORMAT_2 = "spikec.netx/2"
SOFT, HARD, STOCK = "soft", "hard", "stock"
#: Stored in place of a kind if the neurons are the readout.
INTEGRATOR = "integrator"

Group = Any  # h5py.Group, which has no types
NeuronWriter = Callable[[Group, ig.Population | ig.Readout], None]
#: Reads the synapse of a layer, given the layer's group, its name, its source and the shape of the source.
SynapseReader = Callable[[Group, str, str, ig.Shape], ig.Synapse]

#: Fill the group of a layer.
NETX_LAYERS: Implementations[Callable[[Group, Any], None]] = Implementations(
    "netx layer", "spikec.targets.netx.file.NETX_LAYERS", of=ig.Operation, otherwise=no_layer
)


def write(graph: nir.NIRGraph | ig.IntegerGraph, path: str | os.PathLike[str]) -> ig.IntegerGraph:
    """Write the network with its soft reset; :class:`~spikec.targets.netx.NetxProgram` runs it, stock netx refuses it.

    Returns what the file holds: the graph with its pools folded into the synapses behind them. The file appears whole
    or not at all. Raises ``DoesNotFit`` with all reasons where netx cannot hold the graph.
    """
    network = as_integer(graph)
    if network.sequences:
        raise DoesNotFit("the network runs on sequences: write_stock writes it, with neurons that stock netx has")
    chain = as_chain(network)
    write_layers(chain, network.deployment_sha256, Path(path), SOFT, _write_neurons)
    return chain


def write_layers(
    chain: ig.IntegerGraph,
    deployment_sha256: str,
    path: Path,
    reset: str,
    write_neurons: NeuronWriter,
    without: frozenset[str] = frozenset(),
) -> None:
    """Write all layers of a chain but the nodes ``without``; ``write_neurons`` fills the group ``neuron`` of each.
    ``deployment_sha256``: of the graph that the chain was made of."""
    content = io.BytesIO()  # HDF5 does not survive a full disk: it ends the process
    with h5py.File(content, "w") as file:
        _write_network(file.create_group("spikec"), chain, deployment_sha256, reset)
        layers = file.create_group("layer")
        number = 0
        for node in (node for node in chain if node.name not in without):
            match node:
                case ig.InputNode():
                    _fill(layers.create_group("0"), type="input", name=node.name, shape=node.shape)
                case ig.Operation():
                    number += 1
                    NETX_LAYERS(node)(layers.create_group(str(number)), node)
                case ig.Population() | ig.Readout():
                    write_neurons(layers[str(number)].create_group("neuron"), node)
                case _:
                    raise MissingImplementation(f"{type(node).__name__} has no place in a netx file")
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def fill_neuron(group: Group, **values: Any) -> None:
    """Datasets of a ``neuron`` group; text becomes a fixed-length string of shape (1,), as lava-dl writes it."""
    _fill(group, **values)


def _fill(group: Group, **values: Any) -> None:
    for key, value in values.items():
        if value is None:
            continue
        group[key] = np.array([value.encode()]) if isinstance(value, str) else np.asarray(value)


def _format(chain: ig.IntegerGraph) -> str:
    needed = (p.neuron.requirements() - {p.neuron.requirement} for p in chain.populations)
    return FORMAT_2 if any(needed) else FORMAT


def _write_network(group: Group, chain: ig.IntegerGraph, deployment_sha256: str, reset: str) -> None:
    _fill(
        group,
        format=_format(chain),
        reset=reset,
        timesteps=chain.timesteps,
        schedule=chain.schedule,
        drain=chain.drain,
        input_dtype=chain.input.dtype,
        input_scale=chain.input.scale,
        readout_scale=chain.readout.scale,
        content_sha256=chain.content_sha256 or "unknown",
        deployment_sha256=deployment_sha256,
    )


@NETX_LAYERS.register(ig.Flatten)
def _write_flatten(group: Group, node: ig.Flatten) -> None:
    _fill(group, type="flatten")


def _write_synapse(group: Group, kind: str, node: ig.Synapse) -> None:
    _fill(
        group,
        type=kind,
        name=node.name,
        shape=np.array(node.output_shape),
        weight=node.weight.astype(np.int32),
        bias=node.bias.astype(np.int32),
    )


@NETX_LAYERS.register(ig.Affine)
def _write_dense(group: Group, node: ig.Affine) -> None:
    _write_synapse(group, "dense", node)


@NETX_LAYERS.register(ig.Convolution)
def _write_conv(group: Group, node: ig.Convolution) -> None:
    _write_synapse(group, "conv", node)
    _fill(
        group,
        stride=np.array(node.stride),
        padding=np.array(node.padding),
        dilation=np.array(node.dilation),
        groups=node.groups,
    )


def _write_neurons(group: Group, node: ig.Population | ig.Readout) -> None:
    if isinstance(node, ig.Readout):
        _fill(group, type="INTEGRATOR", name=node.name, vInit=node.v_init)
        return
    _fill(
        group,
        type="SOFTIF",
        name=node.name,
        kind=node.neuron.name,
        theta=node.theta,
        vInit=node.v_init,
    )
    fields = node.neuron.stored_fields()
    _fill(group, **{fields[name].netx: value for name, value in node.neuron.given_fields().items()})


def read(path: str | os.PathLike[str], *, reset: str = SOFT) -> ig.IntegerGraph:
    """The network of a file written by :func:`write`. Nothing but the file is needed.

    Raises ``GraphError`` for any other file, and for one whose neurons have the other ``reset``. The neurons of a
    hard-reset file become plain populations with ``theta = vThMant + 1``; only their thresholds mean something.
    """
    path = Path(path)
    if not path.is_file():
        raise GraphError(f"no file {path}; spikec netx writes one")
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path, reset)
    except (OSError, KeyError) as error:
        raise GraphError(f"{path} is not an HDF5 file written by spikec netx ({error})") from error


def _text(group: Group, key: str) -> str:
    return bytes(group[key][0]).decode()


def _read(file: Group, path: Path, reset: str) -> ig.IntegerGraph:
    about = file["spikec"]
    if _text(about, "format") not in (FORMAT, FORMAT_2):
        raise GraphError(f"{path} has the format {_text(about, 'format')!r}, this reads {FORMAT!r} and {FORMAT_2!r}")
    if _text(about, "reset") != reset:
        if _text(about, "reset") == STOCK:
            raise GraphError(f"{path} has no neurons but those of stock netx: run_stock runs it")
        raise GraphError(f"{path} has neurons with {_text(about, 'reset')} reset: a different network")
    nodes: dict[str, ig.Node] = {}
    source = ""
    shape: ig.Shape = ()
    for number in range(len(file["layer"])):
        layer = file["layer"][str(number)]
        kind = _text(layer, "type")
        if kind == "flatten":
            name = f"flat{number}"
            flat = ig.Flatten(name, (source,), shape, (int(np.prod(shape)),))
            nodes[name], source, shape = flat, name, flat.output_shape
            continue
        name = _text(layer, "name")
        if kind == "input":
            shape = tuple(int(n) for n in layer["shape"][()])
            dtype: Any = _text(about, "input_dtype")
            nodes[name], source = ig.InputNode(name, shape, dtype, float(about["input_scale"][()])), name
            continue
        if kind not in _SYNAPSES:
            raise GraphError(f"{path}: layer {name} has the type {kind!r}, this reads {', '.join(_SYNAPSES)}")
        synapse = _SYNAPSES[kind](layer, name, source, shape)
        neurons = _read_neurons(layer["neuron"], synapse, float(about["readout_scale"][()]))
        nodes[name], nodes[neurons.name] = synapse, neurons
        source, shape = neurons.name, neurons.shape
    schedule: Any = _text(about, "schedule")
    return ig.IntegerGraph(
        nodes,
        int(about["timesteps"][()]),
        schedule,
        int(about["drain"][()]),
        content_sha256=_text(about, "content_sha256"),
    )


def _weights(layer: Group) -> tuple[ig.Shape, ig.Int64, ig.Int64]:
    """Output shape, weight and bias of a synapse."""
    shape = tuple(int(n) for n in layer["shape"][()])
    return shape, layer["weight"][()].astype(np.int64), layer["bias"][()].astype(np.int64)


def _read_dense(layer: Group, name: str, source: str, shape: ig.Shape) -> ig.Affine:
    return ig.Affine(name, (source,), shape, *_weights(layer))


def _read_conv(layer: Group, name: str, source: str, shape: ig.Shape) -> ig.Convolution:
    stride, padding, dilation = ((int(layer[key][0]), int(layer[key][1])) for key in ("stride", "padding", "dilation"))
    groups = int(layer["groups"][()])
    return ig.Convolution(name, (source,), shape, *_weights(layer), stride, padding, dilation, groups)


_SYNAPSES: dict[str, SynapseReader] = {"dense": _read_dense, "conv": _read_conv}


def _read_neurons(group: Group, synapse: ig.Synapse, scale: float) -> ig.Population | ig.Readout:
    name, shape = _text(group, "name"), synapse.output_shape
    kind = _text(group, "kind") if "kind" in group else IF.name
    if kind == INTEGRATOR or _text(group, "type") == "INTEGRATOR":
        v_init = group["vInit"][()] if "vInit" in group else np.zeros(shape, np.int64)
        return ig.Readout(name, (synapse.name,), shape, v_init, scale)
    theta = group["theta"][()] if "theta" in group else np.full(shape, int(group["vThMant"][()]) + 1)
    v_init = group["vInit"][()] if "vInit" in group else np.zeros(shape, np.int64)
    return ig.Population(name, (synapse.name,), shape, _read_kind(group, kind, name), theta, v_init)


def _read_kind(group: Group, kind: str, name: str) -> ig.Kind:
    """The kind with its stored fields. Raises ``GraphError`` for an unknown kind, and for a field that is missing."""
    cls = kind_named(kind)
    values: dict[str, Any] = {}
    for field, about in cls.stored_fields().items():
        if about.netx in group:
            value = group[about.netx][()]
            values[field] = value if about.per == "neuron" else int(value)
        elif about.default is None:
            raise GraphError(f"the {kind} neurons {name} have no {about.netx}")
    return cls(**values)


def field_keys(node: ig.Population) -> dict[str, tuple[str, str, int | None]]:
    """How to read the stored fields of a kind from a file, by field name. For the worker, which knows no kinds.

    Each entry: (key in the file, whether there is one value per "neuron" or "population", default for an absent field).
    """
    return {name: (about.netx, about.per, about.default) for name, about in node.neuron.stored_fields().items()}
