"""How large the graph of an ONNX file may be, and what it may compute of constants: a small file can ask for a lot."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spikec.errors import DataError

#: Nodes of a graph, its functions written out; the largest published networks have some ten thousand.
NODES_MOST = 100_000
#: Values of a constant that nodes compute.
VALUES_MOST = 2**27


def too_much(path: Path, proto: Any) -> None:
    """Raise :class:`DataError` for a graph of more nodes, its functions written out, than networks have, for functions
    that call themselves, and for stored tensors that say they have more values than they hold."""
    functions = {(each.domain, each.name): each for each in proto.functions}
    sizes: dict[tuple[str, str], int] = {}

    def nodes_of(nodes: Any, calling: tuple[tuple[str, str], ...]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in functions:
                if key in calling or len(calling) > _CALLS:
                    raise DataError(f"{path} is damaged: its function {node.op_type} is nested too deeply")
                if key not in sizes:
                    sizes[key] = nodes_of(functions[key].node, (*calling, key))
                total += sizes[key]
            total += 1 + sum(nodes_of(inner.node, calling) for inner in _graphs(node))
        return total

    count = nodes_of(proto.graph.node, ())
    if count > NODES_MOST:
        raise DataError(f"{path} has {count:,} nodes, its functions written out; at most {NODES_MOST:,} are taken")
    for tensor in proto.graph.initializer:
        values = math.prod(tensor.dims)
        if min(tensor.dims, default=0) < 0 or values > VALUES_MOST * _BYTES:
            raise DataError(f"{path} is damaged: the weights {tensor.name} have the shape {list(tensor.dims)}")


#: Functions that call one another, one within the other.
_CALLS = 64
_BYTES = 8


def _graphs(node: Any) -> list[Any]:
    return [graph for each in node.attribute for graph in (each.g, *each.graphs) if graph.node]


def check_result(proto: Any, known: Mapping[str, np.ndarray[Any, Any]], attributes: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` where a node makes more values of constants than any network has."""
    size = _RESULTS.get(proto.op_type)
    if size is None:
        return
    inputs = [known.get(name) for name in proto.input]
    values = size(inputs, attributes)
    if not values <= VALUES_MOST:
        raise ValueError(f"it makes {values:.3g} values of constants, more than {VALUES_MOST:,}")


Inputs = list[Any]


def _whole(array: Any) -> list[int]:
    return [int(each) for each in np.asarray(array).reshape(-1)] if array is not None else []


def _expand(inputs: Inputs, _: Mapping[str, Any]) -> float:
    return float(math.prod(max(each, 1) for each in _whole(inputs[1])) * inputs[0].size)


def _tile(inputs: Inputs, _: Mapping[str, Any]) -> float:
    return float(math.prod(_whole(inputs[1])) * inputs[0].size)


def _range(inputs: Inputs, _: Mapping[str, Any]) -> float:
    start, limit, step = (float(np.asarray(each).reshape(-1)[0]) for each in inputs[:3])
    return abs((limit - start) / step) if step else math.inf


def _pad(inputs: Inputs, attributes: Mapping[str, Any]) -> float:
    pads = _whole(inputs[1]) if len(inputs) > 1 else _whole(attributes.get("pads"))
    rank = inputs[0].ndim
    if len(pads) != 2 * rank:
        return float(inputs[0].size + sum(map(abs, pads))) if len(inputs) < 4 else float(sum(map(abs, pads)) ** rank)
    sizes = (n + max(a, 0) + max(b, 0) for n, a, b in zip(inputs[0].shape, pads[:rank], pads[rank:], strict=True))
    return float(math.prod(sizes))


def _resize(inputs: Inputs, _: Mapping[str, Any]) -> float:
    sizes = _whole(inputs[3]) if len(inputs) > 3 else []
    if sizes:
        return float(math.prod(sizes))
    scales = np.asarray(inputs[-1], np.float64).reshape(-1)
    return float(inputs[0].size * np.prod(np.maximum(scales, 1)))


#: Operators whose result may be far larger than what they take, and how many values it has.
_RESULTS: Mapping[str, Callable[[Inputs, Mapping[str, Any]], float]] = {
    "ConstantOfShape": lambda inputs, _: float(math.prod(_whole(inputs[0]))),
    "Expand": _expand,
    "Tile": _tile,
    "Range": _range,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
    "OneHot": lambda inputs, _: float(inputs[0].size * max(_whole(inputs[1])[0], 0)),
}
