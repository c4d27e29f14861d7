"""Builds and runs a netx file in an interpreter of its own: ``python -m spikec.targets.netx.worker FOLDER PARENT TAG``.

lava-dl imports torch for layers that these files do not have. Torch has no place in a process that forks, so its
import is blocked here and the two modules of lava-dl that need it are left empty; ``netx.hdf5`` itself is unchanged.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from spikec.targets.lava.worker import MESSAGE_BITS, end, load, main

_NEED_TORCH = ("lava.lib.dl.slayer.neuron.rf", "lava.lib.dl.netx.sequential_modules")


def without_torch() -> None:
    """Let lava-dl's netx be imported without torch. Resonate-and-fire layers are lost."""
    sys.modules["torch"] = None  # type: ignore[assignment]
    for name in _NEED_TORCH:
        module = ModuleType(name, "needs torch, left empty")
        module.__file__ = __file__  # Lava's compiler asks for it
        vars(module)["neuron_params"] = None
        sys.modules[name] = module


def build(folder: Path, document: dict[str, Any]) -> list[Any]:
    """Source, synapses and neurons of a soft-reset file, or of another as stock netx builds it."""
    without_torch()
    builders = {"soft": _soft, "hard": _hard, "stock": _stock}
    return builders[document["reset"]](folder, document)


def _source(folder: Path, document: dict[str, Any], network: Any) -> Any:
    entry = document["processes"][0]
    settings = {key: tuple(v) if isinstance(v, list) else v for key, v in entry["settings"].items()}
    source = load(entry["path"])(name=entry["name"], job=str(folder), **settings)
    port = source.s_out
    if len(port.shape) > len(network.inp.shape):  # a dense layer reads the image in C, H, W order
        port = port.transpose(tuple(reversed(range(len(port.shape))))).flatten()
    port.connect(network.inp)
    return source


def _soft(folder: Path, document: dict[str, Any]) -> list[Any]:
    from spikec.targets.netx.processes.network import SoftNetwork

    neurons = {entry["name"]: entry for entry in document["processes"][1:]}
    network = SoftNetwork(document["file"], job=folder, neurons=neurons, fields=document["fields"])
    source = _source(folder, document, network)
    return [source, *(layer.synapse for layer in network.layers), *(layer.neuron for layer in network.layers)]


def _network(document: dict[str, Any]) -> Any:
    """The file as stock netx loads it."""
    from lava.lib.dl.netx.hdf5 import Network

    return Network(
        net_config=document["file"],
        input_message_bits=MESSAGE_BITS,
        reset_interval=document["window"],
        reset_offset=1,  # the first layer is one synapse behind the source
    )


def _stock(folder: Path, document: dict[str, Any]) -> list[Any]:
    """Stock netx; processes of ours send the frames and keep the spikes of every layer but a readout."""
    from spikec.targets.lava.processes.beside import SpikeRecorder

    network = _network(document)
    source = _source(folder, document, network)
    recorders = []
    for entry, layer in zip((e for e in document["processes"][1:] if e["windowed"]), network.layers, strict=False):
        if entry["path"].endswith(":SpikeRecorder"):
            settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry["settings"].items()}
            recorder = SpikeRecorder(name=entry["name"], job=str(folder), **settings)
            layer.out.connect(recorder.a_in)
            recorders.append(recorder)
    synapses, neurons = [y.synapse for y in network.layers], [y.neuron for y in network.layers]
    return [source, *synapses, *recorders, *neurons]


def _hard(folder: Path, document: dict[str, Any]) -> list[Any]:
    """Stock netx, its own neurons; processes of ours send the images and count what the hidden layers send."""
    from spikec.targets.lava.processes.readout import Integrator

    network = _network(document)
    source = _source(folder, document, network)
    counters = []
    for (index, entry), layer in zip(enumerate(document["processes"][1:-1], 1), network.layers, strict=False):
        silence = np.zeros(layer.out.shape, np.int64)
        np.save(folder / f"{index}.current.npy", silence[None])
        counter = Integrator(name=entry["name"], job=str(folder), v_init=silence, **entry["settings"])
        layer.out.connect(counter.a_in)
        counters.append(counter)
    synapses, neurons = [y.synapse for y in network.layers], [y.neuron for y in network.layers]
    return [source, *synapses, *counters, *neurons]


def observe(folder: Path, document: dict[str, Any], processes: list[Any], window: int) -> None:
    """Keep the membrane of the readout: of a hard-reset file after each image, else after each step of Lava."""
    if document["reset"] == "stock" and document["readout"] is not None:
        at = document["readout"]
        step = window - document["processes"][at]["settings"]["offset"]
        curve = np.load(folder / f"{at}.curve.npy", mmap_mode="r+")
        if 0 <= step < len(curve) * document["window"]:
            curve[divmod(step, document["window"])] = processes[-1].v.get()
    if document["reset"] == "hard":
        membranes = np.load(folder / f"{len(document['processes']) - 1}.v.npy", mmap_mode="r+")
        membranes[window] = processes[-1].v.get()


if __name__ == "__main__":
    end(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], build, observe))
