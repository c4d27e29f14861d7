"""Readouts: they add up what arrives, and put out their membrane, or the sum or the maximum of all so far."""

from __future__ import annotations

from dataclasses import dataclass

from spikec.ir.graph import Readout
from spikec.targets.c.code.context import Sink
from spikec.targets.c.code.layer import Charged, Layer
from spikec.targets.c.code.leaking import Leaking
from spikec.targets.c.code.numbers import holding


@dataclass(frozen=True)
class Reading:
    """``sink`` for what spikes add in a step; ``read``: a function of the state and of what is on; ``out`` and
    ``ctype``: where the output lies, and its type."""

    sink: Sink | None
    read: str
    out: str
    ctype: str


def reading(layer: Layer, steps: int) -> Reading:
    """A pipelined readout that runs for ``steps`` steps at most."""
    node, code = layer.node, layer.code
    assert isinstance(node, Readout)
    text, function = code.functions, code.name("read", layer.id)
    low, high = layer.membrane
    total = steps if node.decode == "sum" else 1
    out_type = holding(total * min(low, 0), total * max(high, 0), signed=True)
    gathered = {"sum": "sum of m over all steps so far", "maximum": "largest m so far", "membrane": "m"}[node.decode]
    if node.leak is not None:
        leaking = Leaking(layer, node.leak)
        sink, v_type, v, tables = leaking.sink, "int32_t", leaking.membranes, leaking.tables
        equation = leaking.equation
    else:
        charged = Charged(layer, settled=(low, high))
        sink, v_type, v, tables = (
            charged.sink if layer.has_driven else None,
            charged.v_type,
            charged.v,
            charged.tables,
        )
        equation = "v += z"
    if node.decode == "membrane":
        out_type, out = v_type, v
    else:
        out = layer.keep("out", out_type, f"{gathered}: what it puts out")
    on = ", const int32_t on" if code.graph.drain else ""
    first = ", const int32_t first" if node.decode == "maximum" else ""
    text.comment(f"{node.name}: {equation}; the output is {gathered if node.decode != 'membrane' else 'v'}")
    with text.function(f"static void {function}({code.prefix}_state *const s{on}{first})"):
        if node.decode != "membrane":
            text.line(f"{out_type} *restrict const out = {out};")
        (leaking if node.leak is not None else charged).pointers(text)
        with layer.each(text, *tables):
            (leaking if node.leak is not None else charged).charge(text)
            text.line(f"v[n] = ({v_type})m;")
            if node.decode == "sum":
                text.line(f"out[n] = ({out_type})(out[n] + m);")
            elif node.decode == "maximum":
                text.line(f"if (first || m > out[n]) out[n] = ({out_type})m;")
    return Reading(sink, function, out, out_type)
