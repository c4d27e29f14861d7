"""The conformance suite: small integer networks that show whether a simulator has the right neuron.

    for case in conformance_cases():
        write_case(case, folder)
        golden = tc.simulate(case.graph, case.images, record="spikes")

A simulator conforms if it gives all spikes of the golden model on every case that is not ``refused``, and runs none of
the ``refused`` cases. ``benchmarks/interop.py`` does this with five simulators.

The conformance network: input (2, 8, 8), integers 0 to 3, constant over 8 steps; Conv 2->4, IF (23), pool 2x2,
Conv 4->6 stride 2, IF (160), Flatten, Affine 24->5, IF (11). Weights and biases are integers in [-7, 7], the biases of
the second layer times 4, for the sum pool. With a skip: after the first IF a Conv 4->4 into an IF (31), and beside it a
1x1 convolution of weight 13. Its small thresholds cause ties and membranes beyond two thresholds and below minus one;
these show which mistake a simulator makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from spikec.ir import (
    Affine,
    Convolution,
    Flatten,
    InputNode,
    Int64,
    IntegerGraph,
    Node,
    Population,
    Readout,
    Shape,
    SumPool,
    Synapse,
    build,
    save,
)
from spikec.ir.kinds import IF, CalibratedIF, SignedIF

Images = npt.NDArray[np.float32]
STEPS = 8
SEEDS = (0, 1, 2)
IMAGES = 4


@dataclass(frozen=True)
class Case:
    """One network on one batch of images.

    ``feature`` names the row of the support matrix. ``plain``: a NIR graph that is no deployment file, run with the
    initial membranes of ``graph``. ``raw``: also run through the importers alone. ``portable``: also run in its
    portable form. ``refused``: every adapter must refuse it.
    """

    name: str
    feature: str
    graph: IntegerGraph
    images: Images
    plain: nir.NIRGraph | None = None
    raw: bool = False
    portable: bool = False
    refused: bool = False


def conformance(seed: int, *, pool: str = "sum", skip: bool = False) -> IntegerGraph:
    """The conformance network; ``pool`` is "sum" or "dense" (a convolution with ones)."""
    rng = np.random.default_rng(seed)

    def ints(*shape: int) -> Int64:
        return rng.integers(-7, 8, shape)

    nodes: list[Node] = [InputNode("input", (2, 8, 8), "uint8", 1.0)]
    nodes += [_conv("conv1", "input", (2, 8, 8), ints(4, 2, 3, 3), ints(4)), _neurons("if1", ("conv1",), (4, 8, 8), 23)]
    last = "if1"
    if skip:
        nodes.append(_conv("branch", "if1", (4, 8, 8), ints(4, 4, 3, 3), ints(4)))
        thirteen = 13 * np.eye(4, dtype=np.int64)[:, :, None, None]
        nodes.append(_conv("skip", "if1", (4, 8, 8), thirteen, np.zeros(4, np.int64), padding=0))
        nodes.append(_neurons("if_sum", ("branch", "skip"), (4, 8, 8), 31))
        last = "if_sum"
    if pool == "sum":
        nodes.append(SumPool("pool", (last,), (4, 8, 8), (4, 4, 4), (2, 2), (2, 2)))
    else:
        ones = np.kron(np.eye(4, dtype=np.int64)[:, :, None, None], np.ones((1, 1, 2, 2), np.int64))
        nodes.append(_conv("pool", last, (4, 8, 8), ones, np.zeros(4, np.int64), stride=2, padding=0))
    nodes += [
        _conv("conv2", "pool", (4, 4, 4), ints(6, 4, 3, 3), 4 * ints(6), stride=2),
        _neurons("if2", ("conv2",), (6, 2, 2), 160),
        Flatten("flatten", ("if2",), (6, 2, 2), (24,)),
        Affine("affine", ("flatten",), (24,), (5,), ints(5, 24), ints(5)),
        _neurons("if3", ("affine",), (5,), 11),
        Readout("readout", ("if3",), (5,), np.zeros(5, np.int64), 1.0),
    ]
    return _graph(nodes)


def _graph(nodes: list[Node]) -> IntegerGraph:
    return IntegerGraph(nodes={node.name: node for node in nodes}, timesteps=STEPS, schedule="pipelined")


def _conv(
    name: str,
    source: str,
    shape: Shape,
    weight: Int64,
    bias: Int64,
    *,
    stride: int = 1,
    padding: int | tuple[int, int] = 1,
) -> Convolution:
    pads = (padding, padding) if isinstance(padding, int) else padding
    strides, dilation = (stride, stride), (1, 1)
    output = Convolution.convolved(shape, weight.shape[0], weight.shape[2:], strides, pads, dilation)
    return Convolution(name, (source,), shape, output, weight, bias, strides, pads, dilation)


def _neurons(name: str, sources: tuple[str, ...], shape: Shape, theta: int) -> Population:
    full = np.full(shape, theta, dtype=np.int64)
    return Population(name, sources, shape, IF(), full, full // 2)


def with_populations(graph: IntegerGraph, **changes: dict[str, Any]) -> IntegerGraph:
    """The graph with fields of its populations replaced, by name."""
    nodes: dict[str, Node] = dict(graph.nodes)
    for population in graph.populations:
        nodes[population.name] = replace(population, **changes.get(population.name, {}))
    return replace(graph, nodes=nodes)


def from_zero(graph: IntegerGraph) -> IntegerGraph:
    """The same network with every membrane at 0."""
    return with_populations(graph, **{p.name: {"v_init": np.zeros(p.shape, np.int64)} for p in graph.populations})


def beyond(graph: IntegerGraph) -> IntegerGraph:
    """The network with all membranes starting at 0 and neurons that fire above the threshold, not on it.

    In doubled units with membranes one unit lower, m > theta is m' >= theta'.
    """
    nodes: dict[str, Node] = {}
    for name, node in from_zero(graph).nodes.items():
        if isinstance(node, Synapse) and name != "pool":  # a pool written as a convolution hands spikes on
            nodes[name] = replace(node, weight=2 * node.weight, bias=2 * node.bias)
        elif isinstance(node, Population):
            nodes[name] = replace(node, theta=2 * node.theta, v_init=node.v_init - 1)
        else:
            nodes[name] = node
    return replace(graph, nodes=nodes)


def _averaged(graph: IntegerGraph) -> nir.NIRGraph:
    """The conformance network with an AvgPool2d, the weights behind it times 4."""
    built = build(graph)
    pool, conv = built.nodes["pool"], built.nodes["conv2"]
    built.nodes["pool"] = nir.AvgPool2d(pool.kernel_size, pool.stride, pool.padding)
    conv.weight = 4 * conv.weight
    return built


def _per_channel(graph: IntegerGraph) -> IntegerGraph:
    return with_populations(
        graph,
        if1={"theta": graph.populations[0].theta + 5 * np.arange(4)[:, None, None]},
        if3={"theta": graph.populations[-1].theta + np.arange(5)},
    )


def _anywhere(graph: IntegerGraph, rng: np.random.Generator) -> IntegerGraph:
    starts = {p.name: {"v_init": rng.integers(-2 * p.theta, 3 * p.theta)} for p in graph.populations}
    return with_populations(graph, **starts)


def _rectangular(seed: int) -> IntegerGraph:
    """A 2x3 kernel, which NIR's type check cannot take."""
    rng = np.random.default_rng(seed)
    shape = (3, 7, 8)
    nodes: list[Node] = [
        InputNode("input", (2, 8, 8), "uint8", 1.0),
        _conv("conv", "input", (2, 8, 8), rng.integers(-7, 8, (3, 2, 2, 3)), rng.integers(-7, 8, 3), padding=(0, 1)),
        _neurons("if1", ("conv",), shape, 23),
        Flatten("flatten", ("if1",), shape, (168,)),
        Affine("affine", ("flatten",), (168,), (5,), rng.integers(-7, 8, (5, 168)), rng.integers(-7, 8, 5)),
        Readout("readout", ("affine",), (5,), np.zeros(5, np.int64), 1.0),
    ]
    return _graph(nodes)


