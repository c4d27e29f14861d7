"""The hard-reset approximation: a file that stock netx loads and runs, and what it computes.

Lava's ``LIF`` with no leak integrates, fires when ``v > vth`` and resets to zero; what the membrane held above the
threshold, and the initial membrane, are lost. It is a different network from the deployment, with another accuracy,
which has to be measured and named. The readout is a ``LIF`` whose threshold is out of reach: its membrane is the
output.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import toolchain.ir.integer as ig
from targets.lava.arithmetic import Kernel, lava_layout, product
from targets.lava.currents import kernel_of
from targets.netx.chain import as_chain, refuse
from targets.netx.file import HARD, Group, fill_neuron, write_layers
from toolchain.ir import as_integer

if TYPE_CHECKING:
    import nir

#: Largest threshold mantissa of Lava's LIF and of Loihi: 17 bits.
VTH_MAX = 2**17 - 1
#: Lava stores the bias mantissa as int16; Loihi has 13 bits with sign.
BIAS_LAVA, BIAS_LOIHI = 2**15 - 1, 2**12 - 1
#: Lava's LIF holds weights, membranes and thresholds times 64 in 24 bits: currents wrap, membranes saturate there.
_UNIT, _STATE = 64, 2**23

Int64 = npt.NDArray[np.int64]


def write_hard_reset(graph: nir.NIRGraph | ig.IntegerGraph, path: str | os.PathLike[str]) -> ig.IntegerGraph:
    """Write the hard-reset approximation; returns what the file holds.

    Raises ``DoesNotFit`` with all reasons where stock netx cannot hold even that.
    """
    chain = as_chain(as_integer(graph))
    refuse(_limits(chain))
    write_layers(chain, Path(path), HARD, _write_neurons)
    return chain


def _limits(chain: ig.IntegerGraph) -> list[str]:
    reasons = []
    if chain.schedule != "pipelined":
        reasons.append(f"the schedule is {chain.schedule}, stock neurons fire while they integrate (pipelined)")
    if chain.drain:
        reasons.append(f"the network drains for {chain.drain} steps, stock netx cannot switch biases off")
    for node in chain:
        match node:
            case ig.Population():
                if node.kind != "if":
                    reasons.append(f"{node.name} has neurons of kind {node.kind}, lava-dl has none like it")
                elif np.ptp(node.theta):
                    low, high = node.theta.min(), node.theta.max()
                    reasons.append(f"{node.name} has thresholds {low}..{high}, a netx layer has one")
                elif int(node.theta.max()) - 1 > VTH_MAX:
                    reasons.append(f"{node.name} has threshold {node.theta.max()}, vThMant holds {VTH_MAX}")
            case ig.Readout():
                if node.v_init.any():
                    reasons.append(f"{node.name} starts at another value than 0, netx has no key for it")
            case ig.Convolution() | ig.Affine():
                bias = int(np.abs(node.bias).max(initial=0))
                if bias > BIAS_LAVA:
                    reasons.append(f"{node.name} has a bias of {bias}, Lava's LIF holds {BIAS_LAVA}")
    return reasons


def beyond_loihi(chain: ig.IntegerGraph) -> list[str]:
    """What Lava simulates and Loihi's 13-bit bias mantissa does not hold without an exponent, one sentence a layer."""
    return [
        f"{node.name}: bias up to {np.abs(node.bias).max()}, a Loihi bias mantissa holds {BIAS_LOIHI}"
        for node in chain.synapses
        if np.abs(node.bias).max(initial=0) > BIAS_LOIHI
    ]


def _write_neurons(group: Group, node: ig.Population | ig.Readout) -> None:
    readout = isinstance(node, ig.Readout)
    threshold = VTH_MAX if readout else int(node.theta.flat[0]) - 1  # type: ignore[union-attr]
    fill_neuron(
        group,
        type="CUBA",
        name=node.name,
        kind="integrator" if readout else "if",
        vThMant=threshold,  # Lava fires above it, the deployment at it
        iDecay=4096,
        vDecay=0,
        refDelay=1,
    )


@dataclass(frozen=True)
class HardReset:
    """What the hard-reset network gives: ``output`` int64 [N, classes], ``counts`` and ``spikes`` int [N, (T,) *shape]
    per population, and in how many neuron-steps Lava's 24-bit current wrapped or membrane saturated."""

    output: Int64
    counts: dict[str, npt.NDArray[np.int32]]
    spikes: dict[str, npt.NDArray[np.int8]]
    wrapped: int = 0


def simulate_hard_reset(chain: ig.IntegerGraph, integers: Int64) -> HardReset:
    """Run integer images [N, *input shape] through the network of a hard-reset file, by Lava's fixed-point rules."""
    kernels = {node.name: kernel_of(node) for node in chain if isinstance(node, ig.Convolution)}
    results = [_run(chain, kernels, image) for image in integers]
    names = [p.name for p in chain.populations]
    spikes = {name: np.stack([r[1][name] for r in results]) for name in names}
    return HardReset(
        np.stack([r[0] for r in results]),
        {name: s.sum(axis=1, dtype=np.int32) for name, s in spikes.items()},
        spikes,
        sum(r[2] for r in results),
    )


def _run(
    chain: ig.IntegerGraph, kernels: dict[str, Kernel], image: Int64
) -> tuple[Int64, dict[str, npt.NDArray[np.int8]], int]:
    """Layer after layer: readout, spikes [T, *shape] per population, wraps."""
    incoming: list[Any] = [image]  # one entry for all steps, or one per step
    spikes: dict[str, npt.NDArray[np.int8]] = {}
    wrapped = 0
    for node in chain:
        match node:
            case ig.Flatten():
                incoming = [x.reshape(-1) for x in incoming]
            case ig.Convolution():
                kernel = kernels[node.name]
                bias = node.bias.reshape(-1, 1, 1)
                incoming = [(lava_layout(kernel(lava_layout(x))).astype(np.int64), bias) for x in incoming]
            case ig.Affine():
                sums = product(np.stack(incoming), node.weight)
                incoming = [(z, node.bias) for z in sums]
            case ig.Population() | ig.Readout():
                steps = incoming * (chain.timesteps if len(incoming) == 1 else 1)
                threshold = VTH_MAX if isinstance(node, ig.Readout) else int(node.theta.flat[0]) - 1
                v, train, count = _lif(steps, threshold)
                wrapped += count
                if isinstance(node, ig.Readout):
                    return v // _UNIT, spikes, wrapped
                spikes[node.name] = train
                incoming = list(train.astype(np.int64))
    raise ValueError("the chain has no readout")


def _lif(steps: list[tuple[Int64, Int64]], threshold: int) -> tuple[Int64, npt.NDArray[np.int8], int]:
    """Lava's LIF without leak: (membrane * 64, spikes [T, ...], neuron-steps beyond 24 bits)."""
    v = np.zeros(np.broadcast(*steps[0]).shape, np.int64)
    train, wrapped = [], 0
    for synaptic, bias in steps:
        u = synaptic * _UNIT
        beyond = (u > _STATE) | (u <= -_STATE)
        u = np.where(u > _STATE, u - 2 * _STATE, np.where(u <= -_STATE, u + 2 * _STATE, u))
        m = v + u + bias * _UNIT
        beyond |= np.abs(m) > _STATE - 1
        v = np.clip(m, 1 - _STATE, _STATE - 1)
        fired = v > threshold * _UNIT
        v = np.where(fired, 0, v)
        train.append(fired.astype(np.int8))
        wrapped += int(beyond.sum())
    return v, np.stack(train), wrapped
