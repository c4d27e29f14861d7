"""Float spiking networks around a :class:`LinearMap`, put together by hand: no front end takes part."""

from __future__ import annotations

import operator

import torch
import torch.nn.functional as F
from torch import fx, nn

import spikec as tc
from spikec.conversion.network import Provenance, SpikingNetwork
from spikec.conversion.neurons import Neuron
from spikec.frontend import AveragePool, ChannelAffine, Convolution, Dense, FlattenAll, LinearMap
from spikec.ir.coding import InputRange

#: Linear functions of images [N, 3, 4, 4] that no convolution expresses.
FUNCTIONS = {
    "transposed": lambda x: F.conv_transpose2d(x, _weight(3, 2, 3, 2), _weight(2), 2, (1, 0), (1, 0)),
    "transposed in groups": lambda x: F.conv_transpose2d(x, _weight(3, 1, 2, 2), None, (2, 1), groups=3),
    "nearest": lambda x: F.interpolate(x, scale_factor=2, mode="nearest"),
    "bilinear": lambda x: F.interpolate(x, size=(7, 5), mode="bilinear", align_corners=False),
    "aligned": lambda x: F.interpolate(x, size=(3, 7), mode="bilinear", align_corners=True),
    "mirrored": lambda x: F.pad(x, (1, 2, 2, 1), mode="reflect"),
    "repeated": lambda x: F.pad(x, (2, 1, 0, 1), mode="replicate"),
    "circular": lambda x: F.pad(x, (1, 1, 2, 0), mode="circular"),
    "cropped": lambda x: x[:, 1:, 1:3, ::2],
    "turned": lambda x: x.permute(0, 3, 1, 2),
    "unshuffled": lambda x: F.pixel_unshuffle(x, 2),
    "shuffled": lambda x: F.pixel_shuffle(torch.cat([x, x.flip(1)[:, :1]], 1), 2),
    "constant": lambda x: F.interpolate(x, scale_factor=2) + torch.arange(64.0).reshape(8, 8) / 64 - 0.4,
}  # fmt: skip


def _weight(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))) / 2


def network(graph: fx.Graph, root: nn.Module, example: torch.Tensor, *, timesteps: int = 4) -> SpikingNetwork:
    """``graph`` with shapes and places filled in."""
    module = fx.GraphModule(root, graph).eval()
    shapes = _Shapes(module)
    with torch.no_grad():
        shapes.run(example[:1].repeat(timesteps, 1, 1, 1))
    return SpikingNetwork(
        module,
        timesteps=timesteps,
        schedule="layerwise",
        drain=0,
        input_range=InputRange("uint8", 1 / 255),
        example=example,
        provenance=Provenance("qcfs", "0" * 64),
    )


class _Shapes(fx.Interpreter):
    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        n.meta.update(shape=tuple(value.shape[1:]), where="here")
        return value


def neurons(threshold: float, timesteps: int = 4) -> Neuron:
    return Neuron(tc.QCFS(timesteps=timesteps).neuron(None), torch.tensor(threshold), timesteps, "layerwise")


def around(name: str, *, seed: int, before: str, after: str, beside: bool, example: torch.Tensor) -> SpikingNetwork:
    """input -> neurons -> [conv, pool or nothing] -> the map -> [scale, conv, pool or nothing] -> neurons -> readout.

    ``beside``: a convolution of the same neurons, or the same map scaled, is added where shapes allow it.
    """
    rng = torch.Generator().manual_seed(seed)

    def weight(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng) / 2

    function, root, graph = FUNCTIONS[name], nn.Module(), fx.Graph()

    def call(target: str, module: nn.Module, source: fx.Node) -> fx.Node:
        root.add_module(target, module)
        return graph.call_module(target, (source,))

    image = graph.placeholder("input")
    pooled = before == "pool"
    stem = Convolution(weight(3, 2, 3, 3), weight(3), pads=(1, 1, 1, 1)) if not pooled else None
    first = stem or Convolution(weight(3, 2, 1, 1), weight(3), pads=(2, 2, 2, 2))
    x = spikes = call("n1", neurons(0.9), call("stem", first, image))
    if before == "conv":
        x = call("conv", Convolution(weight(3, 3, 3, 3), weight(3), pads=(1, 1, 1, 1)), x)
    elif before == "pool":
        x = call("pool", AveragePool((2, 2)), x)
    elif before == "flat map":
        x = call("turn", LinearMap.of(lambda v: v.flip(2), (3, 4, 4)), x)
    made = LinearMap.of(function, (3, 4, 4))
    x = call("map", made, x)
    channels, rows, columns = made.outputs
    if beside:
        side = LinearMap.of(lambda v: function(v) * 0.5 + 0.1, (3, 4, 4))
        other = call("side", side, call("thin", AveragePool((2, 2)), spikes) if pooled else spikes)
        x = graph.call_function(operator.add, (x, other))
        if (rows, columns) == (4, 4) and not pooled:
            x = graph.call_function(
                torch.cat, ([x, call("skip", Convolution(weight(2, 3, 1, 1), weight(2)), spikes)], 1)
            )
            channels += 2
    if after == "scale":
        x = call("scale", ChannelAffine(weight(channels), weight(channels)), x)
    elif after == "conv":
        x = call("late", Convolution(weight(2, channels, 3, 2), weight(2), pads=(1, 1, 1, 0), stride=(1, 1)), x)
    elif after == "pool":
        x = call("means", AveragePool((2, 1)), x)
    x = call("n2", neurons(0.7), x)
    x = call("flat", FlattenAll(), x)
    probe = fx.GraphModule(root, _ended(graph, x)).eval()
    with torch.no_grad():
        size = probe(example[:1].repeat(4, 1, 1, 1)).shape[1]
    graph.output(call("head", Dense(weight(3, size), weight(3)), x))
    return network(graph, root, example)


def _ended(graph: fx.Graph, at: fx.Node) -> fx.Graph:
    copied: fx.Graph = fx.Graph()
    values: dict[fx.Node, fx.Node] = {}
    copied.graph_copy(graph, values)
    copied.output(values[at])
    return copied
