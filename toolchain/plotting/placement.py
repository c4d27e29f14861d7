"""Where a network lies on the chips."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spikec.calls import named_arguments
from spikec.errors import DataError
from spikec.packages import needed
from spikec.plotting.style import COLUMN, GREY, Axes, colour, drawing, short

_SIDE, _GAP = 1.0, 0.15
#: Hatches tell layers apart once the colours are used up.
_HATCHES = ("", "////", "....", "xxxx")


@named_arguments
def placement(placement: Any, *, ax: Axes | None = None) -> Axes:
    """The cores of a placement at their places: a square each, filled from below as far as its fullest resource is, in
    the colours of its layers, each as high as its share of the neurons. Cores of one tile stand together, chips side by
    side.

    ``placement``: of ``tc.place``. Raises ``DataError`` for anything else.

    >>> ax = tc.plot.placement(tc.place(graph, target="loihi2"))
    >>> ax.get_legend_handles_labels()[1]
    ['1', '4', 'readout']
    """
    missing = [name for name in ("cores", "places", "chips", "cores_of", "target") if not hasattr(placement, name)]
    if missing:
        raise DataError(f"expected what tc.place returns, got {type(placement).__name__}")
    patches = needed("matplotlib.patches", "tc.plot", "pip install 'spikec[plot]'")
    layers = list(placement.cores_of)
    where = _squares(placement)
    # A few cores do not fill the figure.
    wide, high = max(4.0, max(x for x, _ in where) + _SIDE), max(y for _, y in where) + _SIDE
    lines = -(-len(layers) // 3)
    height = float(np.clip(COLUMN * high / wide, 0.5, 4.0)) + 0.5 + 0.16 * lines
    with drawing(ax, height) as ax:
        for core, (x, y) in zip(placement.cores, where, strict=True):
            edge = y + _SIDE
            for layer, part in _shares(core).items():
                tall = part * min(core.load, 1.0) * _SIDE
                edge -= tall
                look = _look(layers.index(layer))
                ax.add_patch(patches.Rectangle((x, edge), _SIDE, tall, **look, linewidth=0))
            ax.add_patch(patches.Rectangle((x, y), _SIDE, _SIDE, fill=False, edgecolor=GREY, linewidth=0.4))
        for index, layer in enumerate(layers):
            ax.add_patch(patches.Rectangle((0, 0), 0, 0, **_look(index), label=short(layer)))
        ax.set_xlim(-_GAP, wide + _GAP)
        ax.set_ylim(high + _GAP, -_GAP)
        ax.set_aspect("equal")
        ax.set_axis_off()
        cores, chips = len(placement.cores), placement.chips
        ax.set_title(f"{cores} core{'s'[: cores != 1]} on {chips} chip{'s'[: chips != 1]} of {placement.target}")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=min(3, len(layers)), columnspacing=1.0)
    return ax


def _shares(core: Any) -> dict[str, float]:
    """The layers of a core, and which share of its neurons each has."""
    found: dict[str, int] = {}
    for each in core.slices:
        number = math.prod(high - low for low, high in each.box)
        found[each.layer] = found.get(each.layer, 0) + number
    return {layer: number / sum(found.values()) for layer, number in found.items()}


def _look(index: int) -> dict[str, Any]:
    return {"facecolor": colour(index), "hatch": _HATCHES[index // 8 % len(_HATCHES)], "edgecolor": "white"}


def _squares(placement: Any) -> list[tuple[float, float]]:
    """Left and upper edge of each core; only the rows and columns of tiles that are used take room."""
    places = np.asarray(placement.places)
    per_tile = int(getattr(placement, "mesh", (1, 1, 1))[2])
    across = 2 if per_tile > 1 else 1
    down = -(-per_tile // across)
    tile = across * (_SIDE + _GAP) + 0.3, down * (_SIDE + _GAP) + 0.3
    _, column = np.unique(places[:, 1], return_inverse=True)
    _, row = np.unique(places[:, 2], return_inverse=True)
    seen: dict[tuple[int, int], int] = {}
    found = []
    for core in range(len(places)):
        at = int(column[core]), int(row[core])
        slot = seen[at] = seen.get(at, -1) + 1
        gap = 0.8 * int(places[core, 0])
        x = at[0] * tile[0] + slot % across * (_SIDE + _GAP) + gap
        found.append((x, at[1] * tile[1] + slot // across * (_SIDE + _GAP)))
    return found
