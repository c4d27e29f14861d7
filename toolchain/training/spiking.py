"""A network under training run as a spiking network, without converting it: for choosing epochs and measuring noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from toolchain.errors import ConversionError
from toolchain.training.activations import ClipFloorShift


class SpikingForward:
    """Stands in for the forward of one :class:`ClipFloorShift`: a soft-reset integrate-and-fire neuron.

    Per step: v += x; s = [v >= threshold]; v -= s * threshold; returns s * threshold. v starts at threshold / 2.
    ``total`` is the sum of what was returned since :meth:`reset`, of the shape of x.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.reset()

    def reset(self) -> None:
        """Back to the initial membrane; the next call fixes the shape."""
        self.membrane: Tensor | None = None
        self.total: Tensor | None = None
        self.steps = 0

    def __call__(self, x: Tensor) -> Tensor:
        if self.membrane is None or self.total is None:
            self.membrane, self.total = torch.full_like(x, self.threshold / 2), torch.zeros_like(x)
        self.steps += 1
        self.membrane += x
        spikes = (self.membrane >= self.threshold).to(x.dtype) * self.threshold
        self.membrane -= spikes
        self.total += spikes
        return spikes


@contextmanager
def spiking(model: nn.Module) -> Iterator[dict[str, SpikingForward]]:
    """Inside, every :class:`ClipFloorShift` of ``model`` is a neuron with a state, one step per call of the model.

    Yields the neurons by module name. Pipelined schedule: a layer sees the spikes its source emits in the same step.
    Batch norm in eval mode adds its shift at every step, as a folded bias does. Gradients are off.
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, ClipFloorShift)}
    if not layers:
        raise ConversionError("the network has no ClipFloorShift, so there is nothing that could spike")
    neurons = {name: SpikingForward(float(m.threshold.detach())) for name, m in layers.items()}
    was_training = model.training
    model.eval()
    try:
        for name, layer in layers.items():
            layer.forward = neurons[name]  # type: ignore[method-assign]
        with torch.no_grad():
            yield neurons
    finally:
        for layer in layers.values():
            del layer.forward  # the method of the class is visible again
        model.train(was_training)


def spiking_logits(model: nn.Module, neurons: dict[str, SpikingForward], images: Tensor, timesteps: int) -> Tensor:
    """Mean output over ``timesteps`` steps with the constant input ``images`` [N, C, H, W]; inside :func:`spiking`."""
    for neuron in neurons.values():
        neuron.reset()
    logits: Tensor = sum((model(images) for _ in range(timesteps)), start=torch.zeros(()))
    for name, neuron in neurons.items():
        if neuron.steps != timesteps:
            raise ConversionError(
                f"{name} is used {neuron.steps / timesteps:g} times in a pass; give every spiking layer its own module"
            )
    return logits / timesteps
