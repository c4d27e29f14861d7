"""A placement as SVG: one square per core, coloured by layer, filled by its fullest resource."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from targets.loihi.placement import Core, Placement

_COLOURS = (
    "#4269d0",
    "#efb118",
    "#ff725c",
    "#6cc5b0",
    "#3ca951",
    "#ff8ab7",
    "#a463f2",
    "#97bbf5",
    "#9c6b4e",
    "#9498a0",
)
_SIDE, _GAP, _COLUMNS, _MARGIN, _LINE = 34, 6, 16, 20, 18


def draw(placement: Placement) -> str:
    """The chips one below the other; the tooltip of a core names its slices and what they use."""
    layers = list(placement.cores_of)
    colour = {layer: _COLOURS[index % len(_COLOURS)] for index, layer in enumerate(layers)}
    pitch = _SIDE + _GAP
    parts, y = [], _MARGIN + _LINE
    for chip in range(placement.chips):
        cores = [core for core in placement.cores if core.chip == chip]
        parts.append(_text(_MARGIN, y, f"{placement.target}, chip {chip + 1} of {placement.chips}: {len(cores)} cores"))
        for position, core in enumerate(cores):
            x = _MARGIN + position % _COLUMNS * pitch
            parts.append(_core(core, x, y + 10 + position // _COLUMNS * pitch, colour))
        y += 10 + math.ceil(len(cores) / _COLUMNS) * pitch + _LINE
    for layer in layers:
        parts.append(f'<rect x="{_MARGIN}" y="{y - 11}" width="12" height="12" fill="{colour[layer]}"/>')
        parts.append(_text(_MARGIN + 18, y, f"{layer}: {placement.cores_of[layer]} cores"))
        y += _LINE
    width = 2 * _MARGIN + _COLUMNS * pitch
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + _MARGIN}" width="{width}" '
        f'font-family="sans-serif" font-size="13">' + "".join(parts) + "</svg>\n"
    )


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x}" y="{y}" fill="currentColor">{escape(text)}</text>'


def _core(core: Core, x: float, y: float, colour: dict[str, str]) -> str:
    height = _SIDE * min(1.0, core.load)
    fill = colour[core.slices[0].layer]
    slices = "; ".join(f"{part.layer} [{', '.join(f'{low}:{high}' for low, high in part.box)}]" for part in core.slices)
    usage = ", ".join(f"{key} {used}/{limit}" for key, (used, limit) in core.usage.items())
    return (
        f"<g><title>{escape(f'core {core.index}: {slices}; {usage}')}</title>"
        f'<rect x="{x}" y="{y}" width="{_SIDE}" height="{_SIDE}" fill="{fill}" fill-opacity="0.18"/>'
        f'<rect x="{x}" y="{y + _SIDE - height:.1f}" width="{_SIDE}" height="{height:.1f}" fill="{fill}"/></g>'
    )
