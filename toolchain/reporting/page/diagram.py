"""The graph as inline SVG: a box for each step of the data, from top to bottom; what skips boxes runs beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from spikec.reporting.details import DiagramNode
from spikec.reporting.numbers import shape
from spikec.reporting.page.chart import WIDTH, chart, label, mark
from spikec.reporting.page.html import Html, tag
from spikec.words import shortened

_TALL, _GAP, _LANE, _TOP = 38.0, 16.0, 12.0, 6.0
_LETTERS = 46


@dataclass
class _Box:
    """Nodes drawn as one: weights and what else has a single reader, with the neurons they feed."""

    nodes: list[DiagramNode] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)

    @property
    def closed(self) -> bool:
        return bool(self.nodes) and self.nodes[-1].role in ("input", "neurons", "readout")


def diagram(nodes: Sequence[DiagramNode]) -> Html:
    """All ``nodes``, in the order of the data."""
    boxes = _boxes(nodes)
    skips = [(source, index) for index, box in enumerate(boxes) for source in box.sources if source != index - 1]
    lanes = _lanes(skips)
    left = _LANE * (max(lanes.values(), default=-1) + 1) + 2
    right = WIDTH - 2
    height = _TOP + len(boxes) * (_TALL + _GAP)

    def y(index: int) -> float:
        return _TOP + index * (_TALL + _GAP)

    parts: list[Html] = []
    for index, box in enumerate(boxes):
        if index - 1 in box.sources:
            middle = left + 40
            parts.append(tag("path", d=f"M{middle:g} {y(index) - _GAP:g}V{y(index) - 3:g}", class_="flow"))
            parts.append(_head(middle, y(index) - 1, "down"))
    for (source, index), lane in lanes.items():
        at = left - _LANE * (lane + 1) + 2
        start, end = y(source) + _TALL * 0.72, y(index) + _TALL * 0.28
        parts.append(tag("path", d=f"M{left:g} {start:g}H{at:g}V{end:g}H{left - 3:g}", class_="flow"))
        parts.append(_head(left - 1, end, "right"))
    parts += [_drawn(box, left, right, y(index)) for index, box in enumerate(boxes)]
    told = "; ".join(" ".join(_name(node) for node in box.nodes) for box in boxes)
    return chart("The graph, in the order of the data", told, WIDTH, height, parts, "diagram")


def _boxes(nodes: Sequence[DiagramNode]) -> list[_Box]:
    readers: dict[str, int] = {}
    for node in nodes:
        for source in node.sources:
            readers[source] = readers.get(source, 0) + 1
    boxes: list[_Box] = []
    home: dict[str, int] = {}
    for node in nodes:
        own = {home[source] for source in node.sources if source in home}
        only = len(node.sources) == 1 and readers.get(node.sources[0], 0) == 1
        at = next(iter(own)) if len(own) == 1 and only else None
        if at is None or boxes[at].closed or boxes[at].nodes[-1].name != node.sources[0]:
            boxes.append(_Box(sources=sorted(own)))
            at = len(boxes) - 1
        boxes[at].nodes.append(node)
        home[node.name] = at
    for node in nodes:  # what feeds back comes later in the list than what it feeds
        late = {home[source] for source in node.sources if source in home} - {home[node.name]}
        boxes[home[node.name]].sources = sorted({*boxes[home[node.name]].sources, *late})
    return boxes


def _lanes(skips: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """A lane for each, short ones inside, so that none cross in one lane."""
    taken: list[list[tuple[int, int]]] = []
    found = {}
    for skip in sorted(skips, key=lambda pair: (abs(pair[1] - pair[0]), pair)):
        low, high = sorted(skip)
        lane = next((i for i, own in enumerate(taken) if all(high <= a or low >= b for a, b in own)), len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((low, high))
        found[skip] = lane
    return found


def _drawn(box: _Box, left: float, right: float, y: float) -> Html:
    last = box.nodes[-1]
    title = ", ".join(dict.fromkeys(node.name for node in box.nodes if node.role != "operation" or len(box.nodes) == 1))
    about = " \N{RIGHTWARDS ARROW} ".join(dict.fromkeys(node.about for node in box.nodes))
    back = tag("rect", x=left, y=y, width=round(right - left, 1), height=_TALL, rx=5, class_="box")
    edge = tag("rect", x=left, y=y, width=5, height=_TALL, rx=2, class_=f"role {last.role}")
    size = shape(last.shape) or "1"
    room = _LETTERS - len(size)
    return mark(
        Html(
            back
            + edge
            + label(shortened(title, room), left + 14, y + 16, "name")
            + label(size, right - 9, y + 16, "tick end")
            + label(shortened(about, _LETTERS + 6), left + 14, y + 31)
        ),
        "; ".join(_name(node) for node in box.nodes),
    )


def _name(node: DiagramNode) -> str:
    return f"{node.name}: {node.about}, {shape(node.shape) or '1'}"


def _head(x: float, y: float, way: str) -> Html:
    d = f"M{x - 4:g} {y - 5:g}h8l-4 6z" if way == "down" else f"M{x - 5:g} {y - 4:g}v8l6 -4z"
    return tag("path", d=d, class_="arrow")
