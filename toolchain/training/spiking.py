"""Runs a network under training as a spiking network, without converting it: to train through its spikes, to choose
epochs and to measure noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn

from spikec.errors import ConversionError, GraphError, ToolchainError
from spikec.frontend.modes import evaluating
from spikec.implementations import Implementations
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, CubaLIF, GradedIF, Kind, Maximum, SignedIF, kind_named, kinds
from spikec.training.activations import ClipFloorShift
from spikec.training.max_pools import PoolsOfSums
from spikec.training.modes import standing_in
from spikec.training.surrogate import fire, signed_spikes

#: Gives the emission of one step. Takes the membrane ``v`` with this step's input added, in units of what an emission
#: of 1 subtracts from it; the net emissions ``count`` of the steps before; and T. All tensors have one shape.
SpikingActivation: TypeAlias = Callable[[Tensor, Tensor, int], Tensor]

#: Spiking activations by neuron kind, for the kinds that a network under training can run as.
SPIKING_ACTIVATIONS: Implementations[SpikingActivation] = Implementations(
    "spiking activation", f"{__name__}.SPIKING_ACTIVATIONS", Kind
)


@SPIKING_ACTIVATIONS.register(IF)
def _fire(v: Tensor, count: Tensor, timesteps: int) -> Tensor:
    return fire(v - 1)


@SPIKING_ACTIVATIONS.register(SignedIF)
def _fire_signed(v: Tensor, count: Tensor, timesteps: int) -> Tensor:
    return signed_spikes(v, count, timesteps)


def _untrained(name: object) -> ToolchainError:
    known = ", ".join(each for each, kind in kinds().items() if kind in SPIKING_ACTIVATIONS)
    return ConversionError(f"neuron is one of {known}, not {name!r}")


# Bit-serial and graded neurons send the levels that the ANN computes anyway; calibrated ones rehearse before step one.
# Leaky ones stand for no activation.
SPIKING_ACTIVATIONS.refuse(_untrained, CalibratedIF, BitSerialIF, GradedIF, Maximum, CubaLIF)


def trained_kind(name: object) -> Kind:
    """The neuron kind called ``name``. Raises :class:`ConversionError` if networks under training cannot run as it, if
    it needs fields, and if there is no such kind."""
    try:
        kind = kind_named(name) if isinstance(name, str) else None
    except GraphError as error:
        raise _untrained(name) from error
    if kind is None:
        raise _untrained(name)
    SPIKING_ACTIVATIONS(kind)
    try:
        return kind()
    except TypeError as error:
        raise ConversionError(f"{name} neurons need fields, which training cannot give: {error}") from error


class SpikingForward:
    """Replaces the forward of one :class:`ClipFloorShift`: a soft-reset integrate-and-fire neuron.

    Per step, in units of the threshold: v += x; s = [v >= 1], or what other kinds emit; v -= s; returns
    s * threshold. v starts at 1/2. Kinds that can emit more than T in T steps have a smaller unit than the threshold,
    so that their largest total is still T thresholds. ``count`` is the sum of s since :meth:`reset`, of the shape of x.
    """

    def __init__(self, threshold: Tensor, kind: Kind) -> None:
        if given := kind.given_fields():
            raise ConversionError(
                f"networks under training run without {', '.join(given)}, which {kind.name} was given"
            )
        self.threshold, self.kind, self.emit = threshold, kind, SPIKING_ACTIVATIONS(kind)
        self.reset(0)

    def reset(self, timesteps: int) -> None:
        """Back to the initial membrane, for a run of ``timesteps`` steps; the next call fixes the shape."""
        self.membrane: Tensor | None = None
        self.count: Tensor | None = None
        self.timesteps, self.steps = timesteps, 0
        reach = self.kind.reach(timesteps)
        self.unit = self.threshold if reach == timesteps else self.threshold * (timesteps / reach)

    def __call__(self, x: Tensor) -> Tensor:
        # Under autocast the type of x may have too few bits for a running sum.
        current = x.to(torch.promote_types(x.dtype, self.unit.dtype)) / self.unit
        if self.membrane is None or self.count is None:
            self.membrane, self.count = torch.full_like(current, 0.5), torch.zeros_like(current)
        self.steps += 1
        v = self.membrane + current
        spikes = self.emit(v, self.count, self.timesteps)
        self.membrane, self.count = v - spikes, self.count + spikes.detach()
        return spikes * self.unit

    @property
    def total(self) -> Tensor:
        """Sum of what was returned since :meth:`reset`, without a gradient."""
        assert self.count is not None  # it ran
        return self.count * self.unit.detach()


@contextmanager
def spiking(model: nn.Module, neuron: str = IF.name, *, gradients: bool = False) -> Iterator[dict[str, SpikingForward]]:
    """Inside, every :class:`ClipFloorShift` of ``model`` is a neuron with a state, one step per call of the model.

    Yields the neurons by module name; ``neuron`` names their kind. Pipelined schedule: a layer sees the spikes its
    source emits in the same step. Modules are in eval mode: batch norm adds its shift at every step, as a folded bias
    does. ``gradients``: whether gradients pass through the spikes (surrogate, see :mod:`spikec.training.surrogate`).
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, ClipFloorShift)}
    if not layers:
        raise ConversionError("the network has no ClipFloorShift, so there is nothing that could spike")
    kind = trained_kind(neuron)
    neurons = {name: SpikingForward(m.threshold, kind) for name, m in layers.items()}
    forwards: dict[nn.Module, Callable[[Tensor], Tensor]] = {layer: neurons[name] for name, layer in layers.items()}
    with evaluating(model), torch.set_grad_enabled(gradients), standing_in(forwards):
        yield neurons


def spiking_logits(model: nn.Module, neurons: dict[str, SpikingForward], images: Tensor, timesteps: int) -> Tensor:
    """Mean output over ``timesteps`` steps with the constant input ``images`` [N, C, H, W]; inside :func:`spiking`."""
    for neuron in neurons.values():
        neuron.reset(timesteps)
    pools, logits = PoolsOfSums(), torch.zeros(())
    for _ in range(timesteps):
        pools.begin()
        with pools:
            logits = logits + model(images)
    for name, neuron in neurons.items():
        if neuron.steps != timesteps:
            raise ConversionError(
                f"{name} is used {neuron.steps / timesteps:g} times in a pass; give every spiking layer its own module"
            )
    return logits / timesteps
