"""A graph as lava-dl's netx can hold it: one chain of synapse and neurons, without pools.

netx (lava-dl 0.6.0, ``netx/hdf5.py``) builds ``conv`` and ``dense`` layers, each with its neurons, one behind the
other. Its ``pool``, ``average`` and ``concat`` raise ``NotImplementedError``, and ``add`` is skipped in silence. A sum
pool directly before a synapse is folded into it, which changes no sum: a convolution of pooled maps is a convolution
with a larger kernel and stride, and a dense layer repeats its columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import spikec.ir as ig
from spikec.errors import DoesNotFit, MissingImplementation
from spikec.implementations import Implementations
from spikec.words import average_pools, option

#: Lava's Conv keeps kernel size, stride, padding, dilation and groups in int8.
_INT8 = 127


@dataclass(frozen=True)
class LayerRules:
    """What netx does with a synapse.

    ``fold``: from a synapse and the pool before it to a synapse that reads what the pool reads, or to the reason why
    there is none. ``limits``: numbers that Lava's synapse, as netx builds it, does not hold, a sentence each.
    """

    fold: Callable[[Any, ig.SumPool], ig.Synapse | str]
    limits: Callable[[Any], list[str]]


def no_layer(name: str) -> DoesNotFit:
    """The error for an operation that lava-dl does not know."""
    instead = f"; use {average_pools()}" if name == ig.MaxPool.__name__ else ""
    return DoesNotFit(f"netx has no layer for {name}{instead}")


#: Synapses that netx has layers for.
NETX_SYNAPSES: Implementations[LayerRules] = Implementations(
    "netx layer", "spikec.targets.netx.chain.NETX_SYNAPSES", of=ig.Synapse, otherwise=no_layer
)


def as_chain(graph: ig.IntegerGraph) -> ig.IntegerGraph:
    """The same network without pools: input, synapses and populations in turn, then a dense synapse and the readout.

    Before a dense synapse that reads maps comes a flatten. Raises ``DoesNotFit`` with every reason why netx cannot hold
    the network; ``.reasons`` lists them.
    """
    if graph.delayed:
        late = ", ".join(node.of for node in graph.delayed)
        why = "netx sets neurons back between sequences, but not what is still on its way to them"
        refuse([f"what {late} sends arrives late (a delay, or a recurrent layer): {why}"])
    if len(graph.readouts) > 1:
        refuse([f"it has several outputs ({', '.join(r.output for r in graph.readouts)}), a netx file has one"])
    reasons = [reason for node in graph for reason in _shape_of_chain(graph, node)]
    nodes: dict[str, ig.Node] = {}
    for node in graph:
        match node:
            case ig.SumPool() | ig.Flatten():
                continue
            case ig.Synapse() if node in NETX_SYNAPSES:
                pools, source = _behind(graph, node)
                folded = _folded(node, pools)
                if isinstance(folded, str):
                    reasons.append(folded)
                    continue
                reasons += NETX_SYNAPSES(folded).limits(folded)
                if len(folded.input_shape) < len(source.output_shape):
                    flat = ig.Flatten(f"{node.name}.flat", (source.name,), source.output_shape, folded.input_shape)
                    nodes[flat.name] = flat
                    source = flat
                nodes[node.name] = replace(folded, sources=(source.name,))
            case ig.Operation():
                reasons.append(f"{node.name}: {no_layer(type(node).__name__)}")
            case ig.InputNode() | ig.Population() | ig.Readout():
                nodes[node.name] = node
            case _:
                raise MissingImplementation(f"{type(node).__name__} has no place in a netx file")
    refuse(reasons)
    return replace(graph, nodes=nodes)


def refuse(reasons: list[str]) -> None:
    """Raise ``DoesNotFit`` with all reasons, if there are any."""
    if reasons:
        count = f", {len(reasons)} reasons" if len(reasons) > 1 else ""
        raise DoesNotFit.listing(f"netx cannot hold this graph{count}", reasons)


def folded_pools(graph: ig.IntegerGraph) -> list[str]:
    """Names of the pools that :func:`as_chain` folds away."""
    return [node.name for node in graph if isinstance(node, ig.SumPool)]


def _shape_of_chain(graph: ig.IntegerGraph, node: ig.Node) -> list[str]:
    """What is wrong with the place of a node."""
    reasons = []
    consumers = graph.consumers(node.name)
    if len(consumers) > 1:
        names = ", ".join(c.name for c in consumers)
        reasons.append(f"{node.name} feeds {len(consumers)} nodes ({names}), netx layers form one chain")
    if len(node.sources) > 1:
        reasons.append(f"{node.name} adds {len(node.sources)} branches ({', '.join(node.sources)}), netx has no add")
    sources = [graph.nodes[s] for s in node.sources]
    match node:
        case ig.Population():
            for source in sources:
                if isinstance(source, ig.SumPool):
                    reasons.append(f"{source.name} pools before the neurons {node.name}, netx has no pool")
                elif not isinstance(source, ig.Synapse):
                    reasons.append(
                        f"{node.name} has no synapse before it, netx neurons belong to a conv or dense layer"
                    )
        case ig.Readout():
            for source in sources:
                if not isinstance(source, ig.Affine):
                    reasons.append(f"{node.name} is fed by {source.name}, which is not a dense layer")
        case ig.Synapse():
            for source in sources:
                behind = _without_pools(graph, source)
                if isinstance(behind, ig.Synapse):
                    reasons.append(f"{node.name} follows {behind.name} without neurons between, netx has no such layer")
    return reasons


def _without_pools(graph: ig.IntegerGraph, node: ig.Node) -> ig.Node:
    while isinstance(node, ig.SumPool | ig.Flatten) and node.sources:
        node = graph.nodes[node.sources[0]]
    return node


def _behind(graph: ig.IntegerGraph, node: ig.Synapse) -> tuple[list[ig.SumPool], ig.Node]:
    """The pools before a synapse, the nearest first, and what they read."""
    pools: list[ig.SumPool] = []
    source = graph.nodes[node.sources[0]]
    while isinstance(source, ig.SumPool | ig.Flatten):
        if isinstance(source, ig.SumPool):
            pools.append(source)
        source = graph.nodes[source.sources[0]]
    return pools, source


def _folded(node: ig.Synapse, pools: list[ig.SumPool]) -> ig.Synapse | str:
    """``node`` reading what the pools read, or why that is impossible."""
    for pool in pools:
        if pool.kernel != pool.stride:
            return (
                f"{pool.name} has kernel {pool.kernel} and stride {pool.stride}: only equal ones fold into {node.name}"
            )
        folded = NETX_SYNAPSES(node).fold(node, pool)
        if isinstance(folded, str):
            return folded
        node = folded
    return node


def _columns_repeated(node: ig.Affine, pool: ig.SumPool) -> ig.Affine:
    channels, height, width = pool.input_shape
    (kh, kw), (_, rows, columns) = pool.kernel, pool.output_shape
    pooled = node.weight.reshape(-1, channels, rows, columns)
    weight = np.zeros((len(pooled), channels, height, width), np.int64)
    weight[:, :, : rows * kh, : columns * kw] = pooled.repeat(kh, axis=2).repeat(kw, axis=3)
    return replace(node, weight=weight.reshape(len(pooled), -1), input_shape=(channels * height * width,))


def _kernel_enlarged(node: ig.Convolution, pool: ig.SumPool) -> ig.Convolution | str:
    covered = all(size % k == 0 for size, k in zip(pool.input_shape[1:], pool.kernel, strict=True))
    if any(node.padding) and not covered:
        return (
            f"{pool.name} drops the edge of {pool.input_shape[1]}x{pool.input_shape[2]} maps and {node.name} pads: "
            "folded together they would read the dropped edge"
        )
    if node.dilation != (1, 1):
        return f"{pool.name} cannot be folded into the dilated convolution {node.name}, and netx has no pool"
    kh, kw = pool.kernel
    top, bottom, left, right = node.margin
    return replace(
        node,
        input_shape=pool.input_shape,
        weight=node.weight.repeat(kh, axis=2).repeat(kw, axis=3),
        stride=(node.stride[0] * kh, node.stride[1] * kw),
        padding=(node.padding[0] * kh, node.padding[1] * kw),
        margin=(top * kh, bottom * kh, left * kw, right * kw),
    )


def _affine_limits(node: ig.Affine) -> list[str]:
    lowest, highest = int(node.narrow_weight.min()), int(node.narrow_weight.max())
    reasons = _wide_weights(node, lowest, highest)
    if lowest == highest == 0:
        reasons.append(f"{node.name} has only zero weights, on which netx raises OverflowError")
    elif highest <= 0 and (-lowest).bit_count() == 1:
        reasons.append(
            f"{node.name} has no positive weight and its smallest is {lowest}: netx would shift that to -256, but "
            "Lava's inhibitory synapses clip at -255"
        )
    return reasons


def _convolution_limits(node: ig.Convolution) -> list[str]:
    reasons = _wide_weights(node, int(node.narrow_weight.min()), int(node.narrow_weight.max()))
    for what, values in (
        ("kernel size", node.weight_shape[2:]),
        ("stride", node.stride),
        ("padding", node.padding),
        ("dilation", node.dilation),
        ("groups", (node.groups,)),
    ):
        if max(values) > _INT8:
            reasons.append(f"{node.name} has {what} {max(values)}, Lava's Conv holds at most {_INT8}")
    return reasons


def _wide_weights(node: ig.Synapse, lowest: int, highest: int) -> list[str]:
    if lowest >= -128 and highest <= _INT8:
        return []
    exponent = (
        f" (8 bits times 2**{node.weight_exp}; export with {option('format', 'netx')})" if node.weight_exp else ""
    )
    return [f"{node.name} has weights {lowest}..{highest}, netx takes 8 bits{exponent}"]


NETX_SYNAPSES.register(ig.Affine)(LayerRules(_columns_repeated, _affine_limits))
NETX_SYNAPSES.register(ig.Convolution)(LayerRules(_kernel_enlarged, _convolution_limits))
