"""Matrices in which most weights are zero: for each input the outputs that it meets."""

from __future__ import annotations

import numpy as np

from spikec.ir.operations import Affine
from spikec.ir.types import Int64
from spikec.targets.c.code.context import Context, Sink
from spikec.targets.c.code.layout import View
from spikec.targets.c.code.numbers import holding, widest
from spikec.targets.c.code.weights import times


def by_input(code: Context, node: Affine, view: View, sink: Sink, columns: Int64) -> str:
    """A function that goes over the inputs that are not zero. ``columns``: mantissas [O, I], in the order in which the
    inputs lie."""
    key = "sparse", node.name, view.ctype, view.low, view.high, view.key, sink.ctype
    function, new = code.once(key, f"add_{code.ids[node.name]}")
    if not new:
        return function
    text, lists = code.functions, code.kept.get(("lists", node.name, view.key))
    if lists is None:
        lists = code.kept["lists", node.name, view.key] = _listed(code, node, columns)
    at, at_type, to, w = lists
    factor = 2**node.weight_exp
    inner = widest(holding(view.low * factor, view.high * factor, signed=True), sink.ctype)
    text.comment(f"{node.name}: z[o] += w[o, i] * a[i], for every a and w that are not 0")
    head = f"static void {function}(const {view.ctype} *restrict a, {sink.ctype} *restrict z)"
    with text.function(head), text.loop("i", columns.shape[1]):
        text.line("if (a[i] == 0) continue;")
        text.line(f"const {inner} value = ({inner})({times('a[i]', factor, inner)});")
        with text.block(f"for ({at_type} k = {at}[i]; k < {at}[i + 1]; ++k)"):
            text.line(f"z[{to}[k]] = ({sink.ctype})(z[{to}[k]] + value * {w}[k]);")
    return function


def _listed(code: Context, node: Affine, columns: Int64) -> tuple[str, str, str, str]:
    """Write the lists: where those of each input begin and the type of that, outputs, weights."""
    inputs, outputs = np.nonzero(columns.T)
    starts, name = np.searchsorted(inputs, np.arange(columns.shape[1] + 1)), code.ids[node.name]
    at, at_type = code.tables.array(f"starts_{name}", starts, f"{node.name}: where the weights of each input begin")
    to, _ = code.tables.array(f"to_{name}", outputs, f"{node.name}: which output each weight is for")
    what = f"{node.name}: weights that are not zero"
    w, _ = code.tables.array(f"w_{name}", columns.T[inputs, outputs], what, ctype="int8_t")
    return at, at_type, to, w
