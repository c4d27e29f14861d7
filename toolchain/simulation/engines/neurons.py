"""Neuron update rules of the contract, as in-place scans over the steps of a batch.

Every function takes and returns tensors that hold exact integers, in the dtype the range analysis chose (float32,
float64 or int64). None of them rounds; membranes wrap or saturate where their :class:`Watch` is asked to. ``S`` counts
emission steps, ``N`` images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from spikec.errors import GraphError
from spikec.implementations import Implementations
from spikec.ir.graph import Population, Readout
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, CubaLIF, GradedIF, Kind, Maximum, SignedIF, Timing
from spikec.ir.leak import UNIT, Leak
from spikec.simulation.engines.leaking import Leaking
from spikec.simulation.engines.widening import neurons_as
from spikec.simulation.registers import Watch


@dataclass(frozen=True)
class Parameters:
    """Arrays of a population in the dtype of its membrane; ``fields``: those of its kind that hold one number per
    neuron, by name."""

    node: Population
    theta: Tensor
    v_init: Tensor
    fields: Mapping[str, Tensor]

    @classmethod
    def of(cls, node: Population, dtype: torch.dtype) -> Parameters:
        """Convert the parameters of ``node``; a field that is not set has its default throughout."""
        theta, v_init = (neurons_as(a, dtype) for a in (node.theta, node.v_init))
        found = {}
        for name, about in node.neuron.stored_fields().items():
            if about.per == "neuron":
                value = getattr(node.neuron, name)
                default = theta.new_tensor(about.default or 0).expand(theta.shape)
                found[name] = default if value is None else neurons_as(value, dtype)
        return cls(node, theta, v_init, found)


@dataclass(frozen=True)
class Currents:
    """Synaptic input of a layer: ``driven`` [S, N, *shape] by spikes, ``steady`` [N or 1, *shape] by image and bias.

    The steady part stops after ``steps_on`` steps (drain).
    """

    driven: Tensor | None
    steady: Tensor
    steps: int
    steps_on: int

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """The terms to add at each step."""
        for step in range(self.steps):
            terms = [] if self.driven is None else [self.driven[step]]
            yield (*terms, self.steady) if step < self.steps_on else tuple(terms)


def _start(p: Parameters, images: int) -> Tensor:
    return p.v_init.expand(images, *p.theta.shape).clone()


class Neurons(Protocol):
    """Neurons between two steps: what they keep of one for the next."""

    v: Tensor

    def step(self, terms: Sequence[Tensor], watch: Watch, out: Tensor) -> None:
        """Take in the sum of ``terms`` and write what they emit to ``out`` [N, *shape]."""


#: The neurons of a population before the first step, from its parameters, the number of images and the timing.
Begin = Callable[[Parameters, int, Timing], Neurons]
#: Emissions [S, N, *shape] of a pipelined population, from its currents.
Fire = Callable[[Parameters, Currents, Watch, int, Timing], Tensor]
#: The number that the emissions write, from the membrane [N, *shape] after everything arrived (consumed).
EmitAll = Callable[[Parameters, Tensor, Timing, Watch], Tensor]

BEGIN: Implementations[Begin] = Implementations(
    "state from step to step", "spikec.simulation.engines.neurons.BEGIN", Kind
)
FIRE: Implementations[Fire] = Implementations("rule to fire by", "spikec.simulation.engines.neurons.FIRE", Kind)
EMIT_ALL: Implementations[EmitAll] = Implementations(
    "rule to emit by once all input is there", "spikec.simulation.engines.neurons.EMIT_ALL", Kind
)
FIRE.refuse(lambda kind: GraphError(f"{kind} neurons do not run pipelined"), BitSerialIF, GradedIF)
EMIT_ALL.refuse(lambda kind: GraphError(f"{kind} neurons do not run layerwise"), CalibratedIF, CubaLIF)


BEGIN.refuse(lambda kind: GraphError(f"{kind} neurons do not run step by step"), BitSerialIF, GradedIF)
BEGIN.refuse(
    lambda kind: GraphError(f"{kind} neurons start over after a rehearsal, so no later layer can feed them back"),
    CalibratedIF,
)
BEGIN.refuse(lambda kind: GraphError(f"{kind} neurons take all steps at once, so they cannot lie on a cycle"), Maximum)


@FIRE.register(IF, SignedIF, CubaLIF)
def _by_steps(p: Parameters, currents: Currents, watch: Watch, images: int, timing: Timing) -> Tensor:
    return _run(BEGIN(p.node.neuron)(p, images, timing), currents, watch)


def _run(neurons: Neurons, currents: Currents, watch: Watch) -> Tensor:
    """Emissions [S, N, *shape] over all steps of ``currents``."""
    spikes = neurons.v.new_empty((currents.steps, *neurons.v.shape))
    for s, terms in zip(spikes, currents, strict=True):
        neurons.step(terms, watch, s)
    return spikes


class _Plain:
    """``if``: m = v + z; s = clip(floor(m / theta), 0, K); v = m - s*theta."""

    def __init__(self, p: Parameters, v: Tensor) -> None:
        self.v, self._theta, self._most = v, p.theta, p.node.neuron.emission[1]

    def step(self, terms: Sequence[Tensor], watch: Watch, out: Tensor) -> None:
        for z in terms:
            self.v += z
        watch.see(self.v)
        _thresholds_in(self.v, self._theta, self._most, out=out)
        self.v.addcmul_(out, self._theta, value=-1)


@BEGIN.register(IF)
def _plain(p: Parameters, images: int, timing: Timing) -> Neurons:
    return _Plain(p, _start(p, images))


def _thresholds_in(v: Tensor, theta: Tensor, most: int, *, out: Tensor | None = None) -> Tensor:
    """clip(floor(v / theta), 0, ``most``), in the dtype of ``v``."""
    if most == 1:
        return torch.ge(v, theta, out=torch.empty_like(v) if out is None else out)
    return torch.div(v, theta, rounding_mode="floor", out=out).clamp_(0, most)


@BEGIN.register(SignedIF)
class _Signed:
    """``signed_if``, with c the net spikes so far and K the most in a step: as many thresholds as m holds, at most
    K T - c, when m >= theta; as many back as it lacks, at most c, when m <= -theta_neg."""

    def __init__(self, p: Parameters, images: int, timing: Timing) -> None:
        self.v, self._theta, self._negative = _start(p, images), p.theta, p.fields["theta_neg"]
        self._most, self._timesteps = p.node.neuron.emission[1], timing.timesteps
        self._count = torch.zeros_like(self.v)

    def step(self, terms: Sequence[Tensor], watch: Watch, out: Tensor) -> None:
        v, most, count = self.v, self._most, self._count
        for z in terms:
            v += z
        watch.see(v)
        if most == 1:  # the same numbers without a division
            torch.ge(v, self._theta, out=out)
            out *= count < self._timesteps
            out -= ((v <= -self._negative) & (count > 0)).to(out.dtype)
        else:  # floor(m / theta), which is -ceil(-m / theta)
            torch.div(v, self._theta, rounding_mode="floor", out=out).clamp_(-most, most)
            torch.minimum(out, most * self._timesteps - count, out=out)
            torch.maximum(out, -count, out=out)
            out.masked_fill_((v < 0) & (v > -self._negative), 0)
        v.addcmul_(out, self._theta, value=-1)
        count += out


@BEGIN.register(CubaLIF)
class _Leaky:
    """``cuba_lif``: fires strictly above 64 theta; v = 0 then, or 64 theta less."""

    def __init__(self, p: Parameters, images: int, timing: Timing) -> None:
        assert isinstance(p.node.neuron, CubaLIF)
        self._charged = Leaking(Leak.of(p.node.neuron, p.node.shape), _start(p, images))
        self.v, self._theta, self._subtract = self._charged.v, p.theta * UNIT, p.node.neuron.subtract

    def step(self, terms: Sequence[Tensor], watch: Watch, out: Tensor) -> None:
        self._charged.charge(terms, watch)
        torch.gt(self.v, self._theta, out=out)
        if self._subtract:
            self.v.addcmul_(out, self._theta, value=-1)
        else:
            self.v.mul_(1 - out)


@FIRE.register(Maximum)
def _gained(p: Parameters, currents: Currents, watch: Watch, images: int, timing: Timing) -> Tensor:
    """What the max pool before it gains in each step."""
    assert currents.driven is not None  # it reads one max pool of spikes
    for gained in currents.driven:
        watch.see(gained)
    return currents.driven


@FIRE.register(CalibratedIF)
def _calibrated(p: Parameters, currents: Currents, watch: Watch, images: int, timing: Timing) -> Tensor:
    return _run(_Plain(p, _calibrated_start(p, currents, watch, images)), currents, watch)


def _calibrated_start(p: Parameters, currents: Currents, watch: Watch, images: int) -> Tensor:
    """Pass 1 of ``calibrated_if``: rho steps of ``if``, then the shift by one spike (Hao et al., ICLR 2023)."""
    v = _start(p, images)
    rho = p.node.neuron.rehearsal
    highest = float("inf") if v.is_floating_point() else torch.iinfo(v.dtype).max
    lowest = -highest
    n = torch.zeros_like(v)
    least_fired, most_silent = torch.full_like(v, highest), torch.full_like(v, lowest)
    for _, terms in zip(range(rho), currents, strict=False):
        for z in terms:
            v += z
        watch.see(v)
        fired = v >= p.theta
        torch.where(fired, torch.minimum(least_fired, v), least_fired, out=least_fired)
        torch.where(fired, most_silent, torch.maximum(most_silent, v), out=most_silent)
        s = fired.to(v.dtype)
        v.addcmul_(s, p.theta, value=-1)
        n += s
    too_many = (v < 0) & (n > 0)
    too_few = (v >= p.theta) & (n < rho)
    start = _start(p, images)
    down = torch.maximum(p.theta, least_fired - p.theta + 1)
    up = torch.maximum(p.theta, p.theta - most_silent)
    return torch.where(too_many, start - down, torch.where(too_few, start + up, start))


@EMIT_ALL.register(IF, SignedIF, BitSerialIF)
def _by_place_value(p: Parameters, v: Tensor, timing: Timing, watch: Watch) -> Tensor:
    """As many spikes per step as the kind may send, worth the place value of the step."""
    value, most = torch.zeros_like(v), p.node.neuron.emission[1]
    for step in range(timing.timesteps):
        watch.see(v)
        weight = p.node.neuron.place_value(step, timing.timesteps)
        s = _thresholds_in(v, p.theta * weight, most)
        v.addcmul_(s, p.theta, value=-weight)
        value.add_(s, alpha=weight)
    return value


@EMIT_ALL.register(Maximum)
def _largest(p: Parameters, v: Tensor, timing: Timing, watch: Watch) -> Tensor:
    watch.see(v)
    return v


@EMIT_ALL.register(GradedIF)
def _payload(p: Parameters, v: Tensor, timing: Timing, watch: Watch) -> Tensor:
    watch.see(v)
    return torch.div(v, p.theta, rounding_mode="floor").clamp_(*p.node.neuron.emission)


def integrate(node: Readout, currents: Currents, watch: Watch, images: int, dtype: torch.dtype) -> Tensor:
    """What the readout puts out [S, N, *shape] so far, after each step: its membrane, or the sum or maximum of them."""
    v = neurons_as(node.v_init, dtype).expand(images, *node.shape).clone()
    leaking = None if node.leak is None else Leaking(node.leak, v)
    curve = v.new_empty((currents.steps, *v.shape))
    for out, terms in zip(curve, currents, strict=True):
        if leaking is not None:
            leaking.charge(terms, watch)
        else:
            for z in terms:
                v += z
            watch.see(v)
        out.copy_(v)
    return put_out(node, curve)


def put_out(node: Readout, curve: Tensor) -> Tensor:
    """What a readout puts out so far after each step, from its membranes ``curve`` [S, ...]."""
    match node.decode:
        case "membrane":
            return curve
        case "sum":
            return curve.cumsum(0)
        case "maximum":
            return curve.cummax(0).values
