"""Groups of a convolution: kernels that read inputs of their own, and the dense kernel with zeros between them."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Whole = TypeVar("_Whole", bound=np.generic)


def expand_groups(weight: npt.NDArray[_Whole], groups: int) -> npt.NDArray[_Whole]:
    """[O, I/g, kH, kW] grouped kernel as the dense block-diagonal [O, I, kH, kW] that NIR's type check accepts."""
    if groups == 1:
        return weight
    out_channels, per_group = weight.shape[:2]
    dense = np.zeros((out_channels, per_group * groups, *weight.shape[2:]), dtype=weight.dtype)
    rows = out_channels // groups
    for g in range(groups):
        dense[g * rows : (g + 1) * rows, g * per_group : (g + 1) * per_group] = weight[g * rows : (g + 1) * rows]
    return dense


def take_groups(dense: npt.NDArray[_Whole], groups: int) -> npt.NDArray[_Whole]:
    """The blocks of :func:`expand_groups`."""
    if groups == 1:
        return dense
    rows, columns = dense.shape[0] // groups, dense.shape[1] // groups
    return np.concatenate([dense[g * rows : (g + 1) * rows, g * columns : (g + 1) * columns] for g in range(groups)])
