"""Grouped convolutions as dense ones and rectangular kernels as square ones: forms that nir's type check takes.

The function stays the same: a dense kernel is block-diagonal, and a kernel grows by zeros on both sides of the shorter
axis while the padding grows with it.
"""

from __future__ import annotations

from math import prod

import numpy as np

from spikec.nir.graph import RawNode, numbers
from spikec.nir.nodes import CONVOLUTIONS
from spikec.nir.shapes import per_axis

#: Numbers a dense kernel may have.
DENSE_MAX = 2**27


def why_not_dense(node: RawNode) -> str:
    """Why a convolution has no equal form that nir's type check takes; empty where it has one."""
    weight, groups = node.array("weight"), node.array("groups")
    if node.kind not in CONVOLUTIONS or weight is None or groups is None or groups.size != 1:
        return "its weights or groups are not known"
    groups, axes = int(groups.reshape(-1)[0]), weight.ndim - 2
    if weight.size * groups > DENSE_MAX:
        return f"a dense kernel would have {weight.size * groups} numbers"
    kernel = weight.shape[2:]
    if any((max(kernel) - k) % 2 for k in kernel):
        return f"a kernel of {kernel} has no square form: zeros on both sides need an even difference"
    if prod(kernel) and max(kernel) ** axes * prod(weight.shape[:2]) * groups > DENSE_MAX:
        return "a square kernel would be too large"
    return ""


def make_dense(node: RawNode) -> str:
    """Rewrite a convolution in place; returns what was done. It must have such a form (:func:`why_not_dense`)."""
    weight, groups = node.array("weight"), int(node.array("groups").reshape(-1)[0])
    done = []
    if groups > 1:
        rows, columns = weight.shape[0] // groups, weight.shape[1]
        dense = np.zeros((weight.shape[0], columns * groups, *weight.shape[2:]), weight.dtype)
        for group in range(groups):
            own = slice(group * rows, (group + 1) * rows)
            dense[own, group * columns : (group + 1) * columns] = weight[own]
        done.append(f"{groups} groups became one dense kernel, {dense.size // max(weight.size, 1)} times as large")
        weight, node.fields["groups"] = dense, numbers(1, np.int64)
    kernel = weight.shape[2:]
    if len(set(kernel)) > 1:
        more = [(max(kernel) - k) // 2 for k in kernel]
        weight = np.pad(weight, [(0, 0), (0, 0), *((n, n) for n in more)])
        padding = node.fields["padding"].data
        if not (isinstance(padding, str) and padding == "same"):
            old = (0,) * len(kernel) if isinstance(padding, str) else per_axis(node, "padding", len(kernel))
            steps = per_axis(node, "dilation", len(kernel))
            assert old is not None  # why_not_dense is asked where shapes are known
            assert steps is not None
            wider = [p + n * d for p, n, d in zip(old, more, steps, strict=True)]
            node.fields["padding"] = numbers(wider, np.int64)
        done.append(f"a kernel of {kernel} became {weight.shape[2:]} by zeros and more padding")
    node.fields["weight"] = numbers(weight)
    return "; ".join(done)
