"""Static offsets: one initial membrane per neuron, from calibration images, at no cost on the chip.

A method of our own, not a published one: sequential mean matching. It goes layer by layer from the input, so that all
earlier layers are already calibrated. Twice, it moves each neuron's initial membrane by what the mean output lacks:

    e = mean ANN activation - mean spiking output,  v_init += clip(e * T, -threshold, threshold)

The online method of Hao et al. (``OffsetSpikes``) chooses such a shift per image instead, at the cost of extra steps.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx

from spikec.conversion.network import SpikingNetwork, run_steps
from spikec.conversion.neurons import Neuron
from spikec.errors import ConversionError

_PASSES = 2
_BATCH = 64
#: Working set of the calibration in bytes: values of all steps and images that are alive at one layer.
_BUDGET = 3 * 2**30


def activation_means(graph: fx.GraphModule, names: list[str], images: Tensor) -> dict[str, Tensor]:
    """Mean activation per neuron [*shape] of the layers ``names`` of a traced network."""
    sums: dict[str, Tensor] = {}

    class Means(fx.Interpreter):
        def call_module(self, target, args, kwargs):  # type: ignore[no-untyped-def]
            result = super().call_module(target, args, kwargs)
            if target in names:
                total = result.sum(0, dtype=torch.float64)
                sums[target] = sums[target] + total if target in sums else total
            return result

    with torch.no_grad():
        for batch in torch.split(images, _BATCH):
            Means(graph).run(batch)
    return {name: (total / len(images)).float() for name, total in sums.items()}


def match_means(network: SpikingNetwork, images: Tensor, means: dict[str, Tensor]) -> None:
    """Set ``offset`` of every neuron of ``network`` so that its mean output on ``images`` approaches ``means``."""
    largest = max(m.numel() for m in means.values())
    affordable = _BUDGET // (4 * 4 * network.steps * largest)
    if affordable < 1:
        raise ConversionError("this network is too large for static offsets; use fewer timesteps")
    data = images[: max(1, int(affordable))]

    def calibrate(name: str, neuron: Neuron, current: Tensor) -> Tensor:
        reach = neuron.unit_over(means[name].ndim)
        neuron.offset = torch.zeros_like(means[name])
        for _ in range(_PASSES):
            emitted = neuron(current).reshape(neuron.steps, len(data), *means[name].shape)
            rate = emitted[: neuron.timesteps + neuron.drain].sum(0).mean(0) / neuron.averaged
            neuron.offset = neuron.offset + ((means[name] - rate) * neuron.averaged).clamp(-reach, reach)
        result: Tensor = neuron(current)
        return result

    with torch.no_grad():
        run_steps(network, data, calibrate)
