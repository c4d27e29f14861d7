"""A stable, readable listing of a deployment graph: what ``spikec inspect`` prints and golden tests compare."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

import toolchain.ir.integer as ig
from toolchain.errors import GraphError
from toolchain.ir.decode import as_integer


def text(
    graph: nir.NIRGraph | ig.IntegerGraph,
    layer: str | None = None,
    worst: Mapping[str, tuple[int, int]] | None = None,
) -> str:
    """The listing of a graph, or of one node in full when ``layer`` names it.

    ``worst``: worst-case range per node (``toolchain.quantization.ranges``), a column if given.
    The same graph gives the same text, byte for byte, on every machine. Raises :class:`GraphError` for an unknown name.
    """
    integer = as_integer(graph)
    if layer is not None:
        if layer not in integer.nodes:
            raise GraphError(f"there is no node {layer!r}; nodes: {', '.join(integer.nodes)}")
        return _detail(integer, integer.nodes[layer])
    rows: list[tuple[str, ...]] = [("node", "kind", "shape", "from", "numbers")]
    rows += [(n.name, _kind(n), _shape(n.output_shape), " + ".join(n.sources), _numbers(n)) for n in integer]
    if worst is not None:
        shown = {name: f"[{low}, {high}]" for name, (low, high) in worst.items()}
        extra = ["worst case", *(shown.get(node.name, "") for node in integer)]
        rows = [(*row, cell) for row, cell in zip(rows, extra, strict=True)]
    return "\n".join([*_header(integer), "", *_table(rows), "", *_totals(integer)]) + "\n"


def _header(graph: ig.IntegerGraph) -> list[str]:
    drain = f", drain {graph.drain}" if graph.drain else ""
    lines = [
        "spikec.nir/1",
        f"T {graph.timesteps}, {graph.schedule}{drain}",
        f"input {graph.input.dtype} = clip(round(real / {graph.input.scale:.9g})), constant; "
        f"logits = output * {graph.readout.scale:.9g}",
    ]
    lines += [f"{key} {value}" for key, value in sorted(graph.info.items())]
    if graph.content_sha256:
        lines.append(f"content {graph.content_sha256}")
    if graph.source_sha256:
        lines.append(f"source  {graph.source_sha256}")
    return lines


def _totals(graph: ig.IntegerGraph) -> list[str]:
    neurons = sum(int(np.prod(p.shape)) for p in graph.populations)
    weights = sum(int(s.weight.size) for s in graph.synapses)
    biases = sum(int(s.bias.size) for s in graph.synapses)
    return [
        f"{len(graph.populations)} layers, {neurons} neurons, {weights} weights (int8), {biases} biases (int32)",
        f"memory: weights {weights} B, biases {4 * biases} B, state {4 * neurons} B, v_init {4 * neurons} B",
    ]


def _kind(node: ig.Node) -> str:
    match node:
        case ig.InputNode():
            return f"input {node.dtype}"
        case ig.Convolution():
            return f"conv {node.weight.shape[2]}x{node.weight.shape[3]}"
        case ig.Affine():
            return "affine"
        case ig.SumPool():
            return f"sumpool {node.kernel[0]}x{node.kernel[1]}"
        case ig.Flatten():
            return "flatten"
        case ig.Population():
            return node.kind
        case ig.Readout():
            return "integrator"


def _numbers(node: ig.Node) -> str:
    match node:
        case ig.Convolution():
            geometry = [f"stride {_pair(node.stride)}", f"pad {_pair(node.padding)}"]
            geometry += [f"dilation {_pair(node.dilation)}"] if node.dilation != (1, 1) else []
            geometry += [f"groups {node.groups}"] if node.groups > 1 else []
            return f"{' '.join(geometry)}, {_synapse(node)}"
        case ig.Affine():
            return _synapse(node)
        case ig.Population():
            negative = "" if node.theta_neg is None else f", theta_neg {_range(node.theta_neg)}"
            extra = "" if node.levels is None else f", levels {node.levels}"
            extra += "" if node.rho is None else f", rho {node.rho}"
            if node.scale is not None:
                low, high = float(node.scale.min()), float(node.scale.max())
                extra += f", 1 = {low:.6g}" if low == high else f", 1 = [{low:.6g}, {high:.6g}]"
            return f"theta {_range(node.theta)}, v_init {_range(node.v_init)}{negative}{extra}"
        case ig.Readout():
            return f"v_init {_range(node.v_init)}"
        case _:
            return ""


def _synapse(node: ig.Synapse) -> str:
    exponent = f" * 2^{node.weight_exp}" if node.weight_exp else ""
    mantissa = node.weight >> node.weight_exp
    return f"w {_range(mantissa)}{exponent}, bias {_range(node.bias)}"


def _detail(graph: ig.IntegerGraph, node: ig.Node) -> str:
    lines = [f"{node.name}: {_kind(node)} {_shape(node.output_shape)}"]
    lines += [f"from  {', '.join(node.sources) or '-'}"]
    lines += [f"to    {', '.join(n.name for n in graph.consumers(node.name)) or '-'}"]
    if _numbers(node):
        lines.append(_numbers(node))
    arrays: dict[str, ig.Int64] = {}
    if isinstance(node, ig.Convolution | ig.Affine):
        arrays = {"weight": node.weight, "bias": node.bias}
        zero = float((node.weight == 0).mean())
        lines.append(f"zero weights {zero:.1%}, fan-in {int(np.prod(node.weight.shape[1:]))}")
    elif isinstance(node, ig.Population):
        arrays = {"theta": node.theta, "v_init": node.v_init}
    for name, values in arrays.items():
        shown = np.array2string(values.reshape(-1), threshold=24, edgeitems=8, max_line_width=100)
        lines.append(f"{name} {_shape(values.shape)} {shown}")
    return "\n".join(lines) + "\n"


def _range(values: ig.Int64) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"[{low}, {high}]"


def _shape(shape: ig.Shape) -> str:
    return "x".join(map(str, shape))


def _pair(values: tuple[int, int]) -> str:
    return f"{values[0]}" if values[0] == values[1] else f"{values[0]}x{values[1]}"


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
