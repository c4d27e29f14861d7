"""Affine map: a weight for every pair of an input and an output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import nir
import numpy as np

from spikec.ir.limits import LIMITS
from spikec.ir.metadata import KEY, int_of, metadata_of
from spikec.ir.operations.base import Mask, Synapse, register
from spikec.ir.operations.boxes import Box, volume, whole
from spikec.ir.operations.fields import float32, int64, misfit
from spikec.ir.operations.linear_interval import Whole
from spikec.ir.operations.products import product
from spikec.ir.operations.weights import narrow, row_blocks
from spikec.ir.types import Int64, Shape

if TYPE_CHECKING:
    from torch import Tensor


#: Weights that are widened at a time where the caller has not done so.
_WIDENED = 2**22


@register
@dataclass(frozen=True)
class Affine(Synapse):
    """``z = weight @ a + bias`` with ``weight`` [O, I], columns in C, H, W order after a flatten.

    ``sparse``: weights that are zero are no synapses.
    """

    weight_exp: int = 0
    sparse: bool = False

    nir_node: ClassVar[type] = nir.Affine
    hashed: ClassVar[tuple[str, ...]] = ("bias", "weight")
    exact: ClassVar[tuple[str, ...]] = ("bias", "weight")
    word: ClassVar[str] = "affine"
    op: ClassVar[str] = "affine"
    keys: ClassVar[tuple[str, ...]] = (*Synapse.keys, "sparse")
    shares_weights: ClassVar[bool] = False

    @property
    def groups(self) -> int:
        return 1

    def apply(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        import torch
        import torch.nn.functional as F

        if weight is not None:
            return F.linear(x, weight)
        kept = torch.as_tensor(self.narrow_weight)
        blocks = [F.linear(x, kept[rows].to(x.dtype)) for rows in row_blocks(self.weight_shape, _WIDENED)]
        return blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=-1)

    def passed(self, x: Whole, magnitudes: bool = False) -> Whole:
        return product(self.narrow_weight, x, magnitudes)

    def structure(self) -> Mask:
        mask: Mask = self.narrow_weight != 0 if self.sparse else np.ones(self.weight_shape, dtype=np.bool_)
        return mask

    def fan_out(self, mask: Mask) -> Int64:
        result: Int64 = mask.sum(axis=0, dtype=np.int64).reshape(self.input_shape)
        return result

    def entered(self) -> Int64:
        if self.sparse:
            met: Int64 = (self.narrow_weight != 0).any(axis=0).astype(np.int64).reshape(self.input_shape)
            return met
        return np.ones(self.input_shape, dtype=np.int64)  # needs no mask as large as the weights

    def pull_back(self, after: Int64, mask: Mask | None = None) -> Int64:
        assert mask is not None  # the weights, or which of them exist
        flat, before = after.reshape(-1), np.zeros(mask.shape[1], dtype=np.int64)
        for rows in row_blocks(mask.shape):  # widened block by block
            before += flat[rows] @ mask[rows].astype(np.int64)
        return before.reshape(self.input_shape)

    def field(self, box: Box) -> Box:
        return whole(self.input_shape)

    def cells(self, box: Box) -> tuple[int, Box]:
        around = self.field(box)
        return int((self.narrow_weight[slice(*box[0])] != 0).any(axis=0).sum()) if self.sparse else volume(
            around
        ), around

    def connections(self, box: Box) -> int:
        if self.sparse:
            return int(np.count_nonzero(self.narrow_weight[slice(*box[0])]))
        return volume(box) * self.weight_shape[1]

    @property
    def weights_met(self) -> int:
        return int((self.narrow_weight != 0).sum(axis=1).max()) if self.sparse else self.weight_shape[1]

    @property
    def padded_macs(self) -> int:
        return int(np.count_nonzero(self.narrow_weight)) if self.sparse else self.weight_count

    def to_nir(self) -> nir.Affine:
        metadata = self.nir_metadata(self.narrow_weight)
        if self.sparse:
            metadata["sparse"] = 1
        return nir.Affine(weight=float32(self.narrow_weight), bias=float32(self.bias), metadata={KEY: metadata})

    @classmethod
    def from_nir(cls, name: str, node: Any, sources: tuple[str, ...], shape: Shape) -> Affine:
        weight = narrow(np.asarray(node.weight))
        if shape != (weight.shape[1],):
            raise misfit(name, f"expects {weight.shape[1]} inputs, its source has shape {shape}")
        metadata = metadata_of(node)
        exponent, sparse = int_of(metadata, "weight_exp", 0), bool(int_of(metadata, "sparse", 0))
        return cls(name, sources, shape, (weight.shape[0],), weight, int64(node.bias), exponent, sparse)

    @classmethod
    def problems(cls, node: Any, typed: bool) -> Iterator[str]:
        if np.ndim(node.weight) != 2 or np.shape(node.bias) != np.shape(node.weight)[:1]:
            yield f"weight {np.shape(node.weight)} and bias {np.shape(node.bias)} do not form an affine map"
        if not LIMITS["Affine"]["sparse"].holds(int_of(metadata_of(node), "sparse", 0)):
            yield "metadata 'sparse' must be 0 or 1"

    @property
    def title(self) -> str:
        return "affine"

    @property
    def numbers(self) -> str:
        return f"{self._weights_shown}{', zeros are no synapses' if self.sparse else ''}"

    def described(self, times: str = "x") -> str:
        return "linear"
