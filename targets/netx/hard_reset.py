"""The hard-reset approximation: a file that stock netx loads and runs, and what it computes.

Lava's ``LIF`` with no leak integrates, fires when ``v > vth`` and resets to zero; what the membrane held above the
threshold, and the initial membrane, are lost. It is a different network from the deployment, with another accuracy,
which has to be measured and named. The readout is a ``LIF`` whose threshold is out of reach: its membrane is the
output.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import spikec.ir as ig
from spikec.arguments import file_path
from spikec.errors import DoesNotFit, MissingImplementation
from spikec.implementations import Implementations
from spikec.ir import as_integer
from spikec.ir.integers import magnitude
from spikec.ir.kinds import IF, Kind
from spikec.ir.leak import BIAS_MANTISSA, CURRENT_MAX, THETA_MAX, UNIT
from spikec.targets.lava.arithmetic import lava_layout, product
from spikec.targets.lava.currents import kernel_of
from spikec.targets.netx.chain import as_chain, no_layer, refuse
from spikec.targets.netx.file import HARD, INTEGRATOR, Group, fill_neuron, write_layers

if TYPE_CHECKING:
    import nir

#: Lava stores the bias mantissa as int16.
BIAS_LAVA = 2**15 - 1

Int64 = npt.NDArray[np.int64]
#: From the input of an operation in some steps to its synaptic sums without bias, both int64 [steps, *shape].
Sums = Callable[[Int64], Int64]

#: Why the neurons of lava-dl cannot approximate those of a kind, a sentence for each reason.
HARD_RESET_LIMITS: Implementations[Callable[[ig.Population], list[str]]] = Implementations(
    "hard-reset approximation",
    "spikec.targets.netx.hard_reset.HARD_RESET_LIMITS",
    of=Kind,
    otherwise=lambda name: DoesNotFit(f"neurons of kind {name}, lava-dl has none like it"),
)
#: What an operation adds up.
HARD_RESET_SUMS: Implementations[Callable[[Any], Sums]] = Implementations(
    "hard-reset approximation",
    "spikec.targets.netx.hard_reset.HARD_RESET_SUMS",
    of=ig.Operation,
    otherwise=no_layer,
)


def write_hard_reset(graph: nir.NIRGraph | ig.IntegerGraph, path: str | os.PathLike[str]) -> ig.IntegerGraph:
    """Write the hard-reset approximation; returns what the file holds.

    Raises ``DoesNotFit`` with all reasons where stock netx cannot hold even that.
    """
    network = as_integer(graph)
    if network.sequences:
        raise DoesNotFit("its neurons are those that stock netx has: no approximation is needed")
    chain = as_chain(network)
    refuse(_limits(chain))
    write_layers(chain, network.deployment_sha256, file_path(path, "a netx file"), HARD, _write_neurons)
    return chain


def _limits(chain: ig.IntegerGraph) -> list[str]:
    reasons = []
    if chain.schedule != "pipelined":
        reasons.append(f"the schedule is {chain.schedule}, stock neurons fire while they integrate (pipelined)")
    if chain.drain:
        reasons.append(f"the network drains for {chain.drain} steps, stock netx cannot switch biases off")
    for node in chain:
        if isinstance(node, ig.Population):
            if node.neuron in HARD_RESET_LIMITS:
                reasons += HARD_RESET_LIMITS(node.neuron)(node)
            else:
                reasons.append(f"{node.name} has {HARD_RESET_LIMITS.refusal(node.neuron)}")
        elif isinstance(node, ig.Readout):
            if node.v_init.any():
                reasons.append(f"{node.name} starts at another value than 0, netx has no key for it")
        elif isinstance(node, ig.Synapse):
            bias = magnitude(node.bias)
            if bias > BIAS_LAVA:
                reasons.append(f"{node.name} has a bias of {bias}, Lava's LIF holds {BIAS_LAVA}")
    return reasons


@HARD_RESET_LIMITS.register(IF)
def _plain_limits(node: ig.Population) -> list[str]:
    if node.neuron.multiplied:
        return [f"{node.name} sends up to {node.neuron.emission[1]} spikes in a step, a neuron of lava-dl one"]
    if np.ptp(node.theta):
        return [f"{node.name} has thresholds {node.theta.min()}..{node.theta.max()}, a netx layer has one"]
    if int(node.theta.max()) - 1 > THETA_MAX:
        return [f"{node.name} has threshold {node.theta.max()}, vThMant holds {THETA_MAX}"]
    return []


def beyond_loihi(chain: ig.IntegerGraph) -> list[str]:
    """Biases that Lava simulates but Loihi's 13-bit mantissa cannot hold without an exponent, a sentence per layer."""
    return [
        f"{node.name}: bias up to {magnitude(node.bias)}, a Loihi bias mantissa holds {BIAS_MANTISSA}"
        for node in chain.synapses
        if magnitude(node.bias) > BIAS_MANTISSA
    ]


