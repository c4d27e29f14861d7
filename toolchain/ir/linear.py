"""The linear part of an integer node: what a synapse, pool or flatten does to its input, without its bias."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from toolchain.ir.integer import Affine, Convolution, Linear, SumPool


def apply_linear(node: Linear, x: Tensor, weight: Tensor | None = None) -> Tensor:
    """``node`` without bias applied to ``x`` [N, *input_shape]; the result is [N, *output_shape] in the dtype of ``x``.

    ``weight`` stands in for ``node.weight``: the same weights in the dtype of ``x`` (converted once by the caller), or
    a part of them, as range analysis needs. Exact in float32 / float64 as long as every partial sum stays below
    2**24 / 2**53 in magnitude, and in int64 below 2**63.
    """
    if isinstance(node, Convolution):
        w = torch.from_numpy(node.weight).to(x.dtype) if weight is None else weight
        return F.conv2d(x, w, None, node.stride, node.padding, node.dilation, node.groups)
    if isinstance(node, Affine):
        w = torch.from_numpy(node.weight).to(x.dtype) if weight is None else weight
        return F.linear(x, w)
    if isinstance(node, SumPool):
        (kh, kw), (_, height, width) = node.kernel, node.output_shape
        x = x[..., : height * kh, : width * kw]
        if x.dtype.is_floating_point:
            return F.avg_pool2d(x, node.kernel, node.stride, divisor_override=1)
        return x.reshape(*x.shape[:-2], height, kh, width, kw).sum((-3, -1), dtype=x.dtype)
    return x.reshape(x.shape[0], *node.output_shape)
