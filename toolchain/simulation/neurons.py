"""Neuron update rules of the contract, as in-place scans over the steps of a batch.

Every function takes and returns tensors that hold exact integers, in the dtype the range analysis chose (float32,
float64 or int64). None of them rounds; membranes wrap or saturate where their :class:`Watch` is asked to. ``S`` counts
emission steps, ``N`` images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from toolchain.ir.integer import Population, Readout
from toolchain.simulation.registers import Watch


@dataclass(frozen=True)
class Parameters:
    """State-independent arrays of a population in the dtype of its membrane."""

    node: Population
    theta: Tensor
    v_init: Tensor
    theta_neg: Tensor

    @classmethod
    def of(cls, node: Population, dtype: torch.dtype) -> Parameters:
        """Convert the parameters of ``node``; a negative threshold that is not set is 1."""
        theta, v_init = (torch.as_tensor(a).to(dtype) for a in (node.theta, node.v_init))
        negative = torch.ones_like(theta) if node.theta_neg is None else torch.as_tensor(node.theta_neg).to(dtype)
        return cls(node, theta, v_init, negative)


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


def fire(p: Parameters, currents: Currents, watch: Watch, images: int, timesteps: int) -> Tensor:
    """Emissions [S, N, *shape] of a pipelined population, by its kind."""
    if p.node.kind == "signed_if":
        return _signed(p, currents, watch, images, timesteps)
    if p.node.kind == "calibrated_if":
        return _unsigned(p, currents, watch, _calibrated_start(p, currents, watch, images))
    return _unsigned(p, currents, watch, _start(p, images))


def _unsigned(p: Parameters, currents: Currents, watch: Watch, v: Tensor) -> Tensor:
    """``if``: m = v + z; s = [m >= theta]; v = m - s*theta. ``v`` is consumed."""
    spikes = v.new_empty((currents.steps, *v.shape))
    for s, terms in zip(spikes, currents, strict=True):
        for z in terms:
            v += z
        watch.see(v)
        torch.ge(v, p.theta, out=s)
        v.addcmul_(s, p.theta, value=-1)
    return spikes


def _signed(p: Parameters, currents: Currents, watch: Watch, images: int, timesteps: int) -> Tensor:
    """``signed_if``: +1 when m >= theta and c < T; -1 when m <= -theta_neg and c > 0 (c: net spikes so far)."""
    v = _start(p, images)
    count = torch.zeros_like(v)
    spikes = v.new_empty((currents.steps, *v.shape))
    for s, terms in zip(spikes, currents, strict=True):
        for z in terms:
            v += z
        watch.see(v)
        torch.ge(v, p.theta, out=s)
        s *= count < timesteps
        s -= ((v <= -p.theta_neg) & (count > 0)).to(s.dtype)
        v.addcmul_(s, p.theta, value=-1)
        count += s
    return spikes


def _calibrated_start(p: Parameters, currents: Currents, watch: Watch, images: int) -> Tensor:
    """Pass 1 of ``calibrated_if``: rho steps of ``if``, then the shift by one spike (Hao et al., ICLR 2023)."""
    v = _start(p, images)
    rho = p.node.rho or 0
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


def emit_all(p: Parameters, v: Tensor, timesteps: int, watch: Watch) -> Tensor:
    """Layerwise emission from ``v`` [N, *shape], the membrane after everything arrived (consumed).

    Returns the number the emissions code: spikes, payload, or the binary number of ``bit_serial``.
    """
    if p.node.kind == "graded":
        watch.see(v)
        return torch.div(v, p.theta, rounding_mode="floor").clamp_(0, p.node.levels)
    value = torch.zeros_like(v)
    for step in range(timesteps):
        watch.see(v)
        weight = 2 ** (timesteps - 1 - step) if p.node.kind == "bit_serial" else 1
        s = (v >= p.theta * weight).to(v.dtype)
        v.addcmul_(s, p.theta, value=-weight)
        value.add_(s, alpha=weight)
    return value


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
