"""Flatten: (C, H, W) to (C*H*W,), no arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import nir
import numpy as np

from spikec.ir.operations.base import register
from spikec.ir.operations.boxes import Box, unflattened
from spikec.ir.operations.fields import flat_size, misfit
from spikec.ir.operations.reshaping import Reshaping
from spikec.ir.types import Shape


@register
@dataclass(frozen=True)
class Flatten(Reshaping):
    """Reads its sources as one vector: channel after channel, row after row."""

    word: ClassVar[str] = "flatten"

    def field(self, box: Box) -> Box:
        return unflattened(self.input_shape, box[0])

    def to_nir(self) -> nir.Flatten:
        return nir.Flatten(input_type={"input": np.array(self.input_shape)}, start_dim=0, end_dim=-1)

    @classmethod
    def from_nir(cls, name: str, node: Any, sources: tuple[str, ...], shape: Shape) -> Flatten:
        declared = node.input_type["input"]
        if declared is not None:
            own = tuple(int(n) for n in np.asarray(declared).reshape(-1))
            if own != shape:
                raise misfit(name, f"declares input {own}, its source has shape {shape}")
        return cls(name, sources, shape, (flat_size(shape),))

    @property
    def title(self) -> str:
        return "flatten"

    @property
    def numbers(self) -> str:
        return ""
