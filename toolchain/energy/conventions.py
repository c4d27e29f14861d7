"""The numbers other tools would print for the same execution, and why they differ from ours.

Definitions as read in the tools' sources: NeuroBench ``macs.py`` (e521c28), sinabs ``synopcounter.py`` (904eb89),
syops-counter ``ops.py`` (4232f77), KerasSpiking ``model_energy.py`` (b28875a). All values are means per image, summed
over the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from toolchain.energy.arrivals import arriving
from toolchain.energy.counts import Counts, SynapseCounts, count
from toolchain.energy.fanout import fan_out, nonzero
from toolchain.errors import DataError, ToolchainError
from toolchain.ir import as_integer
from toolchain.ir.integer import Affine, Convolution, Int64, IntegerGraph, Population, SumPool
from toolchain.simulation.trace import Trace

if TYPE_CHECKING:
    import nir

_KERAS_SYNOP = (23.6 + 3.5) * 1e-12  # joule; the 3.5 is no energy per SynOp but a time in ns, or the mean hop
_KERAS_NEURON = 81e-12
_SYOPS_MAC, _SYOPS_AC = 4.6e-12, 0.9e-12  # float32 operations, whatever the weights are


@dataclass(frozen=True)
class Convention:
    """``values`` as the tool names them, ``ours`` for comparison, and ``notes`` on every difference that applies."""

    tool: str
    values: dict[str, float]
    ours: dict[str, float]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.tool}, per image:"]
        lines += [f"  {name}: {value:.6g}" for name, value in self.values.items()]
        lines += [f"  here {name}: {value:.6g}" for name, value in self.ours.items()]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


@dataclass(frozen=True)
class _Layer:
    """One synapse node as a tool that sees only tensors would find it."""

    counts: SynapseCounts
    from_input: bool
    pooled: bool
    signed: bool
    graded: bool
    density: float  # events per source neuron, image and step


def convention(graph: nir.NIRGraph | IntegerGraph, trace: Trace, tool: str) -> Convention:
    """What ``tool`` (``neurobench``, ``sinabs``, ``syops`` or ``keras-spiking``) would print for this execution."""
    if tool not in TOOLS:
        raise ToolchainError(f"no convention is called {tool!r}; known: {', '.join(TOOLS)}")
    net = as_integer(graph)
    counts = count(net, trace)
    layers = [_layer(net, counts, name) for name in counts.synapses]
    values, notes = TOOLS[tool](net, trace, counts, layers)
    ours = {"SynOps": counts.synops / counts.images, "SynOps, non-zero weights": counts.synops_nonzero / counts.images}
    return Convention(tool, values, ours, tuple(notes))


def _layer(net: IntegerGraph, counts: Counts, name: str) -> _Layer:
    origins = [origin for origin, reached in counts.fan_out.items() if name in reached]
    spiking = [node for node in map(net.nodes.get, origins) if isinstance(node, Population)]
    neurons = sum(counts.events[origin].size for origin in origins)
    events = sum(int(counts.events[origin].sum()) for origin in origins)
    return _Layer(
        counts=counts.synapses[name],
        from_input=counts.synapses[name].input_fed,
        pooled=any(isinstance(net.nodes[source], SumPool) for source in _before(net, name)),
        signed=any(p.kind == "signed_if" for p in spiking),
        graded=any((p.levels or 1) > 1 for p in spiking),
        density=events / (neurons * counts.images * counts.steps),
    )


def _before(net: IntegerGraph, name: str) -> list[str]:
    """Linear nodes between the nearest neurons and ``name``."""
    found = []
    for source in net.nodes[name].sources:
        node = net.nodes[source]
        if not isinstance(node, Population) and node.sources:
            found += [source, *_before(net, source)]
    return found


def neurobench(net: IntegerGraph, trace: Trace, counts: Counts) -> dict[str, float]:
    """NeuroBench's metrics by its names (Yik et al., 2025), means per image where they count.

    ``footprint``: bytes of what the deployment stores: weights at the width of their largest mantissa, biases,
    thresholds and initial membranes of 4 bytes (the package takes the element size of tensors instead).
    ``connection_sparsity``: share of zero weights; ``activation_sparsity``: share of neuron-steps without a spike.
    """
    layers = [_layer(net, counts, name) for name in counts.synapses]
    values, _ = _neurobench(net, trace, counts, layers)
    weights = sum(node.weight.size for node in net.synapses)
    zeros = sum(int((node.weight == 0).sum()) for node in net.synapses)
    bits = sum(node.weight.size * _width(node) for node in net.synapses)
    words = sum(node.bias.size for node in net.synapses) + net.readout.v_init.size
    words += sum(population.theta.size + population.v_init.size for population in net.populations)
    steps = sum(entry.updates for name, entry in counts.populations.items() if name != net.readout.name)
    return {
        "footprint": bits / 8 + 4 * words,
        "connection_sparsity": zeros / weights if weights else 0.0,
        "activation_sparsity": 1 - counts.spikes / steps if steps else 1.0,
        **{key.lower(): value for key, value in values.items()},
    }


def _width(node: Convolution | Affine) -> int:
    """Bits of the largest mantissa in two's complement."""
    mantissas = node.weight >> node.weight_exp
    return 1 + max((~int(mantissas.min(initial=0))).bit_length(), int(mantissas.max(initial=0)).bit_length())


Result = tuple[dict[str, float], list[str]]