def conformance_cases() -> Iterator[Case]:
    """The conformance network in its variants, and what must be refused where neurons fire at most once a step."""
    for seed in SEEDS:
        images = np.random.default_rng(1000 + seed).integers(0, 4, (IMAGES, 2, 8, 8)).astype(np.float32)
        for skip in (False, True):
            tag = f"{'-skip' if skip else ''}-{seed}"
            summed = conformance(seed, skip=skip)
            feature = "skip connection" if skip else "Conv2d, SumPool2d, Flatten, Affine"
            yield Case(f"sum{tag}", feature, summed, images, raw=True, portable=True)
            dense = conformance(seed, pool="dense", skip=skip)
            yield Case(f"dense{tag}", "pool as a Conv2d with ones", dense, images, raw=True)
            average = "AvgPool2d (not in deployment files)"
            yield Case(f"average{tag}", average, summed, images, plain=_averaged(summed), raw=True)
    rng = np.random.default_rng(7)
    summed = conformance(0)
    yield Case("per-channel", "thresholds that differ within a layer", _per_channel(summed), images)
    yield Case("starts", "v_init from -2 to 3 thresholds", _anywhere(summed, rng), images, portable=True)
    yield Case("rectangular", "rectangular kernels", _rectangular(3), images)
    signed = with_populations(summed, if1={"neuron": SignedIF(np.ones((4, 8, 8), np.int64))})
    yield Case("signed", f"{SignedIF.name} neurons", signed, images, refused=True)
    yield Case("layerwise", "layerwise schedule", replace(summed, schedule="layerwise"), images, refused=True)
    calibrated = with_populations(summed, if2={"neuron": CalibratedIF(rho=4)})
    yield Case("calibrated", f"{CalibratedIF.name} neurons", calibrated, images, refused=True)


def write_case(case: Case, folder: Path) -> None:
    """Write ``NAME.nir``, the deployment or plain graph, and ``NAME.npz``: the images float32 [N, 2, 8, 8], and what a
    plain graph cannot say (order of its nodes, steps, where populations and readout start)."""
    if case.plain is not None:
        nir.write(folder / f"{case.name}.nir", case.plain)
    else:
        save(build(case.graph), folder / f"{case.name}.nir")
    np.savez(
        folder / f"{case.name}.npz",
        images=case.images,
        order=np.array([*case.graph.nodes, "output"]),
        timesteps=case.graph.timesteps,
        readout=case.graph.readout.v_init,
        **{f"v_init/{p.name}": p.v_init for p in case.graph.populations},
    )
