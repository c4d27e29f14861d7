"""Sum pool: an average pool without its division, which the next layer takes over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import nir
import numpy as np

from spikec.ir.limits import LIMITS
from spikec.ir.metadata import KEY, int_of, metadata_of, shown, text_of
from spikec.ir.operations.base import Linear, Mask, register
from spikec.ir.operations.boxes import Box
from spikec.ir.operations.fields import misfit, misfits, pair
from spikec.ir.operations.linear_interval import Whole
from spikec.ir.operations.windows import output_size
from spikec.ir.types import Int64, Shape

if TYPE_CHECKING:
    from torch import Tensor


@register
@dataclass(frozen=True)
class SumPool(Linear):
    """``z[c, y, x] = sum of a[c, y*sh + u, x*sw + v]``, kernel == stride, no padding; partial windows are dropped."""

    kernel: tuple[int, int]
    stride: tuple[int, int]

    nir_node: ClassVar[type] = nir.SumPool2d
    keys: ClassVar[tuple[str, ...]] = ("origin", "folded_divisor")
    hashed: ClassVar[tuple[str, ...]] = ("kernel_size", "padding", "stride")
    exact: ClassVar[tuple[str, ...]] = ()
    word: ClassVar[str] = "sum pool"
    adds: ClassVar[bool] = True
    rearranges: ClassVar[bool] = False

    @property
    def window(self) -> int:
        return self.kernel[0] * self.kernel[1]

    @staticmethod
    def pooled(shape: Shape, kernel: tuple[int, int]) -> Shape:
        """Shape of the sums over windows of ``kernel``."""
        return (shape[0], *(output_size(n, k, k) for n, k in zip(shape[1:], kernel, strict=True)))

    def apply(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        import torch.nn.functional as F

        (kh, kw), (_, height, width) = self.kernel, self.output_shape
        x = x[..., : height * kh, : width * kw]
        if x.dtype.is_floating_point:
            return F.avg_pool2d(x, self.kernel, self.stride, divisor_override=1)
        return x.reshape(*x.shape[:-2], height, kh, width, kw).sum((-3, -1), dtype=x.dtype)

    def passed(self, x: Whole, magnitudes: bool = False) -> Whole:
        (kh, kw), (channels, height, width) = self.kernel, self.output_shape
        windows = x[:, : height * kh, : width * kw].reshape(channels, height, kh, width, kw)
        found: Whole = windows.sum((2, 4), dtype=x.dtype)
        return found

    def pull_back(self, after: Int64, mask: Mask | None = None) -> Int64:
        before = np.zeros(self.input_shape, dtype=np.int64)
        _, height, width = self.output_shape
        for row in range(self.kernel[0]):
            for column in range(self.kernel[1]):
                before[
                    :,
                    row : row + height * self.stride[0] : self.stride[0],
                    column : column + width * self.stride[1] : self.stride[1],
                ] += after
        return before

    def field(self, box: Box) -> Box:
        rows, columns = (
            (low * stride, (high - 1) * stride + kernel)
            for (low, high), stride, kernel in zip(box[1:], self.stride, self.kernel, strict=True)
        )
        return box[0], rows, columns

    def to_nir(self) -> nir.SumPool2d:
        return nir.SumPool2d(
            kernel_size=np.array(self.kernel),
            stride=np.array(self.stride),
            padding=np.array((0, 0)),
            metadata={KEY: {"origin": "avgpool2d", "folded_divisor": self.window}},
        )

    @classmethod
    def from_nir(cls, name: str, node: Any, sources: tuple[str, ...], shape: Shape) -> SumPool:
        kernel = pair(node.kernel_size)
        if len(shape) != 3 or shape[1] < kernel[0] or shape[2] < kernel[1] or min(kernel) < 1:
            raise misfit(name, f"a {kernel[0]}x{kernel[1]} pool does not fit its source of shape {shape}")
        return cls(name, sources, shape, cls.pooled(shape, kernel), kernel, kernel)

    @classmethod
    def problems(cls, node: Any, typed: bool) -> Iterator[str]:
        if op := text_of(metadata_of(node), "op"):
            yield f"op is {shown(op)}: a pool is a sum, which has none, or of another kind that this version knows"
        limits = LIMITS["SumPool2d"]
        divisor = int_of(metadata_of(node), "folded_divisor", 1)
        if not limits["folded_divisor"].holds(divisor):
            yield f"folded_divisor is {divisor}, it must be {limits['folded_divisor']}"
        wrong = list(misfits(node, limits, "kernel_size", "stride", "padding"))
        yield from wrong
        if wrong:
            return
        if np.any(node.padding) or np.any(np.asarray(node.kernel_size) != np.asarray(node.stride)):
            yield "a sum pool has no padding and a stride equal to its kernel"

    @property
    def title(self) -> str:
        return f"sumpool {self.kernel[0]}x{self.kernel[1]}"

    @property
    def numbers(self) -> str:
        return ""
