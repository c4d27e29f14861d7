"""Writes lava-dl HDF5 files of integer graphs, with h5py alone; :mod:`spikec.targets.netx.reading` reads them.

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
from spikec.arguments import file_path
from spikec.errors import DoesNotFit, MissingImplementation
from spikec.implementations import Implementations
from spikec.ir import as_integer
from spikec.targets.netx.chain import as_chain, no_layer
from spikec.whole_files import writing

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
    write_layers(chain, network.deployment_sha256, file_path(path, "a netx file"), SOFT, _write_neurons)
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
    with writing(path) as temporary:
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


def field_keys(node: ig.Population) -> dict[str, tuple[str, str, int | None]]:
    """How to read the stored fields of a kind from a file, by field name. For the worker, which knows no kinds.

    Each entry: (key in the file, whether there is one value per "neuron" or "population", default for an absent field).
    """
    return {name: (about.netx, about.per, about.default) for name, about in node.neuron.stored_fields().items()}
