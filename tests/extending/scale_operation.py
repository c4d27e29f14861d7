"""An operation of another package: a whole factor per channel, held by NIR's ``Scale``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import nir
import numpy as np

from spikec.errors import RangeError
from spikec.ir.integers import VALUE_MAX, magnitude, times
from spikec.ir.operations import Linear, register
from spikec.ir.operations.base import Mask
from spikec.ir.operations.boxes import Box
from spikec.ir.operations.fields import float32, int64
from spikec.ir.types import Int64, Shape

if TYPE_CHECKING:
    from torch import Tensor


@register
@dataclass(frozen=True)
class Scale(Linear):
    """``z[c] = factor[c] * a[c]``, whole numbers; ``factor`` int64 [C]."""

    factor: Int64

    nir_node: ClassVar[type] = nir.Scale
    hashed: ClassVar[tuple[str, ...]] = ("scale",)
    exact: ClassVar[tuple[str, ...]] = ("scale",)
    word: ClassVar[str] = "scale"
    adds: ClassVar[bool] = False
    rearranges: ClassVar[bool] = False

    def apply(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        return x * x.new_tensor(self._column)

    @property
    def _column(self) -> Int64:
        return self.factor.reshape(-1, *[1] * (len(self.output_shape) - 1))

    def interval(self, low: Int64, high: Int64) -> tuple[Int64, Int64, int]:
        ends = [times(end, self._column) for end in (low, high)]
        largest = max(map(magnitude, ends))
        if largest > VALUE_MAX:
            raise RangeError(f"{self.name}: a product may reach {largest}, beyond 62 bits")
        return np.minimum(*ends), np.maximum(*ends), largest

    def pull_back(self, after: Int64, mask: Mask | None = None) -> Int64:
        return after * (self._column != 0)

    def field(self, box: Box) -> Box:
        return box

    def to_nir(self) -> nir.Scale:
        return nir.Scale(scale=float32(np.broadcast_to(self._column, self.output_shape)))

    @classmethod
    def from_nir(cls, name: str, node: Any, sources: tuple[str, ...], shape: Shape) -> Scale:
        return cls(name, sources, shape, shape, int64(node.scale).reshape(shape[0], -1)[:, 0])

    @classmethod
    def problems(cls, node: Any, typed: bool) -> Iterator[str]:
        rows = np.asarray(node.scale).reshape(np.shape(node.scale)[0], -1)
        if (rows != rows[:, :1]).any():
            yield "scale must be one number per channel"

    @property
    def window(self) -> int:
        return 1

    @property
    def title(self) -> str:
        return "scale"

    @property
    def numbers(self) -> str:
        return f"factor {self.factor.tolist()}"
