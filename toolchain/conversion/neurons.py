"""Float neurons: the update rules of ``docs/semantics.md`` on real numbers, all steps of a batch at once.

The golden model computes in integers; these neurons are for evaluating and calibrating a network before it is lowered.
An emission is multiplied by the real value of an emission of 1, so that a layer's mean over T steps is its activation.
The step functions have surrogate gradients, so the network can be trained or tuned through its spikes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from spikec.arguments import real_number, whole_number
from spikec.errors import ConversionError, GraphError
from spikec.implementations import Implementations
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, CubaLIF, GradedIF, Kind, Maximum, SignedIF, kind_named
from spikec.ir.types import Schedule
from spikec.training.surrogate import fire, signed_spikes

#: Neurons computed at once (but at least one image), so that the values of a step stay in the cache.
_AT_ONCE = 2**17


@dataclass(frozen=True)
class NeuronSpec:
    """Which neuron a method puts in place of an activation.

    ``kind``: the neuron kind with its fields, such as ``IF()`` or ``GradedIF(levels=15)``; fields that depend on
    thresholds in integers are left out, lowering fills them in. ``negative``: negative threshold, for kinds that have
    one, as a fraction of the threshold; 0 stands for the smallest possible one, which is one unit in the integer
    network. ``warm_up``: steps of SRP's first phase.
    """

    kind: Kind
    negative: float = 0.0
    warm_up: int = 0

    def check(self, who: str, timesteps: int, schedule: Schedule) -> None:
        """Raise :class:`ConversionError`, its text starting with ``who``, if no network of T steps can use this."""
        kind = self.kind
        if not isinstance(kind, Kind):
            raise ConversionError(f"{who}: give a neuron kind, such as spikec.ir.kinds.IF(), not {kind!r}")
        try:
            registered = kind_named(kind.name) is type(kind)
        except GraphError as error:
            raise ConversionError(f"{who}: {error}") from error
        if not registered:
            raise ConversionError(f"{who}: {type(kind).__name__} is not the registered neuron kind {kind.name!r}")
        for problem in kind.problems():
            raise ConversionError(f"{who}: {problem}")
        if schedule not in kind.schedules:
            allowed = " or ".join(repr(each) for each in kind.schedules)
            raise ConversionError(f"{who}: {kind.name} neurons run with schedule {allowed}, not {schedule!r}")
        low, high = kind.timesteps
        if not low <= timesteps <= high:
            steps = f"{low} to {high} steps" if low < high else f"T = {low}"
            raise ConversionError(f"{who}: {kind.name} neurons run in {steps}, not in {timesteps}")
        if real_number(f"{who}: negative", self.negative) < 0:
            raise ConversionError(f"{who}: negative must be at least 0, it is {self.negative}")
        if self.negative and not kind.signed:
            raise ConversionError(f"{who}: {kind.name} neurons have no negative threshold; leave negative out")
        whole_number(f"{who}: warm_up", self.warm_up, 0, 2**15 - 1)
        if self.warm_up and schedule != "pipelined":
            raise ConversionError(f"{who}: warm_up needs the schedule 'pipelined'")
        if self.warm_up and not kind.extends:
            raise ConversionError(f"{who}: {kind.name} neurons cannot start over after a warm_up; leave it out")
        if kind.constant_once != kind.one_number:
            raise ConversionError(
                f"{who}: a float network adds image and biases once where neurons send one number, and at every step "
                f"elsewhere; {kind.name} neurons do not follow this"
            )


class Neuron(nn.Module):
    """A population. Input and output are [S * N, *shape] with the S steps outermost.

    ``counts`` keeps the net emissions [N, *shape] of the last call. ``threshold`` (scalar or [C]): real value of a full
    activation; ``offset`` (0 or [*shape]): real amount added to the initial membrane of unit / 2; ``gain`` (scalar or
    [C]): what the value of an emission is multiplied by, 1 unless calibrated. ``reach``: the largest total that T steps
    can send.
    """

    threshold: Tensor
    offset: Tensor
    gain: Tensor

    def __init__(self, spec: NeuronSpec, threshold: Tensor, timesteps: int, schedule: Schedule, drain: int = 0) -> None:
        super().__init__()
        spec.check("the neuron", timesteps, schedule)
        self.spec, self.timesteps, self.schedule, self.drain = spec, timesteps, schedule, drain
        self.reach = spec.kind.reach(timesteps)
        self.emit = FLOAT_NEURONS(spec.kind)
        self.register_buffer("threshold", threshold.detach().clone())
        self.register_buffer("offset", torch.zeros(()))
        self.register_buffer("gain", torch.ones(()))
        self.counts: Tensor | None = None

    @property
    def steps(self) -> int:
        """Steps this neuron emits for one image."""
        if self.spec.kind.one_number:
            return 1  # a level is one number here; only the golden model sends its bits
        return max(self.spec.warm_up + self.timesteps + self.drain, self.spec.kind.rehearsal)

    @property
    def averaged(self) -> int:
        """Steps that the mean of its emissions is taken over."""
        return 1 if self.spec.kind.one_number else self.timesteps

    @property
    def unit(self) -> Tensor:
        """What an emission of 1 takes from the membrane; a total of ``reach`` makes a full activation."""
        if self.spec.kind.one_number:
            return self.threshold / self.reach
        return self.threshold * (self.timesteps / self.reach)

    @property
    def value(self) -> Tensor:
        """Real value of an emission of 1 for the next layers."""
        return self.unit * self.gain

    def unit_over(self, axes: int) -> Tensor:
        """``unit``, shaped to multiply values of neurons with that many axes, channels first."""
        return _over(self.unit, axes)

    def forward(self, x: Tensor) -> Tensor:
        z = x.reshape(self.steps, -1, *x.shape[1:])
        unit, value = self.unit_over(z.ndim - 2), _over(self.value, z.ndim - 2)
        start = (unit / 2 + self.offset) / unit
        output, counts = [], []
        for part in torch.split(z, max(1, _AT_ONCE // math.prod(z.shape[2:])), 1):
            current = part / unit
            emitted = self.emit(self, current, start.expand_as(current[0]).clone())
            counts.append(emitted[self.spec.warm_up :][: self.timesteps + self.drain].sum(0).detach())
            output.append(emitted * value)
        self.counts = torch.cat(counts)
        return torch.cat(output, 1).reshape(x.shape)


def _over(values: Tensor, axes: int) -> Tensor:
    return values.reshape(-1, *([1] * (axes - 1))) if values.ndim else values


#: Emissions [S, N, *shape] of a neuron from its input [S, N, *shape] and its initial membrane [N, *shape], all in
#: units of ``Neuron.unit``. Emissions are what the next layers receive: the place value is included.
FloatNeuron: TypeAlias = Callable[[Neuron, Tensor, Tensor], Tensor]

#: What neurons of each kind do in float.
FLOAT_NEURONS: Implementations[FloatNeuron] = Implementations("float neuron", f"{__name__}.FLOAT_NEURONS", Kind)
FLOAT_NEURONS.refuse(
    lambda kind: ConversionError(f"{kind} neurons stand for no activation: a max pool has them"), Maximum
)
FLOAT_NEURONS.refuse(
    lambda kind: ConversionError(f"{kind} neurons stand for no activation: they come from NIR files"), CubaLIF
)


@FLOAT_NEURONS.register(IF)
def _integrate_and_fire(neuron: Neuron, z: Tensor, v: Tensor) -> Tensor:
    if neuron.schedule == "layerwise":
        return _all_at_once(neuron, z, v)
    return _paced(neuron, z, v)


@FLOAT_NEURONS.register(SignedIF)
def _signed(neuron: Neuron, z: Tensor, v: Tensor) -> Tensor:
    if neuron.schedule == "layerwise":
        return _all_at_once(neuron, z, v)
    most, negative = neuron.spec.kind.emission[1], neuron.spec.negative
    spikes, count = [], torch.zeros_like(v)
    for current in z:
        v = v + current
        if most == 1:
            s = signed_spikes(v, count, neuron.timesteps, negative)
        else:
            s = _floor(v).clamp(-most, most).minimum(neuron.reach - count).maximum(-count)
            s = s * ((v >= 0) | (v <= -negative))
        v, count = v - s, count + s.detach()
        spikes.append(s)
    return torch.stack(spikes)


@FLOAT_NEURONS.register(CalibratedIF)
def _calibrated(neuron: Neuron, z: Tensor, v: Tensor) -> Tensor:
    return _paced(neuron, z, _calibrated_start(cast(CalibratedIF, neuron.spec.kind), z, v))


@FLOAT_NEURONS.register(BitSerialIF, GradedIF)
def _level(neuron: Neuron, z: Tensor, v: Tensor) -> Tensor:
    """The level itself; only the golden model sends its bits."""
    return torch.clamp(_floor(z[0] + v), 0, neuron.reach)[None]


def _floor(x: Tensor) -> Tensor:
    """Floor with the gradient of the identity."""
    return x + (x.floor() - x).detach() if x.requires_grad else x.floor()


def _all_at_once(neuron: Neuron, z: Tensor, v: Tensor) -> Tensor:
    """All input arrives before the first spike: spike k fires if the total is at least k units, and each step fires
    as many as it may."""
    total, most = v + z.sum(0), neuron.spec.kind.emission[1]
    if most > 1:
        number = _floor(total)
        return torch.stack([(number - most * step).clamp(0, most) for step in range(neuron.timesteps)])
    steps = torch.arange(1, neuron.timesteps + 1, device=z.device, dtype=z.dtype)
    return fire(total - steps.reshape(-1, *([1] * total.ndim)))


def _paced(neuron: Neuron, z: Tensor, start: Tensor) -> Tensor:
    """Step by step. SRP: neurons whose membrane is not positive after the first phase are silent in the second."""
    warm_up, most = neuron.spec.warm_up, neuron.spec.kind.emission[1]
    if not warm_up:
        return _plain(z, start, most)[0]
    first, v = _plain(z[:warm_up], start, most)
    second, _ = _plain(z[warm_up:], start, most)
    return torch.cat([first, second * (v > 1e-3).to(z.dtype)])


def _plain(z: Tensor, v: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Spikes of every step, up to ``most`` in each, and the last membrane."""
    spikes = []
    for current in z:
        v = v + current
        s = fire(v - 1) if most == 1 else _floor(v).clamp(0, most)
        v = v - s
        spikes.append(s)
    return torch.stack(spikes), v


def _calibrated_start(kind: CalibratedIF, z: Tensor, v0: Tensor) -> Tensor:
    """Pass 1 of offset-spike calibration (Hao et al., ICLR 2023, as its published code does it).

    The smallest shift that moves the count by one: max(1, a - 1) down where v < 0 after rho steps and the neuron
    fired, max(1, 1 - b) up where v >= 1 and it could fire more; a is the smallest membrane that fired, b the
    largest that did not. ``eps`` stands for the one integer unit of the integer rule.
    """
    eps, rho = 1e-3, kind.rho
    v, count = v0, torch.zeros_like(v0)
    fired, silent = torch.full_like(v0, torch.inf), torch.full_like(v0, -torch.inf)
    for current in z[:rho]:
        v = v + current
        s = (v >= 1).to(z.dtype)
        fired = torch.where(s > 0, torch.minimum(fired, v), fired)
        silent = torch.where(s > 0, silent, torch.maximum(silent, v))
        v, count = v - s, count + s
    down = torch.where((v < 0) & (count > 0), (fired - 1 + eps).clamp(min=1), torch.zeros_like(v))
    up = torch.where((v >= 1) & (count < rho), (1 - silent).clamp(min=1), torch.zeros_like(v))
    return v0 - down + up
