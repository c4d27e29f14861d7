"""From node to node: which numbers each one reads, where they lie, and the lines that compute a node in one step."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from spikec.ir.coding import InputNode
from spikec.ir.delays import most
from spikec.ir.graph import Delayed, IntegerGraph, Node, Population, Readout
from spikec.ir.kinds import Maximum
from spikec.ir.operations import MaxPool, Operation, SumPool
from spikec.ir.operations.reshaping import Reshaping
from spikec.ir.pools import memoryless, of_image
from spikec.ir.walks import groups
from spikec.targets.c.code.context import Context, Sink
from spikec.targets.c.code.layout import View, order_of
from spikec.targets.c.code.memory import Member
from spikec.targets.c.code.numbers import holding
from spikec.targets.c.code.operations import ADD, pass_on, written
from spikec.targets.c.code.pooling import gained, largest

Lines = list[str]


def ordered(graph: IntegerGraph) -> list[Node]:
    """The nodes in the order of a step: a node that passes on late what another sends comes after it, but in cycles."""
    return [node for group in groups(graph) for node in group]


class Flow:
    """One part of what nodes send: that of the ``image``, computed once, or what is ``driven`` by spikes or frames, in
    every step. ``stations``: the place of each node in the order of a run."""

    def __init__(self, code: Context, part: str, stations: dict[str, int], planes: int) -> None:
        self.code, self.part, self.stations, self.planes = code, part, stations, planes
        self.known = getattr(code.bounds, part)
        self.views: dict[str, View] = {}
        self._last = self._last_uses()

    def _last_uses(self) -> dict[str, int]:
        """The last station that reads the buffer of a node, itself or through nodes that only pass it on."""
        last: dict[str, int] = {}
        for node in reversed(ordered(self.code.graph)):
            found = self.stations[node.name]
            for reader in self.code.graph.consumers(node.name):
                passes = isinstance(reader, Population) and isinstance(reader.neuron, Maximum)
                through = passes or isinstance(reader, Reshaping) or self._fused(reader)
                found = max(found, last.get(reader.name, 0) if through else 0, self.stations[reader.name])
            last[node.name] = found
        return last

    def _fused(self, node: Node) -> bool:
        """Whether an operation adds straight to the layer behind it."""
        readers = self.code.graph.consumers(node.name)
        return (
            isinstance(node, Operation)
            and not isinstance(node, MaxPool | Reshaping)
            and len(readers) == 1
            and isinstance(readers[0], Population | Readout)
        )

    def reaches(self, name: str) -> bool:
        """Whether this part of the signal passes a node."""
        node = self.code.graph.nodes[name]
        if isinstance(node, Population):
            return self.part == "driven"
        return name in self.known

    def buffer(self, node: Node, name: str, ctype: str, about: str) -> str:
        """A buffer for what a node sends, in use until the last that reads it; a plane for each step where layers run
        one after the other."""
        born = self.stations[node.name]
        size = math.prod(node.output_shape) * self.planes
        member = Member(name, ctype, size, f"{node.name}: {about}", born, max(born, self._last[node.name]))
        return self.code.state.add(member)

    def plane(self, at: str, size: int) -> str:
        """The numbers of the step at hand."""
        return at if self.planes == 1 else f"{at} + step * {size}"

    # Operations.

    def operation(self, node: Operation) -> Lines:
        """Lines that compute an operation in one step; those of one that adds to a layer are the layer's."""
        sources = [self.views[source] for source in node.sources if self.reaches(source)]
        if not sources or self._fused(node):
            return []
        code, reach = self.code, self.known[node.name]
        if isinstance(node, MaxPool):
            return self._pool(node, sources[0])
        if isinstance(node, Reshaping) and len(sources) == 1:
            self.views[node.name] = sources[0].reshaped(node.output_shape)
            return []
        ctype = holding(reach.low, reach.high, signed=True)
        size = math.prod(node.output_shape)
        at = self.buffer(node, f"{self.part[0]}_{code.ids[node.name]}", ctype, "sums")
        sink = Sink(self.plane(at, size), ctype, node.output_shape)
        pooled = sources[0].sender if isinstance(node, SumPool) and len(sources) == 1 else None
        self.views[node.name] = View(
            sink.at, ctype, reach.low, reach.high, node.output_shape, order_of(node.output_shape), pooled
        )
        return [self.clear(sink), *self.added(node, sink)]

    def clear(self, sink: Sink) -> str:
        """A line that sets sums to 0."""
        size = math.prod(sink.shape)
        function, new = self.code.once(("clear", sink.ctype), f"clear_{sink.ctype.removesuffix('_t')}")
        if new:
            text = self.code.functions
            text.comment("Sets numbers to 0")
            head = f"static void {function}({sink.ctype} *restrict z, const int32_t count)"
            with text.function(head), text.loop("n", "count"):
                text.line("z[n] = 0;")
        return f"{function}({sink.at}, {size});"

    def added(self, node: Node, sink: Sink) -> Lines:
        """Lines that add to a sink what the sources of a node send, through the node where it is an operation."""
        lines: Lines = []
        for source in node.sources:
            if not self.reaches(source):
                continue
            sender = self.code.graph.nodes[source]
            if isinstance(sender, Operation) and self._fused(sender) and not isinstance(node, Operation):
                lines += self.added(sender, sink)
                continue
            view = self.views[source]
            if not isinstance(node, Operation) or isinstance(node, Reshaping):
                passed = pass_on(self.code, self.code.ids[node.name], view.reshaped(node.output_shape), sink)
                lines.append(f"{passed}({view.at}, {sink.at});")
                continue
            view, arranging = self._arranged(node, view)
            lines += [
                *arranging,
                f"{written(ADD, node, node.name)(self.code, node, view, sink)}({view.at}, {sink.at});",
            ]
        return lines

    def _arranged(self, node: Node, view: View) -> tuple[View, Lines]:
        """A view whose numbers lie in regular distances, and the lines that arrange it."""
        if len(view.shape) != 3 or view.strides is not None:
            return view, []
        code, size = self.code, math.prod(view.shape)
        name = f"a_{self.part[0]}_{code.ids[node.name]}"
        station = self.stations[node.name]
        ctype = holding(view.low, view.high, signed=True)
        readers = [station, *(self.stations[r.name] for r in code.graph.consumers(node.name))]
        at = code.state.add(Member(name, ctype, size, f"{node.name}: its input in order", min(readers), max(readers)))
        sink = Sink(at, ctype, view.shape)
        lines = [self.clear(sink), f"{pass_on(code, code.ids[node.name], view, sink)}({view.at}, {at});"]
        return replace(view, at=at, ctype=ctype, order=order_of(view.shape)), lines

    def _pool(self, node: MaxPool, view: View) -> Lines:
        """A max pool: its result is what it sends."""
        code = self.code
        view, lines = self._arranged(node, view)
        reach = code.bounds.driven if self.part == "driven" else code.bounds.image
        low, high = min(reach[node.name].low, view.low), max(reach[node.name].high, view.high)
        readers = code.graph.consumers(node.name)
        behind = next((n for n in readers if isinstance(n, Population) and isinstance(n.neuron, Maximum)), None)
        if behind is not None:
            low, high = self.sent(behind)
        e_type, size = holding(low, high), math.prod(node.output_shape)
        at = self.plane(self.buffer(node, f"{self.part[0]}_{code.ids[node.name]}", e_type, "largest"), size)
        self.views[node.name] = View(at, e_type, low, high, node.output_shape, order_of(node.output_shape))
        image = not code.graph.sequences and of_image(code.graph, node)
        once = image or code.graph.schedule == "layerwise"
        if once or (behind is not None and memoryless(code.graph, behind)):
            return [*lines, f"{largest(code, node, view, e_type)}({view.at}, {at});"]
        total = self._total(node)
        inputs, name = math.prod(node.input_shape), code.ids[node.name]
        sums = code.state.add(Member(f"sums_{name}", total, inputs, f"{node.name}: what each sender has sent"))
        most = code.state.add(Member(f"most_{name}", total, size, f"{node.name}: the largest sums"))
        return [*lines, f"{gained(code, node, view, total, e_type)}({view.at}, {sums}, {most}, {at});"]

    def _total(self, node: MaxPool) -> str:
        """A type for all that one sender can have sent, and for the difference of two such."""
        graph = self.code.graph
        steps = graph.emission_steps if not graph.sequences else self.code.longest
        sent = self.known.get(node.sources[0])
        source = graph.nodes[node.sources[0]]
        low, high = self.sent(source) if isinstance(source, Population) else (sent.low, sent.high) if sent else (0, 0)
        return holding(steps * min(low, 0), steps * max(high, 0), signed=True)

    def sent(self, node: Population | InputNode) -> tuple[int, int]:
        """Range of what a population or the input sends at a time."""
        found = self.code.bounds.sent(node)
        return found.low, found.high

    # Senders and delays.

    def delayed(self, node: Delayed, ring: str, slots: int) -> Lines:
        """What another node sent some steps before: a slot of the ring in which it writes, or a number from each."""
        code, size = self.code, math.prod(node.shape)
        sender = code.graph.nodes[node.of]
        assert isinstance(sender, Population | InputNode)  # the rules of the profile
        low, high = self.sent(sender)
        ctype = holding(low, high)
        if isinstance(node.steps, int):
            at = f"{ring} + (s->step + {slots - node.steps}) % {slots} * {size}"
            self.views[node.name] = View(at, ctype, low, high, node.shape, order_of(node.shape), node.of)
            return []
        order = order_of(node.shape)
        late = np.array(node.steps, np.int64)
        table, _ = code.tables.array(
            f"late_{code.ids[node.name]}",
            late if order is None else late[order],
            f"{node.name}: steps that each is late",
        )
        at = self.buffer(node, f"late_{code.ids[node.name]}", ctype, "what is heard now")
        self.views[node.name] = View(at, ctype, low, high, node.shape, order, node.of)
        function, text = code.name("hear", code.ids[node.name]), code.functions
        text.comment(f"{node.name}: what each neuron of {node.of} sent as many steps before as it is late")
        with (
            text.function(
                f"static void {function}(const {ctype} *restrict ring, const int32_t step, {ctype} *restrict a)"
            ),
            text.loop("n", size),
        ):
            text.line(f"a[n] = ring[(step + {slots} - {table}[n]) % {slots} * {size} + n];")
        return [f"{function}({ring}, s->step % {slots}, {at});"]


def slots_of(graph: IntegerGraph, node: Node) -> int:
    """How many steps of a population or the input must be kept, the one at hand included."""
    return 1 + max((most(delayed.steps) for delayed in graph.delayed if delayed.of == node.name), default=0)
