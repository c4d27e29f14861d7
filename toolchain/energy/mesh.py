"""What the mesh between the cores has to carry: messages through every tile, and the ways they take.

Messages go east or west in the sender's row, then north or south in the receiver's column (dimension order, as SANA-FE
routes them; Intel's router is not public in detail). A tile passes on what starts in it, what ends in it and what
crosses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from spikec.ir.types import Int64

#: (sending core, receiving core, messages), int64 [pairs, 3].
Routes = Int64


@dataclass(frozen=True)
class MeshLoad:
    """``through``: by layer, messages through each tile per spike, float64 [tiles]; ``ways``: (borders crossed
    east-west, north-south) of the messages that were sent, without ways that another one covers in both directions."""

    through: Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = field(default_factory=dict)
    ways: tuple[tuple[int, int], ...] = ()


def through_tiles(places: Int64, routes: Routes) -> Int64:
    """Messages through every tile, int64 [rows, columns]; ``places`` int64 [cores, 3]: chip, column, row."""
    columns, rows = int(places[:, 1].max()) + 1, int(places[:, 2].max()) + 1
    start, end, number = places[routes[:, 0]], places[routes[:, 1]], routes[:, 2]
    along_row, along_column = np.zeros((rows, columns + 1), np.int64), np.zeros((rows + 1, columns), np.int64)
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    np.add.at(along_row, (start[:, 2], low), number)
    np.add.at(along_row, (start[:, 2], high + 1), -number)
    # The corner, in the sender's row and the receiver's column, is already in the row.
    down = start[:, 2] < end[:, 2]
    first = np.where(down, start[:, 2] + 1, end[:, 2])
    last = np.where(down, end[:, 2], start[:, 2] - 1)
    turns = start[:, 2] != end[:, 2]
    np.add.at(along_column, (first[turns], end[turns, 1]), number[turns])
    np.add.at(along_column, (last[turns] + 1, end[turns, 1]), -number[turns])
    total: Int64 = along_row.cumsum(axis=1)[:, :-1] + along_column.cumsum(axis=0)[:-1]
    return total


def longest_ways(places: Int64, routes: Sequence[Routes]) -> tuple[tuple[int, int], ...]:
    """(east-west, north-south) borders of the sent messages, without ways that another covers in both directions."""
    pairs = np.concatenate([r[r[:, 2] > 0, :2] for r in routes]) if routes else np.zeros((0, 2), np.int64)
    distances = np.unique(np.abs(places[pairs[:, 0], 1:] - places[pairs[:, 1], 1:]), axis=0)
    kept: list[tuple[int, int]] = []
    for east_west, north_south in distances[::-1].tolist():  # falling in the first, so the second has to grow
        if not kept or north_south > kept[-1][1]:
            kept.append((east_west, north_south))
    return tuple(kept)
