"""Shifts, scales and weights, layer after layer from the input, so that all earlier layers are calibrated already.

The trained network and the spiking one run side by side on calibration images. After "parallel conversion" without
training (Hao et al., ICML 2025, arXiv 2412.13610; the published code's running averages are plain means here):

- ``shifts``, its phi: what the mean output of a channel (or, ours, of a neuron) lacks moves its initial membranes;
- ``scales``, its psi: the value of an emission is multiplied so that the mean output of a channel is that of the
  trained network; lowering multiplies it into the weights of the next layers;
- ``weights`` (ours): see :mod:`spikec.conversion.calibration.fitting`.

What neurons emit is what their kind emits, at every step. Where theory says that a kind sends exactly the level of its
total input (``Kind.lossless`` of layerwise schedules), that level is computed in one step instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor, fx

from spikec.conversion.calibration.choice import Calibration
from spikec.conversion.calibration.fitting import fit_again
from spikec.conversion.calibration.streams import Streams, neuron_at
from spikec.conversion.network import SpikingNetwork
from spikec.conversion.neurons import Neuron, NeuronSpec
from spikec.frontend import Convolution, Dense
from spikec.ir.kinds import GradedIF
from spikec.ir.timing import Timing
from spikec.stages import Done, stage

_PASSES = 2
#: Bounds of the scale of a channel; a channel that almost never emits has none.
_SCALES = (0.5, 2.0)


@torch.no_grad()
def calibrate_layers(network: SpikingNetwork, exact: fx.GraphModule, images: Tensor, choice: Calibration) -> None:
    """Set offsets, scales and weights of ``network`` in place. ``exact``: the traced network it was made of."""
    stand_ins = {name: _exact_level(network, neuron) for name, neuron in network.neurons.items()}
    at_once = all(each is not None for each in stand_ins.values())
    streams = Streams(network, exact, images, 1 if at_once else network.steps)
    nodes = list(network.graph.graph.nodes)
    with stage("calibrating", len(nodes), "nodes") as done:
        _in_order(network, streams, nodes, stand_ins if at_once else {}, choice, done)


def _in_order(
    network: SpikingNetwork,
    streams: Streams,
    nodes: list[fx.Node],
    stand_ins: Mapping[str, Neuron | None],
    choice: Calibration,
    done: Done,
) -> None:
    behind: set[fx.Node] = set()  # nodes that what neurons emit reaches
    for number, node in enumerate(nodes, 1):
        neuron = neuron_at(network.graph, node)
        if neuron is not None:
            _calibrate_neuron(streams, node, neuron, stand_ins.get(str(node.target)), choice)
        elif node.op == "call_module" and choice.weights and behind & set(node.all_input_nodes):
            layer = network.graph.get_submodule(str(node.target))
            if isinstance(layer, Convolution | Dense):  # each call of a layer has one of its own, with its own weights
                _fit(streams, node, layer)
        if neuron is not None or behind & set(node.all_input_nodes):
            behind.add(node)
        if node.op != "output":
            streams.keep_shared(node)
        if neuron is not None:
            streams.forget(node)
        done(number)


def _exact_level(network: SpikingNetwork, neuron: Neuron) -> Neuron | None:
    """A neuron that computes in one step the level that ``neuron`` sends in all of its steps; None where theory does
    not say that it sends exactly this level."""
    kind = neuron.spec.kind
    timing = Timing(network.timesteps, network.schedule, network.drain)
    if network.schedule != "layerwise" or not kind.lossless(timing, len(network.neurons)):
        return None
    return Neuron(NeuronSpec(GradedIF(levels=neuron.reach)), neuron.threshold, 1, "layerwise")


def _calibrate_neuron(
    streams: Streams, node: fx.Node, neuron: Neuron, stand_in: Neuron | None, choice: Calibration
) -> None:
    runs = stand_in or neuron
    (source,) = node.all_input_nodes
    axes = len(node.meta["shape"])
    wanted = [streams.exact(node, batch) for batch in range(len(streams.batches))]
    mean, unit = _mean(wanted), runs.unit_over(axes)
    runs.offset = torch.zeros_like(mean)
    currents = [streams.spiking(source, batch) for batch in range(len(wanted))]
    if choice.shifts != "none":
        for _ in range(_PASSES):
            emitted = [streams.mean(runs(current)) for current in currents]
            lacking = mean - _mean(emitted)
            if choice.shifts == "channel":
                lacking = _per_channel(lacking).expand_as(mean)
            runs.offset = runs.offset + (lacking * runs.averaged).clamp(-unit, unit)
    packed = []
    for batch, current in enumerate(currents):
        emissions = runs(current)
        currents[batch] = streams.mean(emissions)  # the current is not needed again
        packed.append(_packed(emissions, unit, runs.reach))
    if choice.scales:
        sent, meant = _per_channel(_mean(currents)), _per_channel(mean)
        scale = torch.where((sent > 0) & (meant > 0), meant / sent, torch.ones_like(sent)).clamp(*_SCALES)
        neuron.gain, unit = scale.flatten(), unit * scale
    for exact, numbers in zip(wanted, packed, strict=True):
        streams.keep(node, exact, partial(torch.mul, numbers, unit))
    if runs is not neuron:
        neuron.offset = runs.offset * (neuron.unit_over(axes) / runs.unit_over(axes))


def _packed(emissions: Tensor, unit: Tensor, reach: int) -> Tensor:
    """The emissions as small integers."""
    kind = torch.int8 if reach < 2**7 else torch.int16 if reach < 2**15 else torch.int32
    return (emissions / unit).round().to(kind)


def _fit(streams: Streams, node: fx.Node, layer: Convolution | Dense) -> None:
    if 2 * int((layer.weight == 0).sum()) > layer.weight.numel():
        return  # a shortcut that selects channels, or a pruned layer: it shall not become dense
    (source,) = node.all_input_nodes

    def pairs() -> Iterator[tuple[Tensor, Tensor]]:
        for batch in range(len(streams.batches)):
            yield streams.mean(streams.spiking(source, batch)), streams.exact(node, batch)

    positions = torch.Size(node.meta["shape"][1:]).numel()
    fit_again(layer, pairs, len(streams.images), positions)


def _mean(batches: list[Tensor]) -> Tensor:
    """Mean over all images of batches [n, *shape]."""
    return torch.stack([batch.sum(0) for batch in batches]).sum(0) / sum(len(batch) for batch in batches)


def _per_channel(values: Tensor) -> Tensor:
    """Mean of [C, ...] per channel, with as many axes as before."""
    return values.flatten(1).mean(1).reshape(-1, *[1] * (values.ndim - 1)) if values.ndim > 1 else values
