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
        w = torch.as_tensor(node.weight).to(x.dtype) if weight is None else weight
        padding = node.padding
        if not is_regular(node):
            x = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
            x, padding = x.flatten().view(x.shape), (0, 0)
        return F.conv2d(x, w, None, node.stride, padding, node.dilation, node.groups)
    if isinstance(node, Affine):
        w = torch.as_tensor(node.weight).to(x.dtype) if weight is None else weight
        return F.linear(x, w)
    if isinstance(node, SumPool):
        (kh, kw), (_, height, width) = node.kernel, node.output_shape
        x = x[..., : height * kh, : width * kw]
        if x.dtype.is_floating_point:
            return F.avg_pool2d(x, node.kernel, node.stride, divisor_override=1)
        return x.reshape(*x.shape[:-2], height, kh, width, kw).sum((-3, -1), dtype=x.dtype)
    return x.reshape(x.shape[0], *node.output_shape)


def is_regular(node: Convolution) -> bool:
    """Whether any memory layout and 8-bit kernels are safe for a convolution; else padding is made explicit and the
    layout plain.

    oneDNN (torch 2.3.1 and 2.13, CPU) reads beyond its buffers and may crash where an output position sees padding
    alone, and computes wrong sums where the output is a single column of several rows: the 8-bit kernel always, the
    float32 kernel on one channel in channels-last layout. The taps of a window lie ``dilation`` apart.
    """
    sizes = zip(node.input_shape[1:], node.weight.shape[2:], node.padding, node.dilation, strict=True)
    sees_input = all(padding <= dilation * (taps - 1) and size >= dilation for size, taps, padding, dilation in sizes)
    _, rows, columns = node.output_shape
    return sees_input and (columns > 1 or rows == 1)
