"""8-bit synapses on oneDNN: levels u8 times weights s8, summed in 32 bits; used only where proven equal.

``torch.ops.onednn`` is what ``torch.ao`` quantisation compiles to. It is not a public interface, and on processors
without VNNI its sums of two products saturate at 16 bits. Where two products of a synapse may leave them, a synapse of
the same geometry with the largest weights tells whether the processor adds pairs so. And every synapse is prepared by
running it on extreme, random and sparse inputs against exact float64; where the operator is missing, refuses or
differs, there is no 8-bit synapse and the caller stays with float32.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._ops import ops

from spikec.ir.operations import Affine, Convolution, Synapse
from spikec.ir.operations.weights import row_blocks
from spikec.ir.types import Shape
from spikec.simulation.paths import Reason

U8_MAX = 255
_S32 = 2**31  # kernels sum in 32 bits
_S16 = 2**15 - 1  # and some of them pairs of products in 16
_SPARSE = 0.03
_FLOAT32_EXACT = 2**24
_ROW = 64  # from this many images on, affine maps take them as the pixels of one row
_EXACT_DIVISOR = 2**13  # (2 * 256 + 258) times it is below 2**23; see stage_of
_LARGEST_UNROLLED = 2**24  # weights of a convolution written out as a matrix


class Int8Synapse:
    """A synapse with a float32 ``scale`` [O] per output channel, per unit of 2**weight_exp, packed into its weights."""

    def __init__(self, node: Synapse, scale: Tensor) -> None:
        weight = torch.from_numpy(node.narrow_mantissas).to(torch.int8)
        shape = list(node.input_shape)
        self._geometry = ([1, 1], [0, 0], [1, 1], 1)
        self._map: tuple[int, int] | None = None  # (H', W') of a convolution that runs as one affine map
        self._affine = isinstance(node, Affine)
        if isinstance(node, Convolution):
            if _mostly_padding(node):
                self._map = (node.output_shape[1], node.output_shape[2])
                weight, self._affine = unrolled(node, weight), True
                scale = self._per_pixel(scale)
            else:
                self._geometry = (list(node.stride), list(node.padding), list(node.dilation), node.groups)
        if self._affine:
            weight = weight[:, :, None, None]  # a convolution of single pixels
            shape = [weight.shape[1], 1, 1]
        self._scale = scale
        self._zero = torch.zeros(len(scale), dtype=torch.int32)
        self._no_bias = torch.zeros(len(scale))
        # torch 2.3 takes the scale here, later versions take it at the call: both get the same one.
        self._packed = ops.onednn.qconv_prepack(weight, scale, 1.0, 0, *self._geometry, [1, *shape])
        self._packed_row = self._packed
        if self._affine:
            shape[-1] = _ROW
            self._packed_row = ops.onednn.qconv_prepack(weight, scale, 1.0, 0, *self._geometry, [1, *shape])

    def current(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """float32 [N, *output shape]: ``sum * scale + bias`` (bias [O], or 0), for u8 ``x`` [N, *input shape]."""
        return self._run(x, None if bias is None else self._per_pixel(bias), torch.float32)

    def quantised(self, x: Tensor, bias: Tensor, beside: Tensor | None = None, factor: float = 0.0) -> Tensor:
        """u8 [N, *output shape]: ``clip(round(sum * scale + bias), 0, 255)``. With ``beside``, u8 of that shape,
        ``factor * beside`` is added before it rounds; only where :func:`adds_beside` found that exact."""
        return self._run(x, self._per_pixel(bias), torch.uint8, beside, factor)

    def _per_pixel(self, channels: Tensor) -> Tensor:
        """From one value per channel [O] to one per output of the kernel."""
        return channels if self._map is None else channels.repeat(self._map[0] * self._map[1])

    def _run(
        self, x: Tensor, bias: Tensor | None, dtype: torch.dtype, beside: Tensor | None = None, factor: float = 0.0
    ) -> Tensor:
        if beside is not None:
            assert bias is not None
            return self._added(x, bias, beside, factor)
        if self._map is not None:
            x = x.permute(0, 2, 3, 1)
        images = x.shape[0]
        # Many images of an affine map are the pixels of one row. Few would make oneDNN pack the weights at every call.
        row = self._affine and images >= _ROW
        if self._affine:
            x = x.reshape(1, 1, images, -1).permute(0, 3, 1, 2) if row else x.reshape(images, -1, 1, 1)
        out: Tensor = ops.onednn.qconv2d_pointwise(
            channels_last(x),
            1.0,
            0,
            self._packed_row if row else self._packed,
            self._scale,
            self._zero,
            self._no_bias if bias is None else bias,
            *self._geometry,
            1.0,
            0,
            dtype,
            "none",
            [],
            "",
        )
        if self._affine:
            out = out.permute(0, 2, 3, 1).reshape(images, -1)
        return out if self._map is None else out.reshape(images, *self._map, -1).permute(0, 3, 1, 2)

    def _added(self, x: Tensor, bias: Tensor, beside: Tensor, factor: float) -> Tensor:
        """The sum of the kernel and ``factor * beside``, rounded in its output stage."""
        written = channels_last(beside).clone(memory_format=torch.preserve_format)  # the kernel writes its result there
        stride, padding, dilation, groups = self._geometry
        out: Tensor = ops.onednn.qconv2d_pointwise.binary(
            qx=channels_last(x),
            x_scale=1.0,
            x_zero_point=0,
            qw=self._packed,
            w_scale=self._scale,
            w_zero_point=self._zero,
            qaccum=written,
            bias=bias,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            **{_output_scale(): 1.0},
            output_zero_point=0,
            output_dtype=torch.uint8,
            accum_scale=factor,
            accum_zero_point=0,
            binary_attr="sum",
            alpha=1.0,
            unary_attr="none",
            unary_scalars=[],
            unary_algorithm="",
        )
        return out


@lru_cache(maxsize=1)
def _output_scale() -> str:
    """What the operator that adds calls the scale of its output: torch 2.3 has the inverse. Both are 1 here."""
    names: list[str] = [argument.name for argument in ops.onednn.qconv2d_pointwise.binary._schema.arguments]
    return next(name for name in names if name.endswith("output_scale"))


def _mostly_padding(node: Convolution) -> bool:
    """Whether the input has fewer pixels than the kernel has taps (without groups, and with a matrix that is not too
    large). One affine map of all pixels then takes fewer multiplications than the kernels, which multiply padding too.
    """
    pixels, taps = (array[-2] * array[-1] for array in (node.input_shape, node.weight_shape))
    weights = node.output_shape[0] * node.output_shape[1] * node.output_shape[2] * node.input_shape[0] * pixels
    return node.groups == 1 and pixels < taps and weights <= _LARGEST_UNROLLED


def unrolled(node: Convolution, weight: Tensor) -> Tensor:
    """The s8 matrix [H' * W' * O, H * W * C] of a convolution, for maps in channels-last memory."""
    (outputs, rows, columns), (inputs, height, width) = node.output_shape, node.input_shape
    matrix = weight.new_zeros(rows, columns, outputs, height, width, inputs)
    for i, j, u, v in product(range(rows), range(columns), *map(range, node.weight_shape[2:])):
        y = i * node.stride[0] - node.padding[0] + u * node.dilation[0]
        x = j * node.stride[1] - node.padding[1] + v * node.dilation[1]
        if 0 <= y < height and 0 <= x < width:
            matrix[i, j, :, y, x] = weight[:, :, u, v]
    return matrix.reshape(rows * columns * outputs, -1)


def exact_synapse(node: Synapse, top: int) -> Int8Synapse | Reason:
    """An 8-bit synapse for the plain sums of ``node`` on inputs 0..``top``; the reason where it fails here or is not
    exact. Sums beyond 2**24 come out rounded to float32; those in 32 bits behind them are exact all the same.

    A synapse that passes may also be built with other scales, as far as ``stage_of`` finds them exact.
    """
    if torch.get_default_device().type != "cpu":
        return Reason("8-bit kernels run on the CPU")
    if not isinstance(node, Convolution | Affine):
        return Reason(f"no 8-bit kernel is known for {type(node).__name__}")
    weight = torch.from_numpy(node.narrow_mantissas)
    if top > U8_MAX:
        return Reason.beyond("its input", top, U8_MAX + 1, "u8")
    low, high = int(weight.min()), int(weight.max())
    if low < -128 or high > 127:
        return Reason.beyond("its weights", max(~low, high), 128, "an 8-bit kernel")
    if isinstance(node, Convolution) and not (_mostly_padding(node) or node.is_regular):
        return Reason("8-bit kernels take no convolution of this geometry")
    largest = largest_sum(node, top) >> node.weight_exp
    if largest >= _S32:
        return Reason.beyond("its sum in units of its weights", largest, _S32, "an 8-bit kernel")
    try:
        pair = 2 * max(-low, high) * top
        pair = pair if pair <= _S16 else _largest_pair(node) * top
        if pair > _S16 and _saturates(node):
            return Reason.beyond("the sum of two products", pair, _S16 + 1, "an 8-bit kernel of this processor")
        return _proven(node, top)
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        return Reason(f"the 8-bit kernel of this torch and processor refuses it ({type(error).__name__})")


def _proven(node: Synapse, top: int) -> Int8Synapse | Reason:
    """Compare sums, and the staircase at and just below its edges, with float64 on extreme and random inputs."""
    generator = torch.Generator().manual_seed(0)
    random = torch.randint(0, top + 1, (3, *node.input_shape), generator=generator)
    random[2] *= torch.rand(node.input_shape, generator=generator) < _SPARSE  # small sums, whose quotients count
    x = torch.cat([torch.full_like(random[:1], top), random])
    sums, levels = node.apply(x.double()), x.to(torch.uint8)
    batches = [(levels, sums)]
    if not isinstance(node, Convolution) or _mostly_padding(node):  # these have another layout for many images
        batches.append((levels.repeat(_ROW, *[1] * (x.dim() - 1)), sums.repeat(_ROW, *[1] * (sums.dim() - 1))))
    plain = Int8Synapse(node, torch.full(node.output_shape[:1], 2.0**node.weight_exp))
    if not all(torch.equal(plain.current(levels), sums.float()) for levels, sums in batches):
        return Reason("the 8-bit kernel of this torch and processor gives other sums than float64")
    largest = max(1, int(sums.abs().max()))
    for divisor in _divisors(largest):
        stage = Int8Synapse(node, torch.full(node.output_shape[:1], 2.0**node.weight_exp / divisor))
        bias = torch.full(node.output_shape[:1], 0.5 / divisor - 0.5)
        for levels, sums in batches:
            if not torch.equal(stage.quantised(levels, bias).double(), torch.floor(sums / divisor).clamp(0, U8_MAX)):
                return Reason("the 8-bit kernel of this torch and processor rounds otherwise than float64")
    return plain


def _largest_pair(node: Synapse) -> int:
    """The largest magnitude of the sum of any two weights of an output."""
    rows = node.narrow_mantissas.reshape(node.weight_shape[0], -1)
    if rows.shape[1] == 1:
        return int(np.abs(rows.astype(np.int64)).max())
    ends = np.partition(rows, (1, rows.shape[1] - 2), axis=1).astype(np.int64)
    return int(max(-ends[:, :2].sum(axis=1).min(), ends[:, -2:].sum(axis=1).max()))


def _saturates(node: Synapse) -> bool:
    """Whether the kernel of this geometry adds products in pairs of 16 bits: with the largest weights and inputs, where
    that takes half of the sums, which no rounding hides."""
    return _pairs(isinstance(node, Affine), node.weight_shape, node.input_shape, _geometry_of(node))


@lru_cache(maxsize=1024)
def _pairs(affine: bool, weights: Shape, inputs: Shape, geometry: tuple[Any, ...]) -> bool:
    weight, bias = np.full(weights, 127, np.int64), np.zeros(weights[0], np.int64)
    node: Synapse
    if affine:
        node = Affine("", ("",), inputs, weights[:1], weight, bias)
    else:
        stride, padding, dilation, groups = geometry
        shape = Convolution.convolved(inputs, weights[0], weights[2:], stride, padding, dilation)
        node = Convolution("", ("",), inputs, shape, weight, bias, stride, padding, dilation, groups)
    x = torch.full((1, *inputs), float(U8_MAX))
    found = Int8Synapse(node, torch.ones(weights[0])).current(x.to(torch.uint8))
    expected = node.apply(x.double())
    return bool(((found.double() - expected).abs() > expected / 256).any())


def _geometry_of(node: Synapse) -> tuple[Any, ...]:
    return (node.stride, node.padding, node.dilation, node.groups) if isinstance(node, Convolution) else ()


def _divisors(largest: int) -> set[int]:
    """Divisors of sums up to ``largest`` that leave few levels, many, and more than u8 holds. Beyond float32, those
    whose quotients come out exact, as ``stage_of`` asks for."""
    most = largest if largest < _FLOAT32_EXACT else _EXACT_DIVISOR
    return {min(most, max(1, largest // n)) for n in (2, 200, 20000)}


def largest_sum(node: Synapse, top: int) -> int:
    """A bound on any partial sum of ``node`` on inputs 0..``top``."""
    rows = node.narrow_mantissas.reshape(node.weight_shape[0], -1)
    blocks = (np.abs(rows[block].astype(np.int64)).sum(axis=1) for block in row_blocks(rows.shape))
    return (max(int(sums.max()) for sums in blocks) * top) << node.weight_exp


def adds_beside(node: Synapse, top: int, weight: int, beside_top: int) -> bool:
    """Whether the 8-bit kernel of ``node``, exact on inputs 0..``top``, also adds ``weight`` times counts
    0..``beside_top`` before it rounds; compared like the kernel itself."""
    if not isinstance(node, Convolution) or _mostly_padding(node):
        return False  # their outputs have another layout in the kernel
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(0, top + 1, (3, *node.input_shape), generator=generator)
    beside = torch.randint(0, beside_top + 1, (3, *node.output_shape), generator=generator)
    x[0], beside[1] = top, beside_top
    sums = node.apply(x.double()) + weight * beside
    largest = max(1, int(sums.abs().max()))
    for divisor in _divisors(largest):
        stage = Int8Synapse(node, torch.full(node.output_shape[:1], 2.0**node.weight_exp / divisor))
        bias = torch.full(node.output_shape[:1], 0.5 / divisor - 0.5)
        try:
            found = stage.quantised(x.to(torch.uint8), bias, beside.to(torch.uint8), weight / divisor)
        except (AttributeError, NotImplementedError, RuntimeError, StopIteration):
            return False  # this torch has no such kernel, or calls its arguments otherwise
        if not torch.equal(found.double(), torch.floor(sums / divisor).clamp(0, U8_MAX)):
            return False
    return True


def clipped(x: Tensor, top: int, *, keep: bool = False) -> Tensor:
    """u8 ``clip(floor(x), 0, top)`` of floats, in the same memory layout; ``top`` is at most 255. ``x`` is consumed
    unless ``keep``.

    Torch converts float32 to u8 number by number; by way of int8 or int16 that is nine or five times as fast.
    """
    x = x.clamp(0, top) if keep else x.clamp_(0, top)
    return x.to(torch.int8).view(torch.uint8) if top < 128 else x.to(torch.int16).to(torch.uint8)


def channels_last(x: Tensor) -> Tensor:
    """Images [N, C, H, W] in channels-last memory, anything else unchanged."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
