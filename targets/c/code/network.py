"""The order of a run: what is computed once for an image, what in every step, and which layer comes after which."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from spikec.errors import DoesNotFit
from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, Node, Population, Readout
from spikec.ir.kinds import Maximum
from spikec.ir.operations import Operation
from spikec.targets.c.code.context import Context, Sink
from spikec.targets.c.code.flow import Flow, Lines, ordered, slots_of
from spikec.targets.c.code.layer import Layer
from spikec.targets.c.code.layerwise import emitting, putting_out
from spikec.targets.c.code.layout import View, order_of
from spikec.targets.c.code.memory import Member
from spikec.targets.c.code.neurons import FIRE
from spikec.targets.c.code.numbers import dtype_of, holding
from spikec.targets.c.code.operations import pass_on, written
from spikec.targets.c.code.readouts import reading
from spikec.targets.c.code.source import Reader, Sender


@dataclass
class Schedule:
    """Lines of a run. ``begin``: once, before anything; ``image``: once the image is there; ``stages``: what a step
    computes, node by node, each with how many steps it runs where nodes go one after the other, and the lines that
    come before. ``off``: what takes the image away when the drain begins."""

    begin: Lines = field(default_factory=list)
    image: Lines = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    outputs: dict[str, tuple[str, str]] = field(default_factory=dict)
    senders: list[Sender] = field(default_factory=list)
    readers: list[Reader] = field(default_factory=list)
    off: str = ""


@dataclass(frozen=True)
class Stage:
    """The lines of one node in one step; ``before``: those of a first pass of ``rehearsal`` steps, then ``between``."""

    title: str
    lines: Lines
    steps: int
    before: Lines = field(default_factory=list)
    rehearsal: int = 0
    between: Lines = field(default_factory=list)


def scheduled(code: Context) -> Schedule:
    """Write all functions that compute nodes, and the calls in their order."""
    graph = code.graph
    found, nodes = Schedule(), ordered(graph)
    layerwise, one_by_one = graph.schedule == "layerwise", bool(graph.timing.rehearsal)
    stations = {node.name: number for number, node in enumerate(nodes)}
    image = Flow(code, "image", stations, 1)
    later = stations if layerwise else {name: number + len(nodes) for name, number in stations.items()}
    driven = Flow(code, "driven", later, graph.emission_steps if one_by_one else 1)
    if one_by_one and graph.delayed:
        raise DoesNotFit(
            f"{graph.delayed[0].of} is heard late in a network of calibrated_if, whose layers run one after the other: "
            "that has no form in C; use other neurons"
        )
    rings = {name: _ring(code, driven, graph.nodes[name]) for name in dict.fromkeys(d.of for d in graph.delayed)}
    for node in nodes:
        if isinstance(node, InputNode):
            _input(code, node, image, driven, found)
        elif isinstance(node, Delayed):
            lines = driven.delayed(node, rings[node.of], slots_of(graph, graph.nodes[node.of]))
            found.stages.append(Stage(node.name, lines, graph.emission_steps))
        elif isinstance(node, Operation):
            once = image.operation(node)
            lines = driven.operation(node)
            if layerwise:
                lines = [*once, *lines]
            else:
                found.image += once
            if lines:
                found.stages.append(Stage(node.name, lines, graph.emission_steps))
        elif isinstance(node, Population):
            _population(code, node, image, driven, found)
        else:
            assert isinstance(node, Readout)
            _readout(code, node, image, driven, found)
    return found


def _ring(code: Context, driven: Flow, node: Node) -> str:
    """Memory for what a node sends in several steps."""
    assert isinstance(node, Population | InputNode)  # the rules of the profile
    size, slots = math.prod(node.shape), slots_of(code.graph, node)
    about = f"{node.name}: what it sent in {slots} steps"
    return code.state.add(Member(f"e_{code.ids[node.name]}", holding(*driven.sent(node)), size * slots, about))


def _input(code: Context, node: InputNode, image: Flow, driven: Flow, found: Schedule) -> None:
    ctype = f"{node.dtype}_t"
    if not code.every_step:
        image.views[node.name] = View("x", ctype, node.low, node.high, node.shape, None)
        return
    size, slots = math.prod(node.shape), slots_of(code.graph, node)
    if slots > 1:
        ring = code.state.at(f"e_{code.ids[node.name]}")
    else:
        ring = code.state.add(Member(f"e_{code.ids[node.name]}", ctype, size, f"{node.name}: what was read"))
    at = _slot(ring, slots, size)
    given = View("x", ctype, node.low, node.high, node.shape, None)
    sink = Sink(at, ctype, node.shape)
    copy = pass_on(code, code.ids[node.name], given, sink)
    found.image += [driven.clear(sink), f"{copy}(x, {at});"]
    driven.views[node.name] = View(at, ctype, node.low, node.high, node.shape, order_of(node.shape), node.name)
    if code.graph.drain:
        found.off = driven.clear(sink)


def _slot(ring: str, slots: int, size: int) -> str:
    return ring if slots == 1 else f"{ring} + s->step % {slots} * {size}"


def _population(code: Context, node: Population, image: Flow, driven: Flow, found: Schedule) -> None:
    graph, number = code.graph, len(found.senders)
    low, high = driven.sent(node)
    ctype, size, slots = holding(low, high), math.prod(node.shape), slots_of(graph, node)
    found.senders.append(Sender(node.name, node.shape, dtype_of(ctype)))
    name, lines, stage = code.ids[node.name], [], None
    if slots > 1:  # of several steps: kept
        at = _slot(code.state.at(f"e_{name}"), slots, size)
    elif isinstance(node.neuron, Maximum):  # what the max pool before it has computed
        at = driven.views[node.sources[0]].at
    else:
        about = "emissions" if graph.schedule == "pipelined" else "the numbers that its emissions write"
        at = driven.plane(driven.buffer(node, f"e_{name}", ctype, about), size)
    driven.views[node.name] = View(at, ctype, low, high, node.shape, order_of(node.shape), node.name)
    hook = f"{code.prefix}_EMITTED(s, {number}, {_step(code)}, {at});"
    if isinstance(node.neuron, Maximum):
        if slots > 1:
            sink = Sink(at, ctype, node.shape)
            lines = [driven.clear(sink), *driven.added(node, sink)]
        stage = Stage(node.name, [*lines, hook], graph.emission_steps)
    elif graph.schedule == "layerwise":
        stage = Stage(
            node.name, [*emitting(Layer(code, node, driven.stations[node.name]), image, driven, ctype, at), hook], 1
        )
    else:
        layer = Layer(code, node, driven.stations[node.name])
        firing = written(FIRE, node.neuron, node.name)(layer, ctype)
        found.image += _image_current(layer, image)
        on = ", on" if graph.drain else ""
        adds = [] if firing.sink is None else driven.added(node, firing.sink)
        if firing.sink is not None and firing.sink.at != code.state.at(f"v_{name}"):
            adds = [driven.clear(firing.sink), *adds]
        found.begin += _start(layer)
        stage = Stage(
            node.name,
            [*adds, f"{firing.fire}(s, {at}{on});", hook],
            graph.emission_steps,
            [*adds, f"{firing.rehearse}(s, step);"] if firing.rehearse else [],
            node.neuron.rehearsal,
            [f"{firing.shift}(s);"] if firing.shift else [],
        )
    found.stages.append(stage)


def _step(code: Context) -> str:
    return "0" if code.graph.schedule == "layerwise" else "step"


def _readout(code: Context, node: Readout, image: Flow, driven: Flow, found: Schedule) -> None:
    graph, number = code.graph, len(found.readers)
    layer = Layer(code, node, driven.stations[node.name])
    steps = graph.timesteps + graph.drain
    if graph.schedule == "layerwise":
        lines, out, ctype = putting_out(layer, image, driven)
    else:
        done = reading(layer, max(steps, code.longest if graph.sequences else 0))
        found.image += _image_current(layer, image)
        found.begin += _start(layer)
        adds = [] if done.sink is None else driven.added(node, done.sink)
        if done.sink is not None and done.sink.at != code.state.at(f"v_{code.ids[node.name]}"):
            adds = [driven.clear(done.sink), *adds]
        on = ", on" if graph.drain else ""
        first = ", step == 0" if node.decode == "maximum" else ""
        lines, out, ctype = [*adds, f"{done.read}(s{on}{first});"], done.out, done.ctype
    found.readers.append(Reader(node.name, node.output, node.shape, dtype_of(ctype)))
    found.outputs[node.name] = out, ctype
    hook = f"{code.prefix}_READ(s, {number}, {_step(code)}, {out});"
    found.stages.append(Stage(node.name, [*lines, hook], steps))


def _image_current(layer: Layer, image: Flow) -> Lines:
    """Lines that compute what image and biases add to a layer in each step."""
    if layer.x is None:
        return []
    code, node = layer.code, layer.node
    sink = Sink(layer.x, layer.x_type, node.shape)
    lines = [image.clear(sink), *image.added(node, sink)]
    if layer.bias.any():
        table = layer.table("bias", layer.bias, "biases")
        function, text = code.name("bias", "to", layer.id), code.functions
        text.comment(f"{node.name}: biases, added to what the image gives")
        with text.function(f"static void {function}({layer.x_type} *restrict x)"), layer.each(text, table):
            text.line(f"x[n] = ({layer.x_type})(x[n] + {table.at});")
        lines.append(f"{function}({layer.x});")
    return lines


def _start(layer: Layer) -> Lines:
    """Lines that set membranes to their start; everything else in the state is 0 then."""
    code, start = layer.code, layer.v_init
    member = code.state.members[f"v_{layer.id}"]
    if (start.low, start.high) == (0, 0):
        return []
    function, text = code.name("begin", layer.id), code.functions
    text.comment(f"{layer.node.name}: membranes at the start")
    with text.function(f"static void {function}({member.ctype} *restrict v)"), layer.each(text, start):
        text.line(f"v[n] = ({member.ctype}){start.at};")
    return [f"{function}({code.state.at(member.name)});"]