def _neurobench(net: IntegerGraph, trace: Trace, counts: Counts, layers: list[_Layer]) -> Result:
    """Non-zero inputs x non-zero weights; a layer counts as AC in a step where all its inputs are -1, 0 or 1.

    A layer behind a pool sees sums, of which only a raster tells how many are not zero: without one the events of the
    pooled neurons stand for them.
    """
    effective = {"Effective_ACs": 0, "Effective_MACs": 0}
    notes = ["NeuroBench leaves out zero weights in the effective numbers, as `synops_nonzero` does here"]
    for layer in layers:
        name, spiking = layer.counts.name, {p.name for p in net.populations}
        if not layer.from_input and all(p in trace.spikes for p in spiking):
            for acs, operations in _neurobench_steps(net, trace, name):
                effective["Effective_ACs" if acs else "Effective_MACs"] += operations
            continue
        many = layer.from_input or layer.graded or layer.pooled
        effective["Effective_MACs" if many else "Effective_ACs"] += layer.counts.synops_nonzero
    if any(layer.pooled for layer in layers):
        notes.append("it takes each non-zero pooled value for one operation, here each event of a pooled neuron is one")
        if not trace.spikes:
            notes.append("without rasters (record='spikes') pooled events stand in for its non-zero pooled values")
    dense = sum(layer.counts.dense_macs for layer in layers) * counts.steps
    return {**{key: total / counts.images for key, total in effective.items()}, "Dense": float(dense)}, notes


def _neurobench_steps(net: IntegerGraph, trace: Trace, name: str) -> Iterator[tuple[bool, int]]:
    """(whether accumulations, operations over the images) of every step of a layer fed by neurons."""
    node = net.nodes[name]
    assert isinstance(node, Convolution | Affine)
    fan = fan_out(node, nonzero(node))
    steps = next(iter(trace.spikes.values())).shape[1]
    for step in range(steps):
        entering = arriving(net, {layer: raster[:, step] for layer, raster in trace.spikes.items()}, name)
        yield bool(np.abs(entering).max(initial=0) <= 1), int(((entering != 0).sum(axis=0) * fan).sum())


def _sinabs(net: IntegerGraph, trace: Trace, counts: Counts, layers: list[_Layer]) -> Result:
    """Value-weighted: sum of x * fan-out, so signs cancel and payloads multiply."""
    total = 0.0
    for population in net.populations:
        net_counts = _net_counts(trace, population.name)
        total += sum(float((net_counts * fan.synapses).sum()) for fan in counts.fan_out[population.name].values())
    notes = ["the layer fed by the image is left out: sinabs weights it with the pixels' real values"]
    if any(layer.signed for layer in layers):
        notes.append("a +1 and a -1 of one neuron cancel in sinabs; here they are two events")
    if any(layer.graded for layer in layers):
        notes.append("a payload k counts k times in sinabs; here it is one event and one multiplication")
    return {"synops": total / counts.images}, notes


def _net_counts(trace: Trace, name: str) -> Int64:
    """Sum of the emissions of every neuron over images and steps, signs and payloads included."""
    if name not in trace.count_totals and name not in trace.counts:
        raise DataError("the trace holds no spike counts; simulate with counts=True or counts='totals'")
    found = trace.count_totals.get(name)
    totals: Int64 = trace.counts[name].sum(axis=0, dtype=np.int64) if found is None else found
    return totals


def _syops(net: IntegerGraph, trace: Trace, counts: Counts, layers: list[_Layer]) -> Result:
    """All positions, padding included, x rate of the input; dense MACs where the input is not binary."""
    acs = macs = 0.0
    for layer in layers:
        dense = layer.counts.padded_macs * counts.steps
        if layer.from_input or layer.pooled or layer.signed or layer.graded:
            macs += dense
        else:
            acs += dense * layer.density
    notes = [
        "syops multiplies all positions by the mean rate, so border neurons and padding count like any other",
        "inputs that are not 0 or 1 (pixels, pools, signs, payloads) make the layer dense",
        "4.6 and 0.9 pJ are float32 operations in 45 nm without any memory",
    ]
    joules = macs * _SYOPS_MAC + acs * _SYOPS_AC
    return {"ACs": acs, "MACs": macs, "joules": joules}, notes


def _keras_spiking(net: IntegerGraph, trace: Trace, counts: Counts, layers: list[_Layer]) -> Result:
    """Mean rate x connections (outputs x kernel, padding included), and every neuron at every step."""
    synops = sum(
        layer.counts.padded_macs * _magnitude(net, trace, counts, layer) * counts.steps
        for layer in layers
        if not layer.from_input
    )
    updates = counts.updates / counts.images
    notes = [
        "KerasSpiking's Loihi: 23.6 + 3.5 pJ per SynOp, 81 pJ per neuron and step; no static power, no messages",
        "the layer fed by the image is left out: KerasSpiking takes the pixels' real values as rates",
    ]
    return {"synops": synops, "joules": synops * _KERAS_SYNOP + updates * _KERAS_NEURON}, notes


def _magnitude(net: IntegerGraph, trace: Trace, counts: Counts, layer: _Layer) -> float:
    """Mean of |x| over the layer's source neurons, images and steps: a payload counts by its value."""
    if not layer.graded:
        return layer.density
    origins = [origin for origin, reached in counts.fan_out.items() if layer.counts.name in reached]
    values = sum(int(_net_counts(trace, origin).sum()) for origin in origins)
    neurons = sum(counts.events[origin].size for origin in origins)
    return values / (neurons * counts.images * counts.steps)


TOOLS: dict[str, Callable[[IntegerGraph, Trace, Counts, list[_Layer]], Result]] = {
    "neurobench": _neurobench,
    "sinabs": _sinabs,
    "syops": _syops,
    "keras-spiking": _keras_spiking,
}
