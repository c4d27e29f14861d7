"""A placement as inline SVG: chips as meshes of tiles, one square for each core, filled as far as it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from spikec.reporting.details import PlacedCore
from spikec.reporting.numbers import percent
from spikec.reporting.page.chart import chart, label, mark, slot
from spikec.reporting.page.html import Html, join, tag
from spikec.words import plural

_SIDE, _GAP, _MARGIN, _LINE = 26.0, 2.0, 5.0, 22.0


def placement(cores: Sequence[PlacedCore], layers: Sequence[str], title: str) -> Html:
    """``cores`` in their tiles; ``layers``: in the order of their colours."""
    slots = {layer: slot(index) for index, layer in enumerate(layers)}
    tiles: dict[tuple[int, int, int], list[PlacedCore]] = {}
    for core in cores:
        tiles.setdefault((core.chip, core.row, core.column), []).append(core)
    across = 2 if max(map(len, tiles.values())) > 1 else 1
    down = math.ceil(max(map(len, tiles.values())) / across)
    wide, tall = across * (_SIDE + _GAP) + 2 * _MARGIN, down * (_SIDE + _GAP) + 2 * _MARGIN
    parts: list[Html] = []
    top, number = 0.0, 0
    for chip in sorted({core.chip for core in cores}):
        own = sum(1 for core in cores if core.chip == chip)
        parts.append(label(f"chip {chip + 1}: {plural(own, 'core')}", 0, top + 14, "tick"))
        top += _LINE
        places = [place for place in tiles if place[0] == chip]
        first, last = min(row for _, row, _ in places), max(row for _, row, _ in places)
        for place in sorted(places):
            x, y = place[2] * wide, top + (place[1] - first) * tall
            parts.append(tag("rect", x=x, y=y, width=wide - 3, height=tall - 3, rx=4, class_="tile"))
            for index, core in enumerate(tiles[place]):
                at = x + _MARGIN + index % across * (_SIDE + _GAP) - 1.5
                parts.append(_core(core, at, y + _MARGIN - 1.5 + index // across * (_SIDE + _GAP), slots, number))
                number += 1
        top += (last - first + 1) * tall
    width = max(260.0, (max(core.column for core in cores) + 1) * wide)
    told = f"{plural(len(cores), 'core')}; fullest {percent(max(core.load for core in cores), 0)}"
    return chart(title, told, width, top + 2, parts, "placement")


def _core(core: PlacedCore, x: float, y: float, slots: Mapping[str, int], number: int) -> Html:
    """Layers side by side by their share of the neurons, filled from below."""
    whole = sum(core.neurons.values()) or 1
    full = _SIDE * min(1.0, core.load)
    parts = [tag("rect", x=x, y=y, width=_SIDE, height=_SIDE, class_="empty")]
    left = x
    for layer, neurons in core.neurons.items():
        width = _SIDE * neurons / whole
        parts.append(
            tag("rect", x=round(left, 1), y=round(y + _SIDE - full, 1), width=round(width, 1), height=round(full, 1),
                class_=f"s{slots.get(layer, 9)}")
        )  # fmt: skip
        left += width
    held = ", ".join(f"{layer}: {plural(neurons, 'neuron')}" for layer, neurons in core.neurons.items())
    return mark(join(parts), f"core {number}: {held}; {core.fullest.replace('_', ' ')} {percent(core.load)}")


def legend(layers: Sequence[str], cores_of: Mapping[str, int]) -> Html:
    """Colours of the layers, and on how many cores each lies."""
    items = [
        tag("li", _swatch(index), tag("code", layer), f": {plural(cores_of.get(layer, 0), 'core')}")
        for index, layer in enumerate(layers)
    ]
    return tag("ul", *items, class_="legend")


def _swatch(index: int) -> Html:
    return tag("span", class_=f"swatch b{slot(index)}", aria_hidden="true")
