"""The schedule ``layerwise``: a layer receives everything, then its emissions write one number."""

from __future__ import annotations

import numpy as np

from spikec.ir.graph import Population, Readout
from spikec.targets.c.code.context import Sink
from spikec.targets.c.code.flow import Flow, Lines
from spikec.targets.c.code.layer import Layer
from spikec.targets.c.code.memory import Member
from spikec.targets.c.code.neurons import EMIT
from spikec.targets.c.code.numbers import holding, widest
from spikec.targets.c.code.operations import written


def _received(layer: Layer, image: Flow, driven: Flow, kept: bool) -> tuple[Lines, str, str]:
    """Lines after which the membranes hold all that arrived; where they are, and their type.

    The image comes first, as often as the kind takes it, since a sum may be multiplied only while it stands alone.
    """
    code, node, times = layer.code, layer.node, layer.code.graph.constant_steps
    ends = [layer.driven]
    constant = node.v_init + times * layer.bias
    image_part = [code.bounds.image[node.name]] if layer.has_image else []
    for part in image_part:
        ends.append((part.low, part.high))
        low, high = constant + times * part.lowest, constant + times * part.highest
    if not layer.has_image:
        low = high = constant
    first = int(np.min(low)), int(np.max(high))
    within = (
        min(first[0] + layer.driven[0], *(e[0] for e in ends)),
        max(first[1] + layer.driven[1], *(e[1] for e in ends)),
    )
    v_type = holding(*within, signed=True)
    about = f"{node.name}: membranes"
    station = None if kept else layer.station
    v = code.state.add(Member(f"v_{layer.id}", v_type, layer.size, about, layer.station, station))
    sink, text, function = Sink(v, v_type, node.shape), code.functions, code.name("begin", layer.id)
    table = layer.table("start", constant, f"membranes at the start, with {times} times the biases")
    lines: Lines = []
    text.comment(
        f"{node.name}: v = v_init + {times} * {'(image + bias)' if layer.has_image else 'bias'}, then spikes are added"
    )
    with text.function(f"static void {function}({v_type} *restrict v)"), layer.each(text, table):
        product = max((times * max(-part.low, part.high) for part in image_part), default=0)
        wide = widest(v_type, holding(-product, product), "int32_t")
        text.line(f"v[n] = ({v_type})({table.at}{f' + ({wide})v[n] * {times}' if layer.has_image else ''});")
    if layer.has_image:
        lines += [image.clear(sink), *image.added(node, sink)]
    lines.append(f"{function}({v});")
    if layer.has_driven:
        lines += driven.added(node, sink)
    return lines, v, v_type


def emitting(layer: Layer, image: Flow, driven: Flow, e_type: str, e: str) -> Lines:
    """Lines after which ``e`` holds the numbers that a population writes."""
    node, code = layer.node, layer.code
    assert isinstance(node, Population)
    most = node.neuron.reach(code.graph.timesteps)
    lines, v, v_type = _received(layer, image, driven, kept=False)
    theta = layer.table("theta", node.theta, "thresholds")
    text, function = code.functions, code.name("emit", layer.id)
    text.comment(f"{node.name}, {node.neuron.name}: number = clip(floor(v / theta), 0, {most})")
    head = f"static void {function}(const {v_type} *restrict v, {e_type} *restrict e)"
    with text.function(head), layer.each(text, theta):
        wide = "int64_t" if v_type == "int64_t" or theta.high >= 2**31 else "int32_t"
        text.line(f"const {wide} m = v[n];")
        written(EMIT, node.neuron, node.name)(layer, text, wide, theta, most)
        text.line(f"e[n] = ({e_type})k;")
    return [*lines, f"{function}({v}, {e});"]


def putting_out(layer: Layer, image: Flow, driven: Flow) -> tuple[Lines, str, str]:
    """Lines after which the membranes of a readout hold its output; where they are, and their type."""
    assert isinstance(layer.node, Readout)
    return _received(layer, image, driven, kept=True)
