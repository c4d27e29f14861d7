"""Where cores lie: tiles of a mesh, chips side by side in a row."""

from __future__ import annotations

import numpy as np

from spikec.ir.types import Int64
from spikec.targets.loihi.limits import Limits


def mesh(limits: Limits) -> tuple[int, int, int]:
    """Columns and rows of tiles of one chip, cores per tile."""
    per_tile, columns = limits["cores_per_tile"].value, limits["mesh_columns"].value
    return columns, -(-limits["cores_per_chip"].value // (per_tile * columns)), per_tile


def positions(cores: int, limits: Limits) -> Int64:
    """int64 [cores, 3]: chip, column and row of every core's tile.

    Tiles are filled in a snake along the rows, so that cores that follow each other are neighbours; the columns of
    the next chip follow those of the one before.
    """
    columns, _, per_tile = mesh(limits)
    per_chip = limits["cores_per_chip"].value
    chip, inside = np.divmod(np.arange(cores), per_chip)
    row, column = np.divmod(inside // per_tile, columns)
    column = np.where(row % 2, columns - 1 - column, column)
    places: Int64 = np.stack([chip, chip * columns + column, row], axis=1).astype(np.int64)
    return places
