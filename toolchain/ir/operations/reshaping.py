"""What reads its source in another shape, without arithmetic: :class:`Flatten`, :class:`Unflatten`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import nir

from spikec.ir.operations.base import Linear, Mask
from spikec.ir.operations.linear_interval import Whole
from spikec.ir.types import Int64

if TYPE_CHECKING:
    from torch import Tensor


class Reshaping(Linear):
    """Values in the same order: channel after channel, row after row. NIR's node is a ``Flatten`` of all axes."""

    nir_node: ClassVar[type] = nir.Flatten
    hashed: ClassVar[tuple[str, ...]] = ()
    exact: ClassVar[tuple[str, ...]] = ()
    adds: ClassVar[bool] = False
    rearranges: ClassVar[bool] = True

    @property
    def window(self) -> int:
        return 1

    def apply(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        return x.reshape(x.shape[0], *self.output_shape)

    def passed(self, x: Whole, magnitudes: bool = False) -> Whole:
        return x.reshape(self.output_shape)

    def pull_back(self, after: Int64, mask: Mask | None = None) -> Int64:
        return after.reshape(self.input_shape)

    @classmethod
    def problems(cls, node: Any, typed: bool) -> Iterator[str]:
        if (node.start_dim, node.end_dim) != (0, -1):
            yield "flatten must take all axes (start_dim 0, end_dim -1)"
