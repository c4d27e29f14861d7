"""Neuron update rules of the contract, as in-place scans over the steps of a batch.

Every function takes and returns tensors that hold exact integers, in the dtype the range analysis chose (float32,
float64 or int64). None of them rounds; membranes wrap or saturate where their :class:`Watch` is asked to. ``S`` counts
emission steps, ``N`` images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from spikec.errors import GraphError
from spikec.implementations import Implementations
from spikec.ir.graph import Population, Readout
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, GradedIF, Kind, Maximum, SignedIF, Timing
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
        theta, v_init = (torch.as_tensor(a).to(dtype) for a in (node.theta, node.v_init))
        found = {}
        for name, about in node.neuron.stored_fields().items():
            if about.per == "neuron":
                value = getattr(node.neuron, name)
                full = torch.full_like(theta, about.default or 0) if value is None else torch.as_tensor(value).to(dtype)
                found[name] = full
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


#: Emissions [S, N, *shape] of a pipelined population, from its currents.
Fire = Callable[[Parameters, Currents, Watch, int, Timing], Tensor]
#: The number that the emissions write, from the membrane [N, *shape] after everything arrived (consumed).
EmitAll = Callable[[Parameters, Tensor, Timing, Watch], Tensor]

FIRE: Implementations[Fire] = Implementations("rule to fire by", "spikec.simulation.engines.neurons.FIRE", Kind)
EMIT_ALL: Implementations[EmitAll] = Implementations(
    "rule to emit by once all input is there", "spikec.simulation.engines.neurons.EMIT_ALL", Kind
)
FIRE.refuse(lambda kind: GraphError(f"{kind} neurons do not run pipelined"), BitSerialIF, GradedIF)
EMIT_ALL.refuse(lambda kind: GraphError(f"{kind} neurons do not run layerwise"), CalibratedIF)


@FIRE.register(IF)
def _plain(p: Parameters, currents: Currents, watch: Watch, images: int, timing: Timing) -> Tensor:
    return _unsigned(p, currents, watch, _start(p, images))


def _unsigned(p: Parameters, currents: Currents, watch: Watch, v: Tensor) -> Tensor:
    """``if``: m = v + z; s = clip(floor(m / theta), 0, K); v = m - s*theta. ``v`` is consumed."""
    most = p.node.neuron.emission[1]
    spikes = v.new_empty((currents.steps, *v.shape))
    for s, terms in zip(spikes, currents, strict=True):
        for z in terms:
            v += z
        watch.see(v)
        _thresholds_in(v, p.theta, most, out=s)
        v.addcmul_(s, p.theta, value=-1)
    return spikes


def _thresholds_in(v: Tensor, theta: Tensor, most: int, *, out: Tensor | None = None) -> Tensor:
    """clip(floor(v / theta), 0, ``most``), in the dtype of ``v``."""
    if most == 1:
        return torch.ge(v, theta, out=torch.empty_like(v) if out is None else out)
    return torch.div(v, theta, rounding_mode="floor", out=out).clamp_(0, most)


@FIRE.register(SignedIF)
def _signed(p: Parameters, currents: Currents, watch: Watch, images: int, timing: Timing) -> Tensor:
    """``signed_if``, with c the net spikes so far and K the most in a step: as many thresholds as m holds, at most
    K T - c, when m >= theta; as many back as it lacks, at most c, when m <= -theta_neg."""
    most, negative = p.node.neuron.emission[1], p.fields["theta_neg"]
    v = _start(p, images)
    count = torch.zeros_like(v)
    spikes = v.new_empty((currents.steps, *v.shape))
    for s, terms in zip(spikes, currents, strict=True):
        for z in terms:
            v += z
        watch.see(v)
        if most == 1:  # the same numbers without a division
            torch.ge(v, p.theta, out=s)
            s *= count < timing.timesteps
            s -= ((v <= -negative) & (count > 0)).to(s.dtype)
        else:  # floor(m / theta), which is -ceil(-m / theta)
            torch.div(v, p.theta, rounding_mode="floor", out=s).clamp_(-most, most)
            torch.minimum(s, most * timing.timesteps - count, out=s)
            torch.maximum(s, -count, out=s)
            s.masked_fill_((v < 0) & (v > -negative), 0)
        v.addcmul_(s, p.theta, value=-1)
        count += s
    return spikes


@FIRE.register(Maximum)
def _gained(p: Parameters, currents: Currents, watch: Watch, images: int, timing: Timing) -> Tensor:
    """What the max pool before it gains in each step."""
    assert currents.driven is not None  # it reads one max pool of spikes
    for gained in currents.driven:
        watch.see(gained)
    return currents.driven


@FIRE.register(CalibratedIF)
def _calibrated(p: Parameters, currents: Currents, watch: Watch, images: int, timing: Timing) -> Tensor:
    return _unsigned(p, currents, watch, _calibrated_start(p, currents, watch, images))


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
    """The readout's membrane [S, N, *shape] after every step: v += z."""
    v = torch.as_tensor(node.v_init).to(dtype).expand(images, *node.shape).clone()
    curve = v.new_empty((currents.steps, *v.shape))
    for out, terms in zip(curve, currents, strict=True):
        for z in terms:
            v += z
        watch.see(v)
        out.copy_(v)
    return curve
