"""Flatten: (C, H, W) to (C*H*W,), no arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import nir
import numpy as np

from spikec.ir.operations.base import Linear, Mask, register
from spikec.ir.operations.boxes import Box, unflattened
from spikec.ir.operations.fields import flat_size, misfit
from spikec.ir.types import Int64, Shape

if TYPE_CHECKING:
    from torch import Tensor


@register
@dataclass(frozen=True)
class Flatten(Linear):
    """Reads its sources as one vector: channel after channel, row after row."""

    nir_node: ClassVar[type] = nir.Flatten
    hashed: ClassVar[tuple[str, ...]] = ()
    exact: ClassVar[tuple[str, ...]] = ()
    word: ClassVar[str] = "flatten"
    adds: ClassVar[bool] = False
    rearranges: ClassVar[bool] = True

    @property
    def window(self) -> int:
        return 1

    def apply(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        return x.reshape(x.shape[0], *self.output_shape)

    def pull_back(self, after: Int64, mask: Mask | None = None) -> Int64:
        return after.reshape(self.input_shape)

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

    @classmethod
    def problems(cls, node: Any, typed: bool) -> Iterator[str]:
        if (node.start_dim, node.end_dim) != (0, -1):
            yield "flatten must take all axes (start_dim 0, end_dim -1)"

    @property
    def title(self) -> str:
        return "flatten"

    @property
    def numbers(self) -> str:
        return ""
