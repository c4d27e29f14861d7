"""Networks and spikes on which counting tools are compared, and what is handed to them.

The cases of one convolution, 8 to 16 channels on 11 x 13, batch of 2, are those where the tools' rules part: stride,
padding, groups, signs, payloads, pools, zero weights. Their spikes are drawn, not computed; counting does not care. The
networks are executed by the golden model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import spikec as tc
from benchmarks.interop_cases import DIGITS
from spikec.deployment import deploy_network
from spikec.energy.arrivals import arriving
from spikec.energy.conventions.syops import NEURONS
from spikec.implementations import Implementations
from spikec.ir import (
    Affine,
    Convolution,
    Flatten,
    InputNode,
    Int64,
    IntegerGraph,
    Kind,
    Node,
    Population,
    Readout,
    SumPool,
    Synapse,
)
from spikec.ir.kinds import IF, SignedIF
from spikec.models import pretrained
from spikec.models.data import open_dataset
from spikec.simulation import Trace
from spikec.simulation.encode import encode
from spikec.targets.interop.conformance import IMAGES, Images, conformance

Arrays = dict[str, npt.NDArray[Any]]


class Payload(IF):
    """Sends 0 to 7 at every step. Its emissions are drawn, so it needs no equation and is not registered."""

    @property
    def emission(self) -> tuple[int, int]:
        return 0, 7


_SHAPE = (8, 11, 13)
_STEPS = 4
#: Kernel, stride, padding, groups, what neurons may emit, the neurons, pool.
_CONVOLUTIONS: dict[str, tuple[int, int, int, int, tuple[int, ...], Kind, int]] = {
    "3x3, stride 1, padding 1": (3, 1, 1, 1, (0, 0, 1), IF(), 1),
    "3x3, stride 2, padding 1": (3, 2, 1, 1, (0, 0, 1), IF(), 1),
    "3x3, stride 2, no padding": (3, 2, 0, 1, (0, 0, 1), IF(), 1),
    "5x5, stride 1, no padding": (5, 1, 0, 1, (0, 0, 1), IF(), 1),
    "depthwise": (3, 1, 1, 8, (0, 0, 1), IF(), 1),
    "spikes on the border": (3, 1, 1, 1, (0, 0, 1), IF(), 1),
    "ternary": (3, 1, 1, 1, (-1, 0, 1), SignedIF(), 1),
    "graded 0 to 7": (3, 1, 1, 1, tuple(range(8)), Payload(), 1),
    "behind a 2x2 pool": (3, 1, 1, 1, (0, 0, 1), IF(), 2),
    "half the weights zero": (3, 1, 1, 1, (0, 0, 1), IF(), 1),
}


#: The layer of the tools that a synapse is, and its geometry; ``peer_layers.layer_of`` makes it.
LAYERS: Implementations[Callable[[Any], dict[str, Any]]] = Implementations("layer of the tools", __name__, Synapse)


@dataclass(frozen=True)
class Execution:
    """A network and what it did on some images."""

    net: IntegerGraph
    images: Images
    trace: Trace  # with rasters


def convolutions() -> dict[str, Execution]:
    """One convolution each, behind a layer that is fed by the image."""
    return {name: _convolution(name) for name in _CONVOLUTIONS}


def _convolution(name: str) -> Execution:
    kernel, stride, padding, groups, emitted, neuron, window = _CONVOLUTIONS[name]
    rng = np.random.default_rng(1)
    weight = rng.choice([-2, -1, 1, 2], (16, 8 // groups, kernel, kernel))
    if name == "half the weights zero":
        weight *= rng.random(weight.shape) < 0.5
    raster = rng.choice(emitted, (2, _STEPS, *_SHAPE)).astype(np.int8)
    if name == "spikes on the border":
        raster[..., 1:-1, 1:-1] = 0
    shape = (8, 11 // window, 13 // window)
    geometry = ((stride, stride), (padding, padding), (1, 1))
    out = Convolution.convolved(shape, len(weight), weight.shape[2:], *geometry)
    ones, zeros = np.ones((8, 8, 1, 1), np.int64), np.zeros(16, np.int64)
    nodes: list[Node] = [
        InputNode("input", _SHAPE, "uint8", 1 / 255),
        Convolution("first", ("input",), _SHAPE, _SHAPE, ones, zeros[:8], (1, 1), (0, 0), (1, 1)),
        Population("n", ("first",), _SHAPE, neuron, np.full(_SHAPE, 9), np.full(_SHAPE, 4)),
    ]
    if window > 1:
        nodes.append(SumPool("pool", ("n",), _SHAPE, shape, (window, window), (window, window)))
    nodes += [
        Convolution("conv", (nodes[-1].name,), shape, out, weight, zeros, *geometry, groups),
        Readout("readout", ("conv",), out, np.zeros(out, np.int64), 1.0),
    ]
    net = IntegerGraph({node.name: node for node in nodes}, _STEPS, "pipelined")
    images = rng.integers(0, 256, (2, *_SHAPE)).astype(np.float32) / 255
    output = np.zeros((2, 16), np.int64)
    trace = Trace(
        {"output": output},
        {"output": 1.0},
        {"n": raster.sum(axis=1, dtype=np.int32)},
        {"n": (raster != 0).sum(axis=1, dtype=np.int32)},
        {"n": raster},
        input_events=(encode(net.input, images) != 0).sum(axis=0).astype(np.int32),
        timesteps=_STEPS,
    )
    return Execution(net, images, trace)


def networks() -> dict[str, Execution]:
    """Residual and strided layers, pools, and a trained network with binary and with graded spikes."""
    found = {}
    for name, options in (("residual, no pool", {"pool": "dense", "skip": True}), ("sum pool", {"pool": "sum"})):
        net = conformance(0, **options)  # type: ignore[arg-type]
        images = np.random.default_rng(0).integers(0, 4, (IMAGES, *net.input.shape)).astype(np.float32)
        found[f"conformance network, {name}"] = _executed(net, images)
    train, test = open_dataset("digits", split="train"), open_dataset("digits", split="test")
    calibration, images = train.images(slice(500)), test.images(slice(DIGITS)).numpy()
    for method in (tc.QCFS(timesteps=4), tc.Graded(levels=15)):
        graph = deploy_network(pretrained("digits-cnn"), method, calibration).graph
        found[f"digits-cnn, {type(method).__name__}"] = _executed(graph, images)
    return found


def _executed(net: IntegerGraph, images: Images) -> Execution:
    return Execution(net, images, tc.simulate(net, images, record="spikes", threads=1))


def describe(case: Execution) -> tuple[dict[str, Any], Arrays]:
    """A case as a tool's worker reads it: layers, pools, neurons, and what entered each at every step.

    ``NAME/entering`` is [N, T, *input shape]: spikes and sums of them as integers, the image real.
    """
    net, arrays = case.net, {}
    plan: dict[str, Any] = {"images": case.trace.images, "steps": net.emission_steps, "layers": [], "pools": []}
    for node in net:
        if isinstance(node, Synapse):
            plan["layers"].append(_layer(net, node))
            arrays[f"{node.name}/weight"] = node.weight
            arrays[f"{node.name}/bias"] = node.bias
            arrays[f"{node.name}/entering"] = _entering(case, node)
        elif isinstance(node, SumPool):
            plan["pools"].append({"name": node.name, "kernel": list(node.kernel)})
            arrays[f"{node.name}/entering"] = _entering(case, node)
    plan["neurons"] = [
        {"name": p.name, "if_node": p.neuron in NEURONS, "shape": list(p.shape)} for p in net.populations
    ]
    return plan, arrays


def _layer(net: IntegerGraph, node: Synapse) -> dict[str, Any]:
    source = net.nodes[node.sources[0]]
    flat = isinstance(source, Flatten)
    pool = net.nodes[source.sources[0]] if isinstance(source, Flatten) else source
    return {
        "name": node.name,
        **LAYERS(node)(node),
        "image": source.name == net.input.name,
        "flatten": flat,
        "pool": pool.name if isinstance(pool, SumPool) else None,
        "output": list(node.output_shape),
    }


@LAYERS.register(Affine)
def _affine(node: Affine) -> dict[str, Any]:
    return {"kind": "affine"}


@LAYERS.register(Convolution)
def _kernels(node: Convolution) -> dict[str, Any]:
    return {
        "kind": "convolution",
        "groups": node.groups,
        "stride": list(node.stride),
        "padding": list(node.padding),
        "dilation": list(node.dilation),
    }


def _entering(case: Execution, node: Synapse | SumPool) -> npt.NDArray[Any]:
    net, pixels = case.net, encode(case.net.input, case.images)
    if node.sources == (net.input.name,):
        real = pixels * net.input.scale
        return np.repeat(real[:, None], net.emission_steps, axis=1)
    steps = []
    for step in range(net.emission_steps):
        emitted: dict[str, Int64] = {p: raster[:, step] for p, raster in case.trace.spikes.items()}
        steps.append(arriving(net, emitted, node.name))
    return np.stack(steps, axis=1)
