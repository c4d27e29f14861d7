"""Networks of leaky neurons as files that stock netx loads and runs: the same network, to the bit.

A leaky neuron with a reset to zero is lava-dl's own ``CUBA`` neuron, Lava's ``LIFReset``. A readout that has weights of
its own is a ``CUBA`` neuron whose threshold is out of reach: its membrane is the output. One that only counts spikes
is left out: the file then ends with the neurons whose spikes it counts.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import spikec.ir as ig
from spikec.analysis.ranges import bounds
from spikec.arguments import file_path
from spikec.ir import as_integer
from spikec.ir.graph import leak_of
from spikec.ir.integers import magnitude
from spikec.ir.kinds import CubaLIF
from spikec.ir.leak import BIAS_MANTISSA, THETA_MAX, UNIT, UNITY, Leak
from spikec.ir.types import Int64
from spikec.simulation.encode import as_sequences, encoded
from spikec.simulation.engines.neurons import put_out
from spikec.simulation.input_warning import told
from spikec.simulation.trace import TargetSteps, Trace
from spikec.targets.lava import lif
from spikec.targets.lava.arithmetic import lava_layout
from spikec.targets.lava.assembling import assemble
from spikec.targets.lava.integer_limits import check_ranges
from spikec.targets.lava.job import Job
from spikec.targets.lava.paths import FRAME_SOURCE, LIF_RESET, READOUTS, SPIKE_RECORDER
from spikec.targets.lava.plan import Plan, make_plan
from spikec.targets.lava.program import FAST_MODELS
from spikec.targets.netx.chain import as_chain, refuse
from spikec.targets.netx.file import INTEGRATOR, STOCK, Group, fill_neuron, write_layers
from spikec.targets.netx.program import WORKER, require_lava_dl, run_netx
from spikec.targets.netx.reading import sound_tree
from spikec.words import option

if TYPE_CHECKING:
    import nir


def write_stock(graph: nir.NIRGraph | ig.IntegerGraph, path: str | os.PathLike[str]) -> ig.IntegerGraph:
    """Write a network of ``cuba_lif`` neurons that runs on sequences; returns what the file holds.

    The file appears whole or not at all. Raises ``DoesNotFit`` with all reasons where stock netx cannot hold it: an
    export with the number format ``netx`` keeps weights, thresholds and biases within what it can.
    """
    network = as_integer(graph)
    chain = as_chain(network)
    refuse(_limits(chain))
    write_layers(
        chain, network.deployment_sha256, file_path(path, "a netx file"), STOCK, _write_neurons, _counting(chain)
    )
    return chain


def cautions(chain: ig.IntegerGraph) -> list[str]:
    """What holds only if sequences do not reach the worst case, a sentence each."""
    readout = chain.readout
    if _counting(chain):
        return []
    worst = bounds(chain).membranes[readout.name].high * (1 if readout.leak else UNIT)
    limit = THETA_MAX * UNIT
    if worst <= limit:
        return []
    return [f"{readout.name} could reach {worst}; in stock netx it would fire and start again beyond {limit}"]


def run_stock(
    path: str | os.PathLike[str],
    chain: ig.IntegerGraph,
    sequences: Any,
    *,
    stock: bool = True,
    stall_seconds: float = 120.0,
) -> Trace:
    """Run a file of :func:`write_stock` in stock netx, neurons and loader as lava-dl has them. Returns the golden
    model's Trace, with spikes and without membranes.

    ``chain``: what :func:`write_stock` returned, for the coding of the input and the names of layers. ``sequences``: as
    ``tc.simulate`` takes them, sent as graded spikes. ``stock=False`` takes the fast models of Conv and Dense.
    ``stall_seconds``: without progress for so long, Lava is given up.
    """
    require_lava_dl()
    sound_tree(path)
    whole, lengths = as_sequences(chain.input, sequences)
    integers, coding = encoded(chain.input, whole, lengths=lengths)
    told(chain, coding)
    graph = chain.lasting(integers.shape[1])
    check_ranges(graph, image_is_sent=True)
    complete = make_plan(graph, "graded", stock=dict.fromkeys((p.name for p in graph.populations), LIF_RESET))
    plan = _beside_netx(graph, complete)
    readout = next((i for i, spec in enumerate(plan.processes) if spec.path in READOUTS), None)
    steps = plan.lava_steps(len(integers))
    settings = {
        "reset": STOCK,
        "file": str(file_path(path, "a netx file").resolve()),
        "window": graph.timesteps,
        "readout": readout,
        "windows": [steps] if readout is None else [1] * steps,
    }
    models = {} if stock else FAST_MODELS
    job = Job(plan, len(integers), {}, lava_layout(integers, leading=2), True, models, WORKER, settings)
    started = time.monotonic()
    results = run_netx(job, stall_seconds)
    seconds, info = time.monotonic() - started, {"file": file_path(path, "a netx file").name}
    results.arrays[graph.readout.name] = {"curve": _curve(graph, results.arrays)}
    target_steps = TargetSteps(len(complete.processes), steps, results.seconds, complete.latency)
    unseen = frozenset((*(p.name for p in graph.populations), graph.readout.name))
    found = assemble(graph, integers, [results], seconds, info, target_steps, unseen, lengths=lengths)
    return replace(found, target="netx", coding=coding)


def _curve(graph: ig.IntegerGraph, arrays: dict[str, dict[str, Any]]) -> Int64:
    """What the readout puts out [N, steps, *shape] so far, after each step."""
    node = graph.readout
    if _counting(graph):
        synapse = graph.nodes[node.sources[0]]
        assert isinstance(synapse, ig.Affine)
        spikes = lava_layout(arrays[synapse.sources[0]]["spikes"], leading=2)
        counted: Int64 = spikes.reshape(*spikes.shape[:2], -1).cumsum(axis=1, dtype=np.int64) @ synapse.weight.T
        return counted
    membranes = arrays[node.name]["curve"] // (1 if node.leak else UNIT)
    curve: Int64 = put_out(node, torch.from_numpy(membranes).transpose(0, 1)).transpose(0, 1).numpy()
    return curve


def _beside_netx(graph: ig.IntegerGraph, plan: Plan) -> Plan:
    """Source, a recorder per population, and the readout where the file has one; netx has all the rest."""
    kept = {FRAME_SOURCE, SPIKE_RECORDER} | (set() if _counting(graph) else READOUTS)
    return replace(plan, processes=tuple(spec for spec in plan.processes if spec.path in kept))


def _counting(chain: ig.IntegerGraph) -> frozenset[str]:
    """Names of the readout and its synapse, where they do no more than count spikes."""
    readout = chain.readout
    synapse = chain.nodes[readout.sources[0]]
    counts = (
        readout.leak is None
        and isinstance(synapse, ig.Affine)
        and set(np.unique(synapse.weight)) <= {0, 1}
        and not synapse.bias.any()
        and not readout.v_init.any()
        and isinstance(chain.nodes[synapse.sources[0]], ig.Population)
        and readout.decode == "membrane"
    )
    return frozenset((readout.name, synapse.name)) if counts else frozenset()


def _limits(chain: ig.IntegerGraph) -> list[str]:
    if not chain.sequences:
        return ["the network takes images: write and write_hard_reset are for those"]
    unfit = lif.unfit(chain, pace=1)
    reasons = []
    for node in chain:
        if node.name in _counting(chain):
            continue
        if isinstance(node, ig.Population) and not isinstance(node.neuron, CubaLIF):
            reasons.append(f"{node.name} has neurons of kind {node.neuron.name}, lava-dl has none like it")
        elif isinstance(node, ig.Population) and node.name in unfit:
            reasons.append(f"{node.name}: {unfit[node.name]}")
        elif isinstance(node, ig.Population):
            reasons += _bias_limits(node.name, _leak(node).bias)
        elif isinstance(node, ig.Readout):
            if node.v_init.any():
                reasons.append(f"{node.name} starts at another value than 0, netx has no key for it")
            leak = _leak(node)
            several = [what for what, values in (("du", leak.du), ("dv", leak.dv)) if np.ptp(values)]
            reasons += [f"{node.name}: its neurons differ in {what}, a netx layer has one" for what in several]
            reasons += _bias_limits(node.name, _leak(node).bias)
        elif isinstance(node, ig.Synapse) and _ends_in_integrator(chain, node):
            reasons += _bias_limits(node.name, node.bias * UNIT)
        elif isinstance(node, ig.Synapse) and node.bias.any():
            reasons.append(f"{node.name} has a bias that enters the current, netx adds one to the membrane alone")
    return reasons


def _ends_in_integrator(chain: ig.IntegerGraph, node: ig.Synapse) -> bool:
    """Whether current and membrane of what reads a synapse take a bias alike: a readout without leak."""
    return chain.readout.leak is None and chain.readout.sources == (node.name,)


def _bias_limits(name: str, bias: Int64) -> list[str]:
    """``bias``: of membranes, in 64ths of a unit."""
    if (bias % UNIT).any():
        part = int(bias[bias % UNIT != 0].flat[0])
        return [
            f"{name} has a bias of {part}, netx has multiples of {UNIT} alone: export with {option('format', 'netx')}"
        ]
    largest = magnitude(bias) // UNIT
    return [f"{name} has a bias of {largest} units, netx holds {BIAS_MANTISSA}"] if largest > BIAS_MANTISSA else []


def _leak(node: ig.Population | ig.Readout) -> Leak:
    """That of a readout without leak keeps no current, and all of the membrane."""
    zero = np.zeros(node.shape, np.int64)
    return leak_of(node) or Leak(zero + UNITY - 1, zero, zero)


def _write_neurons(group: Group, node: ig.Population | ig.Readout) -> None:
    leak = _leak(node)
    threshold = THETA_MAX if isinstance(node, ig.Readout) else int(node.theta.flat[0])
    fill_neuron(
        group,
        type="CUBA",
        name=node.name,
        kind=INTEGRATOR if isinstance(node, ig.Readout) else node.neuron.name,
        vThMant=threshold,
        iDecay=int(leak.du.flat[0]) + 1,
        vDecay=int(leak.dv.flat[0]),
        refDelay=1,
    )
    if leak_of(node) is not None:
        layer = group.parent
        del layer["bias"]
        if leak.bias.any():
            layer["bias"] = lava_layout(leak.bias // UNIT)