def _write_neurons(group: Group, node: ig.Population | ig.Readout) -> None:
    fill_neuron(
        group,
        type="CUBA",
        name=node.name,
        kind=INTEGRATOR if isinstance(node, ig.Readout) else node.neuron.name,
        vThMant=_threshold(node),
        iDecay=4096,
        vDecay=0,
        refDelay=1,
    )


def _threshold(node: ig.Population | ig.Readout) -> int:
    """The threshold in the file. Lava fires above the threshold, the deployment already at it."""
    return THETA_MAX if isinstance(node, ig.Readout) else int(node.theta.flat[0]) - 1


@dataclass(frozen=True)
class HardReset:
    """What the hard-reset network computes.

    ``output``: int64 [N, classes]. Per population, ``counts``: int [N, *shape], and ``spikes``: int [N, T, *shape].
    ``wrapped``: in how many neuron-steps Lava's 24-bit current wrapped or its membrane saturated.
    """

    output: Int64
    counts: dict[str, npt.NDArray[np.int32]]
    spikes: dict[str, npt.NDArray[np.int8]]
    wrapped: int = 0


def simulate_hard_reset(chain: ig.IntegerGraph, integers: Int64) -> HardReset:
    """Run integer images [N, *input shape] through the network of a hard-reset file, by Lava's fixed-point rules."""
    sums = {node.name: HARD_RESET_SUMS(node)(node) for node in chain if isinstance(node, ig.Operation)}
    results = [_run(chain, sums, image) for image in integers]
    names = [p.name for p in chain.populations]
    spikes = {name: np.stack([r[1][name] for r in results]) for name in names}
    return HardReset(
        np.stack([r[0] for r in results]),
        {name: s.sum(axis=1, dtype=np.int32) for name, s in spikes.items()},
        spikes,
        sum(r[2] for r in results),
    )


def _run(
    chain: ig.IntegerGraph, sums: dict[str, Sums], image: Int64
) -> tuple[Int64, dict[str, npt.NDArray[np.int8]], int]:
    """Layer after layer: readout, spikes [T, *shape] per population, wraps."""
    steps = image[None]  # one entry for all steps, or one per step
    bias = np.zeros((), np.int64)
    spikes: dict[str, npt.NDArray[np.int8]] = {}
    wrapped = 0
    for node in chain:
        match node:
            case ig.InputNode():
                pass
            case ig.Operation():
                steps = sums[node.name](steps)
                if isinstance(node, ig.Synapse):
                    bias = node.spread_bias()
            case ig.Population() | ig.Readout():
                v, train, count = _lif(np.broadcast_to(steps, (chain.timesteps, *node.shape)), bias, _threshold(node))
                wrapped += count
                if isinstance(node, ig.Readout):
                    return v // UNIT, spikes, wrapped
                spikes[node.name] = train
                steps = train.astype(np.int64)
            case _:
                raise MissingImplementation(f"{type(node).__name__} has no place in a netx file")
    raise ValueError("the chain has no readout")


@HARD_RESET_SUMS.register(ig.Flatten)
def _flatten(node: ig.Flatten) -> Sums:
    return lambda steps: steps.reshape(len(steps), -1)


@HARD_RESET_SUMS.register(ig.Affine)
def _affine(node: ig.Affine) -> Sums:
    return lambda steps: product(steps, node.weight)


@HARD_RESET_SUMS.register(ig.Convolution)
def _convolution(node: ig.Convolution) -> Sums:
    kernel = kernel_of(node)
    return lambda steps: np.stack([lava_layout(kernel(lava_layout(x))).astype(np.int64) for x in steps])


def _lif(steps: Int64, bias: Int64, threshold: int) -> tuple[Int64, npt.NDArray[np.int8], int]:
    """Lava's LIF without leak, from the sums of every step: (membrane * 64, spikes [T, ...], neuron-steps beyond 24
    bits)."""
    v = np.zeros(steps.shape[1:], np.int64)
    train, wrapped = [], 0
    for synaptic in steps:
        u = synaptic * UNIT
        beyond = (u > CURRENT_MAX) | (u <= -CURRENT_MAX)
        u = np.where(u > CURRENT_MAX, u - 2 * CURRENT_MAX, np.where(u <= -CURRENT_MAX, u + 2 * CURRENT_MAX, u))
        m = v + u + bias * UNIT
        beyond |= np.abs(m) > CURRENT_MAX - 1
        v = np.clip(m, 1 - CURRENT_MAX, CURRENT_MAX - 1)
        fired = v > threshold * UNIT
        v = np.where(fired, 0, v)
        train.append(fired.astype(np.int8))
        wrapped += int(beyond.sum())
    return v, np.stack(train), wrapped
