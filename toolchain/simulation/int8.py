"""8-bit synapses on oneDNN: levels u8 times weights s8, summed in 32 bits; used only where proven equal.

``torch.ops.onednn`` is what ``torch.ao`` quantisation compiles to. It is not a public interface, and on processors
without VNNI its sums of two products may saturate at 16 bits. So every synapse is prepared by running it on extreme and
random inputs against exact float32; where the operator is missing, refuses or differs, there is no 8-bit synapse and
the caller stays with float32.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch._ops import ops

from toolchain.ir.integer import Affine, Convolution, Synapse
from toolchain.ir.linear import apply_linear, is_regular


class Int8Synapse:
    """A synapse with a float32 ``scale`` [O] per output channel, per unit of 2**weight_exp, packed into its weights."""

    def __init__(self, node: Synapse, scale: Tensor) -> None:
        self._affine = isinstance(node, Affine)
        weight = torch.from_numpy(node.weight >> node.weight_exp).to(torch.int8)
        if isinstance(node, Convolution):
            self._geometry = (list(node.stride), list(node.padding), list(node.dilation), node.groups)
            shape = list(node.input_shape)
        else:
            weight = weight[:, :, None, None]  # an affine map is a convolution of one pixel
            self._geometry = ([1, 1], [0, 0], [1, 1], 1)
            shape = [weight.shape[1], 1, 1]
        self._scale = scale
        self._zero = torch.zeros(len(scale), dtype=torch.int32)
        self._no_bias = torch.zeros(len(scale))
        # torch 2.3 takes the scale here, later versions take it at the call: both get the same one.
        self._packed = ops.onednn.qconv_prepack(weight, scale, 1.0, 0, *self._geometry, [1, *shape])

    def current(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """float32 [N, *output shape]: ``sum * scale + bias`` (bias [O], or 0), for u8 ``x`` [N, *input shape]."""
        return self._run(x, self._no_bias if bias is None else bias, torch.float32)

    def quantised(self, x: Tensor, bias: Tensor) -> Tensor:
        """u8 [N, *output shape]: ``clip(round(sum * scale + bias), 0, 255)``."""
        return self._run(x, bias, torch.uint8)

    def _run(self, x: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
        if self._affine:
            x = x.reshape(len(x), -1, 1, 1)
        out: Tensor = ops.onednn.qconv2d_pointwise(
            channels_last(x),
            1.0,
            0,
            self._packed,
            self._scale,
            self._zero,
            bias,
            *self._geometry,
            1.0,
            0,
            dtype,
            "none",
            [],
            "",
        )
        return out.reshape(len(x), -1) if self._affine else out


def exact_synapse(node: Synapse, top: int) -> Int8Synapse | None:
    """The plain sums of ``node`` for inputs 0..``top``, or None where they do not run here or are not exact.

    A synapse that passes may also be built with other scales: its output stage has been compared too.
    """
    if torch.get_default_device().type != "cpu":
        return None
    weight = torch.from_numpy(node.weight >> node.weight_exp)
    if top > 255 or int(weight.min()) < -128 or int(weight.max()) > 127:
        return None
    if isinstance(node, Convolution) and not is_regular(node):
        return None
    try:
        return _proven(node, top)
    except (AttributeError, NotImplementedError, RuntimeError):
        return None


def _proven(node: Synapse, top: int) -> Int8Synapse | None:
    """Compare sums, and the staircase at and just below its edges, with float64 on extreme and random inputs."""
    generator = torch.Generator().manual_seed(0)
    random = torch.randint(0, top + 1, (2, *node.input_shape), generator=generator)
    x = torch.cat([torch.full_like(random[:1], top), random])
    sums, levels = apply_linear(node, x.double()), x.to(torch.uint8)
    plain = Int8Synapse(node, torch.full(node.output_shape[:1], 2.0**node.weight_exp))
    if not torch.equal(plain.current(levels).double(), sums):
        return None
    largest = max(1, int(sums.abs().max()))
    for divisor in {max(1, largest // n) for n in (2, 200, 20000)}:  # few levels, many, and beyond u8
        stage = Int8Synapse(node, torch.full(node.output_shape[:1], 2.0**node.weight_exp / divisor))
        bias = torch.full(node.output_shape[:1], 0.5 / divisor - 0.5)
        if not torch.equal(stage.quantised(levels, bias).double(), torch.floor(sums / divisor).clamp(0, 255)):
            return None
    return plain


def channels_last(x: Tensor) -> Tensor:
    """Images [N, C, H, W] in channels-last memory, anything else unchanged."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
