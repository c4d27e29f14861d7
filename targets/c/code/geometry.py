"""The shape of a sum: which inputs meet which outputs, through which taps."""

from __future__ import annotations

from dataclasses import dataclass

from spikec.ir.operations import Convolution, Synapse
from spikec.ir.types import Shape

Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """z[o, y, x] += w[o, i, u, v] * a[g(o) + i, y*sh - ph + u*dh, x*sw - pw + v*dw]."""

    node: Synapse
    inputs: Shape
    outputs: Shape
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @classmethod
    def of(cls, node: Convolution) -> Geometry:
        kernel = (int(node.weight_shape[2]), int(node.weight_shape[3]))
        return cls(
            node, node.input_shape, node.output_shape, kernel, node.stride, node.padding, node.dilation, node.groups
        )

    @property
    def channels(self) -> int:
        return self.outputs[0]

    @property
    def per_group(self) -> Pair:
        """Inputs and outputs of one group."""
        return self.inputs[0] // self.groups, self.outputs[0] // self.groups

    @property
    def depthwise(self) -> bool:
        return self.groups > 1 and self.per_group == (1, 1)

    @property
    def whole(self) -> bool:
        """Whether there is one place, which meets one tap: a matrix."""
        one = self.inputs[1:] == self.outputs[1:] == (1, 1) == self.kernel
        return one and self.padding == (0, 0) and self.groups == 1

    def equation(self) -> str:
        """The sum in words of mathematics."""
        if self.whole:
            return "z[o] += w[o, i] * a[i]"
        places = [
            f"{name}{f'*{s}' if s > 1 else ''}{f' - {p}' if p else ''} + {tap}{f'*{d}' if d > 1 else ''}"
            for name, tap, s, p, d in zip("yx", "uv", self.stride, self.padding, self.dilation, strict=True)
        ]
        source = "i" if self.groups == 1 else f"(o / {self.per_group[1]})*{self.per_group[0]} + i"
        return f"z[o, y, x] += w[o, i, u, v] * a[{source}, {', '.join(places)}]"
