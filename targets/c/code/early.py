"""Early exit: a run stops once no further step can change the class, or once the class leads by so many logits."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from spikec.analysis.early_exit import Rule
from spikec.targets.c.code.context import Context
from spikec.targets.c.code.numbers import holding, widest


def write_decided(code: Context, outputs: Mapping[str, tuple[str, str]]) -> str:
    """Write the function that says whether a run may stop after a step; its name.

    ``outputs``: where the membranes of each readout are, and their type. Raises ``DataError`` for a network that has
    no class before its last step.

    The rule and its proof are those of :mod:`spikec.analysis.early_exit`.
    """
    graph, text = code.graph, code.functions
    lead = code.choices.early_exit
    assert lead is not None
    rule = Rule(graph, code.bounds.ranges, lead or None)
    out, ctype = outputs[graph.readout.name]
    function, (on, off) = code.name("decided"), rule.gains
    tables = [code.tables.array("gain_on", on, "[p][o]: the most that a step adds to v[o] - v[p]")]
    if graph.drain:
        tables.append(code.tables.array("gain_off", off, "[p][o]: the same with image and biases off"))
    classes = graph.readout.shape[0]
    largest = max(int(np.abs(each).max()) for each in (on, off)) * max(graph.emission_steps, 1)
    bound = code.bounds.ranges.membranes[graph.readout.name]
    low, high = min(bound.low, int(graph.readout.v_init.min())), max(bound.high, int(graph.readout.v_init.max()))
    span = high - low + 1
    wide = widest(holding(-largest, largest), holding(-span, span), ctype, "int32_t")
    text.comment(
        "Whether the class is decided: for every other class p, v[best] - v[p] exceeds all that the remaining steps "
        "can add to v[p] - v[best]; equal numbers go to the lower class."
    )
    with text.function(f"static int32_t {function}(const {code.prefix}_state *const s)"):
        text.line(f"const {ctype} *const v = {out};")
        if graph.drain:
            text.line(f"const {wide} on = s->step < {graph.timesteps} ? {graph.timesteps} - s->step : 0;")
            text.line(f"const {wide} off = {graph.emission_steps} - s->step - on;")
        else:
            text.line(f"const {wide} on = {graph.emission_steps} - s->step;")
        text.line("int32_t best = 0;")
        text.line(f"for (int32_t p = 1; p < {classes}; ++p) if (v[p] > v[best]) best = p;")
        text.line("int32_t safe = 1;")
        if lead:
            text.line("int32_t ahead = 1;")
        with text.loop("p", classes):
            text.line("if (p == best) continue;")
            text.line(f"const {wide} lead = ({wide})v[best] - v[p];")
            gain = " + ".join(
                f"{name} * {table}[best * {classes} + p]"
                for name, (table, _) in zip(("on", "off"), tables, strict=False)
            )
            text.line(f"if (lead + (best < p) <= {gain}) safe = 0;")
            if lead:
                text.line(f"if (lead < {_least(lead, graph.readout.scale, span)}) ahead = 0;")
        text.line("return safe || ahead;" if lead else "return safe;")
    return function


def _least(lead: float, scale: float, most: int) -> int:
    """The smallest integer that is a lead of so many logits, as float64 multiplies; ``most`` where none below is."""
    if most * scale < lead:
        return most
    found = max(math.floor(lead / scale) - 2, 0)
    while found * scale < lead:
        found += 1
    return found
