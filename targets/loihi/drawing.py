"""A placement as SVG: chips as meshes of tiles, one square per core, coloured by layer, filled as far as its fullest
resource is used. Pointing at a core shows where its messages go and what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikec.ir.types import Int64
from spikec.terminal import in_markup

if TYPE_CHECKING:
    from spikec.targets.cores import Core
    from spikec.targets.loihi.placement import Placement

_HUES = (217, 41, 8, 166, 131, 336, 266, 195, 75, 300)
_SIDE, _GAP, _TILE_GAP, _MARGIN, _LINE = 26, 3, 9, 20, 19
_FLOWS = 16  # drawn per core, largest first
_STYLE = (
    "text{fill:#1b1f24}.tile{fill:none;stroke:#c8ccd2}.back{fill:#fff}.empty{fill:#eef0f2}"
    ".flow{visibility:hidden;stroke:#111;stroke-opacity:.75;stroke-linecap:round}.hit{fill:#fff;fill-opacity:0}"
    "g.core:hover .flow{visibility:visible}g.core:hover .hit{stroke:#111;stroke-width:2}"
)


def draw(placement: Placement) -> str:
    """The chips one below the other, then the layers. Positions are those hops are counted with."""
    layers = list(placement.cores_of)
    colour = {layer: _colour(index) for index, layer in enumerate(layers)}
    columns, rows, per_tile = placement.mesh
    across = 2 if per_tile > 1 else 1
    down = -(-per_tile // across)
    width, height = across * (_SIDE + _GAP) + _TILE_GAP, down * (_SIDE + _GAP) + _TILE_GAP
    body, y = [], _MARGIN + _LINE
    where: dict[int, tuple[float, float]] = {}
    for chip in range(placement.chips):
        cores = [core for core in placement.cores if core.chip == chip]
        title = f"{placement.target}, chip {chip + 1} of {placement.chips}: {len(cores)} cores"
        body.append(_text(_MARGIN, y, title, bold=True))
        top = y + 10
        used_rows = max(int(placement.places[core.index][2]) for core in cores) + 1
        for column in range(columns):
            for row in range(min(rows, used_rows)):
                x0, y0 = _MARGIN + column * width, top + row * height
                body.append(f'<rect class="tile" x="{x0}" y="{y0}" width="{width - 3}" height="{height - 3}" rx="3"/>')
        seen: dict[tuple[int, int], int] = {}
        for core in cores:
            column, row = int(placement.places[core.index][1]) - chip * columns, int(placement.places[core.index][2])
            slot = seen.get((column, row), 0)
            seen[column, row] = slot + 1
            x = _MARGIN + column * width + 4 + slot % across * (_SIDE + _GAP)
            at = top + row * height + 4 + slot // across * (_SIDE + _GAP)
            where[core.index] = (x, at)
            body.append(_square(core, x, at, colour))
        y = top + min(rows, used_rows) * height + _LINE
    body.append(_text(_MARGIN, y, "filled: share of the fullest resource; pointing at a core shows its messages"))
    y += _LINE + 4
    legend = 2 * _MARGIN + columns * width
    per_row = max(1, (legend - 2 * _MARGIN) // 260)
    for index, layer in enumerate(layers):
        x, at = _MARGIN + index % per_row * 260, y + index // per_row * _LINE
        body.append(f'<rect x="{x}" y="{at - 11}" width="12" height="12" fill="{colour[layer]}"/>')
        number = placement.cores_of[layer]
        body.append(_text(x + 18, at, f"{layer}: {number} core{'s' if number > 1 else ''}"))
    y += -(-len(layers) // per_row) * _LINE
    body += _traffic(placement, where)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {legend} {y + _MARGIN}" width="{legend}" '
        f'height="{y + _MARGIN}" font-family="sans-serif" font-size="13"><style>{_STYLE}</style>'
        f'<rect class="back" width="{legend}" height="{y + _MARGIN}"/>' + "".join(body) + "</svg>\n"
    )


def _colour(index: int) -> str:
    hue, round_ = _HUES[index % len(_HUES)], index // len(_HUES)
    return f"hsl({hue} {70 - 15 * (round_ % 3)}% {45 + 13 * (round_ % 3)}%)"


def _text(x: float, y: float, text: str, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}"{weight}>{in_markup(text)}</text>'


def _square(core: Core, x: float, y: float, colour: dict[str, str]) -> str:
    """Layers side by side by their share of the neurons, filled from below."""
    neurons = sum(part.neurons for part in core.slices)
    height = _SIDE * min(1.0, core.load)
    parts, left = [f'<rect class="empty" x="{x}" y="{y}" width="{_SIDE}" height="{_SIDE}"/>'], x
    for layer in dict.fromkeys(part.layer for part in core.slices):
        width = _SIDE * sum(part.neurons for part in core.slices if part.layer == layer) / neurons
        parts.append(
            f'<rect x="{left:.1f}" y="{y + _SIDE - height:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{colour[layer]}"/>'
        )
        left += width
    return "".join(parts)


def _traffic(placement: Placement, where: dict[int, tuple[float, float]]) -> list[str]:
    """On top of everything: one group per core, with its tooltip and its largest flows."""
    sent = placement.traffic()
    return [_hover(core, where, sent) for core in placement.cores]


def _hover(core: Core, where: dict[int, tuple[float, float]], sent: Int64) -> str:
    x, y = where[core.index]
    slices = "; ".join(f"{part.layer} [{', '.join(f'{low}:{high}' for low, high in part.box)}]" for part in core.slices)
    usage = ", ".join(f"{key} {used}/{limit}" for key, (used, limit) in core.usage.items())
    out, into = sent[core.index], sent[:, core.index]
    traffic = (
        f"if every neuron spikes once: {int(out.sum())} messages to {np.count_nonzero(out)} cores, "
        f"{int(into.sum())} from {np.count_nonzero(into)}"
    )
    flows = []
    for other in np.argsort(-out, kind="stable")[:_FLOWS]:
        if out[other]:
            half, (x2, y2) = _SIDE / 2, where[int(other)]
            thick = 1 + 3 * out[other] / out.max()
            flows.append(
                f'<line class="flow" x1="{x + half:.0f}" y1="{y + half:.0f}" x2="{x2 + half:.0f}" y2="{y2 + half:.0f}" '
                f'stroke-width="{thick:.1f}"/>'
            )
    return (
        f'<g class="core"><title>{in_markup(f"core {core.index}: {slices}; {usage}; {traffic}")}</title>'
        f'<rect class="hit" x="{x}" y="{y}" width="{_SIDE}" height="{_SIDE}"/>' + "".join(flows) + "</g>"
    )
