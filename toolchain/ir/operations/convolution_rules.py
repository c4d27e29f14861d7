"""Rules of the profile for the NIR node of a convolution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nir
import numpy as np

from spikec.ir.limits import LIMITS, Limit
from spikec.ir.metadata import int_of, metadata_of, shown
from spikec.ir.operations.fields import misfits, whole_numbers

_LIMITS = LIMITS["Conv2d"]


def problems(node: Any, typed: bool) -> Iterator[str]:
    """What is wrong with a node, a sentence each. ``typed``: NIR's own type check reads the file."""
    if not whole_numbers(node.groups, Limit(1, 1)):
        yield "groups must be 1 in the node, with the weights expanded; the number of groups goes into the metadata"
    yield from misfits(node, _LIMITS, "stride", "padding", "dilation")
    if not whole_numbers(node.input_shape, _LIMITS["input_shape"], (2,)):
        yield f"input_shape must be two integers {_LIMITS['input_shape']}, not {shown(node.input_shape)}"
    shape = np.shape(node.weight)
    if len(shape) != 4 or 0 in shape:
        yield f"weight must be [O, I, kH, kW], not {shape}"
        return
    if not _LIMITS["kernel"].holds(shape[2:]):
        yield f"rows and columns of a kernel must be {_LIMITS['kernel']}, not {shape[2]} and {shape[3]}"
    if shape[2] != shape[3] and typed:
        yield "a rectangular kernel needs 'nir_type_check=off' in requires"
    if np.shape(node.bias) != (shape[0],):
        yield f"bias must have {shape[0]} values, it has shape {np.shape(node.bias)}"
    yield from _structure_problems(node)


def _structure_problems(node: nir.Conv2d) -> Iterator[str]:
    """Zeros that the metadata calls structural (groups, kernel margin) are zero."""
    metadata = metadata_of(node)
    groups = int_of(metadata, "groups", 1)
    out_channels, in_channels, rows, cols = np.shape(node.weight)
    if not _LIMITS["groups"].holds(groups) or out_channels % groups or in_channels % groups:
        yield f"groups = {groups} does not divide {out_channels} and {in_channels} channels"
        return
    mask = np.kron(np.eye(groups), np.ones((out_channels // groups, in_channels // groups))) == 0
    if np.asarray(node.weight)[mask].any():
        yield f"weights outside the {groups} groups are not zero"
    margin = np.asarray(metadata.get("margin", (0, 0, 0, 0))).reshape(-1)
    if not whole_numbers(margin, _LIMITS["margin"], (4,)):
        yield f"margin must be four integers (top, bottom, left, right) {_LIMITS['margin']}"
        return
    top, bottom, left, right = (int(m) for m in margin)
    if top + bottom >= rows or left + right >= cols:
        yield f"margin {tuple(margin.tolist())} leaves nothing of a {rows}x{cols} kernel"
        return
    inner = np.zeros((rows, cols), dtype=bool)
    inner[top : rows - bottom, left : cols - right] = True
    if np.asarray(node.weight)[:, :, ~inner].any():
        yield "kernel weights inside the margin are not zero"
