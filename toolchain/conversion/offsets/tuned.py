"""Tuned offsets: static initial membranes improved by gradient descent on the network's own output.

A method of our own, not a published one. Mean matching (``spikec.conversion.offsets.static``) looks at one layer at
a time. Here gradient descent moves the initial membranes of all neurons together, through the T steps of the spiking
network with surrogate gradients, to bring its class probabilities closer to those of the trained network:

    minimise over v_init:  KL(softmax(ANN(x)) || softmax(SNN(x; v_init))),  x from calibration images, no labels

Weights, thresholds and biases stay what training made them, and nothing changes at run time.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from spikec.conversion.network import SpikingNetwork
from spikec.errors import ConversionError
from spikec.frontend import has_classes, only_output, output_nodes

#: Calibration images used at most.
LARGEST_SET = 10_000
_STEPS, _BATCH, _RATE = 200, 64, 0.02
_SEED = 0


@torch.no_grad()
def class_scores(graph: fx.GraphModule, images: Tensor, what: str) -> Tensor:
    """Output of a traced network [N, classes]. Raises ``ConversionError`` for a network that returns anything else;
    ``what`` needs it, for the message."""
    if not has_classes(graph):
        returned = ", ".join(f"{name} {('N', *node.meta['shape'])}" for name, node in output_nodes(graph).items())
        raise ConversionError(
            f"{what} compare class probabilities, and the network returns {returned}: choose others, or give it a "
            "network that returns (N, classes)"
        )
    return torch.cat([only_output(graph(batch)) for batch in torch.split(images, 250)])


def tune_offsets(network: SpikingNetwork, images: Tensor, scores: Tensor) -> None:
    """Improve the present ``offset`` of every neuron of ``network`` by gradient descent.

    ``images`` [N, C, H, W] and the trained network's ``scores`` [N, classes] for them. Adam in units of the threshold,
    cosine schedule, fixed seed: the same call gives the same offsets. A tenth of the images is held out; if the
    divergence on them does not fall, the offsets stay as they were.
    """
    held = max(1, len(images) // 10)
    used = max(1, len(images) - held)
    before = _evaluate(network, images[-held:], scores[-held:])
    start = {name: neuron.offset for name, neuron in network.neurons.items()}
    shapes = {name: counts.shape[1:] for name, counts in network.counts(images[:1]).items()}
    units = {name: neuron.unit_over(len(shapes[name])) for name, neuron in network.neurons.items()}
    offsets = {name: nn.Parameter((start[name] / units[name]).expand(shapes[name]).clone()) for name in start}
    optimizer = torch.optim.Adam(offsets.values(), lr=_RATE)
    generator = torch.Generator().manual_seed(_SEED)
    with torch.enable_grad():  # type: ignore[no-untyped-call]
        for step in range(_STEPS):
            optimizer.param_groups[0]["lr"] = _RATE * (1 + math.cos(math.pi * step / _STEPS)) / 2
            for name, neuron in network.neurons.items():
                neuron.offset = offsets[name] * units[name]
            chosen = torch.randint(0, used, (min(_BATCH, used),), generator=generator)
            loss = _divergence(only_output(network(images[chosen])), scores[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    for name, neuron in network.neurons.items():
        neuron.offset = (offsets[name] * units[name]).detach()
    if not _evaluate(network, images[-held:], scores[-held:]) < before:  # also where it is not a number
        for name, neuron in network.neurons.items():
            neuron.offset = start[name]


@torch.no_grad()
def _evaluate(network: SpikingNetwork, images: Tensor, scores: Tensor) -> float:
    """Mean divergence."""
    pairs = zip(torch.split(images, _BATCH), torch.split(scores, _BATCH), strict=True)
    return sum(float(_divergence(only_output(network(x)), wanted)) * len(x) for x, wanted in pairs) / len(images)


def _divergence(scores: Tensor, wanted: Tensor) -> Tensor:
    return F.kl_div(F.log_softmax(scores, 1), F.log_softmax(wanted, 1), log_target=True, reduction="batchmean")
