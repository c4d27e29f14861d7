"""Unflatten: (C*H*W,) to (C, H, W), no arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import nir
import numpy as np

from spikec.ir.limits import LIMITS
from spikec.ir.metadata import KEY, metadata_of
from spikec.ir.operations.base import register
from spikec.ir.operations.boxes import Box
from spikec.ir.operations.fields import flat_size, misfit, whole_numbers
from spikec.ir.operations.reshaping import Reshaping
from spikec.ir.types import Shape


@register
@dataclass(frozen=True)
class Unflatten(Reshaping):
    """Reads a vector as an image: channel after channel, row after row. Behind an affine map, whose outputs are the
    neurons of an image.

    NIR has no node for it. A ``Flatten`` of a vector changes nothing, so one that says in ``op`` what it is stands for
    this: a reader that knows nothing of it sees a vector where neurons have the shape of an image.
    """

    variant: ClassVar[str] = "unflatten"
    keys: ClassVar[tuple[str, ...]] = ("output_size",)
    word: ClassVar[str] = "unflatten"

    def field(self, box: Box) -> Box:
        first = np.ravel_multi_index([low for low, _ in box], self.output_shape)
        last = np.ravel_multi_index([high - 1 for _, high in box], self.output_shape)
        return ((int(first), int(last) + 1),)

    def to_nir(self) -> nir.Flatten:
        size = np.array(self.output_shape, dtype=np.int32)
        return nir.Flatten(
            input_type={"input": np.array(self.input_shape)},
            start_dim=0,
            end_dim=-1,
            metadata={KEY: {"op": self.variant, "output_size": size}},
        )

    @classmethod
    def from_nir(cls, name: str, node: Any, sources: tuple[str, ...], shape: Shape) -> Unflatten:
        output = tuple(int(n) for n in np.asarray(metadata_of(node)["output_size"]).reshape(-1))
        if shape != (flat_size(output),):
            raise misfit(name, f"makes images {output} of a vector, its source has shape {shape}")
        return cls(name, sources, shape, output)

    @classmethod
    def problems(cls, node: Any, typed: bool) -> Iterator[str]:
        yield from super().problems(node, typed)
        limit = LIMITS["Flatten"]["output_size"]
        if not whole_numbers(metadata_of(node).get("output_size"), limit, (3,)):
            yield f"output_size must be three integers {limit}: channels, rows, columns"

    @property
    def passes_type_check(self) -> bool:
        return False

    @property
    def title(self) -> str:
        return "unflatten"

    @property
    def numbers(self) -> str:
        return f"to {'x'.join(map(str, self.output_shape))}"
