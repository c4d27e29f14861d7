"""Neurons of NIR as float constants of one step: how much of current and membrane is kept, and what is added.

NIR's equations are continuous. A step of ``dt`` by forward Euler, as the frameworks take it, is

    u = keep_u u + gain_u z,   v = keep_v v + gain_v u + drive,   spike where v > threshold, then v = reset

with keep = 1 - dt / tau and gain = dt / tau times w_in or r. ``exponential`` takes keep = exp(-dt / tau) instead, which
is exact where the input stays the same within a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import nir
import numpy as np
import numpy.typing as npt

from spikec.conversion.from_nir.shapes import PARAMETERS, aligned, broadcasts

Float64 = npt.NDArray[np.float64]
Integration = Literal["euler", "exponential"]
INTEGRATIONS: tuple[Integration, ...] = get_args(Integration)

#: Neurons that fire, and integrators that do not.
FIRING = (nir.IF, nir.LIF, nir.CubaLIF, nir.Threshold)
SILENT = (nir.I, nir.LI, nir.CubaLI)


@dataclass(frozen=True)
class Dynamics:
    """One step of a layer of neurons, float64 of the neuron shape each; see above. ``threshold`` is None for an
    integrator, which does not fire. ``subtract``: a spike takes ``threshold - reset`` off v instead."""

    keep_u: Float64
    gain_u: Float64
    keep_v: Float64
    gain_v: Float64
    drive: Float64
    threshold: Float64 | None
    reset: Float64
    subtract: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.keep_v.shape

    @property
    def remembers_current(self) -> bool:
        """Whether any current lasts longer than a step."""
        return bool(self.keep_u.any())

    def flat(self) -> Dynamics:
        """The same neurons as a vector."""
        given: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        flat: dict[str, Any] = {k: v.reshape(-1) if isinstance(v, np.ndarray) else v for k, v in given.items()}
        return Dynamics(**flat)


def needs_dt(node: nir.NIRNode) -> bool:
    """Whether the length of a step changes what a node does."""
    if any(hasattr(node, field) for field in ("tau", "tau_mem", "tau_syn", "delay")):
        return True
    return isinstance(node, nir.IF | nir.I) and bool((np.asarray(node.r) != 1).any())


def not_numbers(node: nir.NIRNode) -> Iterator[str]:
    """Fields of a node that hold anything but finite numbers, one phrase each."""
    for field in ("weight", "bias", *PARAMETERS):
        if hasattr(node, field):
            value = np.asarray(getattr(node, field))
            if value.dtype.kind not in "biuf" or not np.isfinite(value).all():
                yield f"{field} holds values that are not finite numbers"


def problems(node: nir.NIRNode, dt: float | None, integration: Integration) -> Iterator[str]:
    """What is wrong with the numbers of a node, and keeps its neurons from being stepped; one phrase each."""
    useless = list(not_numbers(node))
    if useless:
        yield from useless
        return
    for field in ("tau", "tau_mem", "tau_syn"):
        if hasattr(node, field):
            tau = np.asarray(getattr(node, field), dtype=np.float64)
            if (tau <= 0).any():
                yield f"{field} is not positive"
            elif dt is not None and integration == "euler" and (tau < dt * (1 - 1e-9)).any():
                yield (
                    f"a step of {dt:g} is longer than {field} = {tau.min():g}, with which forward Euler does not "
                    "settle; give a smaller dt, or exponential decay"
                )
    if isinstance(node, FIRING):
        threshold = np.asarray(node.threshold if isinstance(node, nir.Threshold) else node.v_threshold, float)
        reset = np.asarray(getattr(node, "v_reset", 0.0), dtype=np.float64)
        if not broadcasts(threshold.shape, reset.shape):
            yield f"v_reset has shape {reset.shape}, v_threshold has {threshold.shape}"
        elif (threshold <= reset).any():
            yield "a threshold is not above the membrane's value after a spike (v_reset), so it would never rest"


def dynamics(
    node: nir.NIRNode, shape: tuple[int, ...], dt: float | None, integration: Integration, *, subtract: bool = False
) -> Dynamics:
    """The step of a node's neurons, broadcast to ``shape``. ``dt`` may be left out where :func:`needs_dt` is false.
    ``subtract``: the neurons reset by subtraction."""
    step = 1.0 if dt is None else dt

    def full(value: object) -> Float64:
        return np.broadcast_to(aligned(value, shape), shape).copy()

    def lost(tau: object) -> Float64:
        ratio = step / aligned(tau, shape)
        return full(np.minimum(ratio, 1.0) if integration == "euler" else -np.expm1(-ratio))

    zero = full(0.0)
    current_lost, gain_u = full(1.0), full(1.0)
    if isinstance(node, nir.CubaLIF | nir.CubaLI):
        current_lost = lost(node.tau_syn)
        gain_u = current_lost * full(node.w_in)
    if isinstance(node, nir.Threshold):
        return Dynamics(zero, gain_u, zero, full(1.0), zero, full(node.threshold), zero)
    if isinstance(node, nir.IF | nir.I):
        keep_v, gain_v, drive = full(1.0), step * full(node.r), zero
    else:
        leaked = lost(node.tau if isinstance(node, nir.LIF | nir.LI) else node.tau_mem)
        keep_v, gain_v, drive = 1 - leaked, leaked * full(node.r), leaked * full(node.v_leak)
    fires = isinstance(node, FIRING)
    return Dynamics(
        keep_u=1 - current_lost,
        gain_u=gain_u,
        keep_v=keep_v,
        gain_v=gain_v,
        drive=drive,
        threshold=full(node.v_threshold) if fires else None,
        reset=full(node.v_reset) if fires else zero,
        subtract=subtract and fires,
    )
