"""What a framework does otherwise than NIR's step, as a rule that can be run: the reason for spikes that differ.

A chain of weights and neurons, where a layer may also lead to itself, stepped in float64. With :data:`NIR` this is
NIR's step; every other rule says one thing that a framework does instead. If the framework's spikes come out, the rule
is what it does.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Literal

import nir
import numpy as np
import numpy.typing as npt

from spikec.conversion.from_nir.dynamics import Dynamics
from spikec.conversion.from_nir.sequences import SequenceNetwork

Float64 = npt.NDArray[np.float64]


def unchanged(neurons: Dynamics) -> Dynamics:
    return neurons


@dataclass(frozen=True)
class Rule:
    """``says``: in words. ``reset``: ``at once``; ``late``, in the step after the spike, behind leak and input; or
    ``again``: at once, but where the membrane is still above its threshold after that, the next step takes the
    threshold off before it compares, and gives it back if the neuron does not fire then. ``several``: as many spikes in
    a step as the threshold fits into the membrane. ``meant``: the neurons that the file should hold."""

    says: str
    reset: Literal["at once", "late", "again"] = "at once"
    several: bool = False
    meant: Callable[[Dynamics], Dynamics] = unchanged


NIR = Rule("as NIR")


def current_undiminished(neurons: Dynamics) -> Dynamics:
    """Input that enters the current whole: w_in = tau_syn / dt."""
    return replace(neurons, gain_u=np.ones_like(neurons.gain_u))


def current_kept(keep: float) -> Callable[[Dynamics], Dynamics]:
    """A current with decay where the file has none; it decays after the input has come in."""

    def changed(neurons: Dynamics) -> Dynamics:
        return replace(neurons, keep_u=np.full_like(neurons.keep_u, keep), gain_u=np.full_like(neurons.gain_u, keep))

    return changed


def run_rule(network: SequenceNetwork, rule: Rule, sequences: Float64) -> dict[str, Float64]:
    """What each layer emits [N, steps, neurons], spikes or their number, for sequences [N, steps, features]."""
    sent, found = sequences, {}
    for name, neurons in network.neurons.items():
        forward, back = _weights(network, name)
        sent = found[name] = _layer(rule.meant(neurons), rule, sent @ forward[0].T + forward[1], back)
    return found


def _layer(n: Dynamics, rule: Rule, drive: Float64, back: tuple[Float64, Float64] | None) -> Float64:
    assert n.threshold is not None
    u, v, emitted, out = *np.zeros((2, len(drive), drive.shape[2])), np.zeros_like(drive[:, 0]), []
    for step in range(drive.shape[1]):
        z = drive[:, step] + (emitted @ back[0].T + back[1] if back else 0.0)
        u = n.keep_u * u + n.gain_u * z
        m = n.keep_v * v + n.gain_v * u + n.drive
        before = emitted if rule.reset == "late" else v > n.threshold
        if rule.reset != "at once":
            m = _reset(m, before, n)
        emitted = np.maximum(np.trunc(m / n.threshold), 0.0) if rule.several else (m > n.threshold).astype(np.float64)
        match rule.reset:
            case "at once":
                v = _reset(m, emitted, n)
            case "late":
                v = m
            case "again":
                v = _reset(m, emitted - before, n)
        out.append(emitted)
    return np.stack(out, axis=1)


def _reset(m: Float64, emitted: Float64, n: Dynamics) -> Float64:
    assert n.threshold is not None
    return m - emitted * (n.threshold - n.reset) if n.subtract else np.where(emitted > 0, n.reset, m)


def rounded(network: SequenceNetwork) -> SequenceNetwork:
    """The network with weights of 8 bits, one scale per output, and nothing else rounded."""
    nodes = dict(network.nodes)
    for name, node in nodes.items():
        if isinstance(node, nir.Affine | nir.Linear):
            weight = np.asarray(node.weight, dtype=np.float64)
            unit = np.abs(weight).max(axis=1, keepdims=True) / 127
            nodes[name] = copied = copy(node)
            copied.weight = np.rint(weight / unit) * unit
    return replace(network, nodes=nodes)


def _weights(network: SequenceNetwork, name: str) -> tuple[tuple[Float64, Float64], tuple[Float64, Float64] | None]:
    """Weights and bias of what leads to a layer from the one before it, and of what leads from it to itself."""
    forward, back = None, None
    for source in network.sources[name]:
        node = network.nodes[source]
        assert isinstance(node, nir.Affine | nir.Linear), f"{name} is fed by a {type(node).__name__}"
        weight = np.asarray(node.weight, dtype=np.float64)
        given = weight, np.broadcast_to(np.asarray(getattr(node, "bias", 0.0), dtype=np.float64), weight.shape[:1])
        if name in network.sources[source]:
            back = given
        else:
            forward = given
    assert forward is not None
    return forward, back
