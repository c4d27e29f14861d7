"""A network under training run as a spiking network, without converting it: for training through its spikes, choosing
epochs and measuring noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from toolchain.errors import ConversionError
from toolchain.training.activations import ClipFloorShift
from toolchain.training.modes import evaluating, standing_in
from toolchain.training.surrogate import fire, signed_spikes

SpikingNeuron = Literal["if", "signed_if"]


class SpikingForward:
    """Stands in for the forward of one :class:`ClipFloorShift`: a soft-reset integrate-and-fire neuron.

    Per step, in units of the threshold: v += x; s = [v >= 1], or of either sign (:func:`signed_spikes`); v -= s;
    returns s * threshold. v starts at 1/2. ``count`` is the sum of s since :meth:`reset`, of the shape of x.
    """

    def __init__(self, threshold: Tensor, neuron: SpikingNeuron) -> None:
        self.threshold, self.neuron = threshold, neuron
        self.reset(0)

    def reset(self, timesteps: int) -> None:
        """Back to the initial membrane, for a run of ``timesteps`` steps; the next call fixes the shape."""
        self.membrane: Tensor | None = None
        self.count: Tensor | None = None
        self.timesteps, self.steps = timesteps, 0

    def __call__(self, x: Tensor) -> Tensor:
        # Under autocast x may have too few bits to add up in.
        current = x.to(torch.promote_types(x.dtype, self.threshold.dtype)) / self.threshold
        if self.membrane is None or self.count is None:
            self.membrane, self.count = torch.full_like(current, 0.5), torch.zeros_like(current)
        self.steps += 1
        v = self.membrane + current
        spikes = fire(v - 1) if self.neuron == "if" else signed_spikes(v, self.count, self.timesteps)
        self.membrane, self.count = v - spikes, self.count + spikes.detach()
        return spikes * self.threshold

    @property
    def total(self) -> Tensor:
        """Sum of what was returned since :meth:`reset`, without a gradient."""
        assert self.count is not None  # it ran
        return self.count * self.threshold.detach()


@contextmanager
def spiking(
    model: nn.Module, neuron: SpikingNeuron = "if", *, gradients: bool = False
) -> Iterator[dict[str, SpikingForward]]:
    """Inside, every :class:`ClipFloorShift` of ``model`` is a neuron with a state, one step per call of the model.

    Yields the neurons by module name. Pipelined schedule: a layer sees the spikes its source emits in the same step.
    Modules are in eval mode: batch norm adds its shift at every step, as a folded bias does. ``gradients`` pass through
    the spikes (surrogate, see :mod:`toolchain.training.surrogate`) where asked for.
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, ClipFloorShift)}
    if not layers:
        raise ConversionError("the network has no ClipFloorShift, so there is nothing that could spike")
    if neuron not in get_args(SpikingNeuron):
        raise ConversionError(f"neuron is one of {', '.join(get_args(SpikingNeuron))}, not {neuron!r}")
    neurons = {name: SpikingForward(m.threshold, neuron) for name, m in layers.items()}
    forwards: dict[nn.Module, Callable[[Tensor], Tensor]] = {layer: neurons[name] for name, layer in layers.items()}
    with evaluating(model), torch.set_grad_enabled(gradients), standing_in(forwards):
        yield neurons


def spiking_logits(model: nn.Module, neurons: dict[str, SpikingForward], images: Tensor, timesteps: int) -> Tensor:
    """Mean output over ``timesteps`` steps with the constant input ``images`` [N, C, H, W]; inside :func:`spiking`."""
    for neuron in neurons.values():
        neuron.reset(timesteps)
    logits: Tensor = sum((model(images) for _ in range(timesteps)), start=torch.zeros(()))
    for name, neuron in neurons.items():
        if neuron.steps != timesteps:
            raise ConversionError(
                f"{name} is used {neuron.steps / timesteps:g} times in a pass; give every spiking layer its own module"
            )
    return logits / timesteps
