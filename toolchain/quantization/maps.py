"""Linear maps between populations: composed in float64 before anything is rounded.

Between two spiking layers a network may stack any number of linear operations. Hardware has one synapse there. A
:class:`Term` is what one source population contributes: an optional average pool of its emissions, then an optional
convolution, then an optional dense matrix. A :class:`Current` is the sum of terms plus a bias: the input of a
population. The functions below apply one more operation to a current.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Shape = tuple[int, ...]
Pads = tuple[int, int, int, int]

#: Largest dense matrix (entries) that a convolution may be unrolled into where a dense layer follows it directly.
_DENSE_LIMIT = 2**26


class NotComposableError(Exception):
    """Two linear operations that no single synapse can express; the message says which and why."""


@dataclass(frozen=True)
class Kernel:
    """A convolution [O, I / groups, kH, kW] with four-sided zero padding (top, bottom, left, right)."""

    weight: Float64
    stride: tuple[int, int] = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def pointwise(self) -> bool:
        return self.weight.shape[2:] == (1, 1)

    def dense_groups(self) -> Float64:
        """The weight as [O, I, kH, kW] with zeros between groups."""
        if self.groups == 1:
            return self.weight
        rows, per_group = self.weight.shape[0] // self.groups, self.weight.shape[1]
        full = np.zeros((self.weight.shape[0], per_group * self.groups, *self.weight.shape[2:]))
        for g in range(self.groups):
            own = slice(g * rows, (g + 1) * rows)
            full[own, g * per_group : (g + 1) * per_group] = self.weight[own]
        return full

    def output_shape(self, shape: Shape) -> Shape:
        top, bottom, left, right = self.pads
        padded = (shape[1] + top + bottom, shape[2] + left + right)
        spatial = [
            (n - d * (k - 1) - 1) // s + 1
            for n, d, k, s in zip(padded, self.dilation, self.weight.shape[2:], self.stride, strict=True)
        ]
        return (self.weight.shape[0], *spatial)


@dataclass(frozen=True)
class Term:
    """What one source contributes: pool, then kernel, then flatten, then dense, each optional.

    ``source`` is a population or the input, ``shape`` its neuron shape, ``name`` the layer the weights come from.
    """

    source: str
    shape: Shape
    name: str = ""
    pool: tuple[int, int] | None = None
    kernel: Kernel | None = None
    flat: bool = False
    dense: Float64 | None = None

    @property
    def pooled_shape(self) -> Shape:
        if self.pool is None:
            return self.shape
        return (self.shape[0], self.shape[1] // self.pool[0], self.shape[2] // self.pool[1])

    @property
    def image_shape(self) -> Shape:
        return self.pooled_shape if self.kernel is None else self.kernel.output_shape(self.pooled_shape)

    @property
    def output_shape(self) -> Shape:
        if self.dense is not None:
            return (self.dense.shape[0],)
        return (int(np.prod(self.image_shape)),) if self.flat else self.image_shape


@dataclass(frozen=True)
class Current:
    """Sum of terms plus ``bias``, one value per channel (images) or per element (flat)."""

    terms: tuple[Term, ...]
    bias: Float64
    shape: Shape


def from_source(source: str, shape: Shape) -> Current:
    """The emissions of a population or the input, unchanged."""
    return Current((Term(source, shape),), np.zeros(shape[0]), shape)


def ones_source(shape: Shape) -> str:
    """Name of the population that emits one at every step, everywhere on an image of ``shape``."""
    return f"ones.{shape[1]}x{shape[2]}"


def convolve(current: Current, kernel: Kernel, bias: Float64, name: str) -> Current:
    """One more convolution.

    A bias before a padded convolution is a map, not a constant: the padding around it is zero. Such a bias enters as
    the emissions of a population of ones, which ends where the image ends (see :func:`ones_source`).
    """
    if any(kernel.pads) and current.bias.any():
        plane = Term(ones_source(current.shape), (1, *current.shape[1:]), name, kernel=_column(current.bias))
        current = Current((*current.terms, plane), np.zeros_like(current.bias), current.shape)
    terms = tuple(replace(_convolve_term(term, kernel), name=name) for term in current.terms)
    passed = kernel.dense_groups().sum((2, 3)) @ current.bias if current.bias.any() else 0.0
    return Current(terms, bias + passed, kernel.output_shape(current.shape))


def _column(values: Float64) -> Kernel:
    """A 1x1 kernel from one channel to ``len(values)``."""
    return Kernel(values.reshape(-1, 1, 1, 1))


def _convolve_term(term: Term, kernel: Kernel) -> Term:
    if term.flat:
        raise NotComposableError("a convolution after a flatten")
    return replace(term, kernel=kernel if term.kernel is None else compose(term.kernel, kernel))


def compose(first: Kernel, second: Kernel) -> Kernel:
    """The kernel that applies ``first``, then ``second``; raises :class:`NotComposableError` where there is none."""
    if not first.pointwise and any(second.pads):
        raise NotComposableError(
            "a padded convolution reads another convolution with no activation between them; "
            "add an activation, or do the padding in the first one"
        )
    if first.pointwise and any(second.pads) and any(first.pads) and first.stride != (1, 1):
        raise NotComposableError(
            "a padded convolution reads a padded, strided 1x1 convolution; add an activation between"
        )
    stride = (first.stride[0] * second.stride[0], first.stride[1] * second.stride[1])
    pads = _compose_pads(first, second)
    if first.pointwise and _depthwise(first):  # scales or pads channels: the groups of the second stay
        factor = first.weight.reshape(second.groups, 1, -1, 1, 1)
        grouped = second.weight.reshape(second.groups, -1, *second.weight.shape[1:]) * factor
        dilation = (second.dilation[0] * first.stride[0], second.dilation[1] * first.stride[1])
        return Kernel(grouped.reshape(second.weight.shape), stride, pads, dilation, second.groups)
    if first.groups == second.groups and _depthwise(first) and _depthwise(second):
        weight, dilation = _compose_weights(first, second, depthwise=True)
        return Kernel(weight, stride, pads, dilation, first.groups)
    weight, dilation = _compose_weights(first, second, depthwise=False)
    return Kernel(weight, stride, pads, dilation)


def _compose_pads(first: Kernel, second: Kernel) -> Pads:
    s = (first.stride[0], first.stride[0], first.stride[1], first.stride[1])
    pads = [p + q * t for p, q, t in zip(first.pads, second.pads, s, strict=True)]
    return pads[0], pads[1], pads[2], pads[3]


def _depthwise(kernel: Kernel) -> bool:
    return kernel.weight.shape[1] == 1 and kernel.weight.shape[0] == kernel.groups


def _compose_weights(first: Kernel, second: Kernel, *, depthwise: bool) -> tuple[Float64, tuple[int, int]]:
    """Weights and dilation of the composition: tap (i, u) lands at offset i * d2 * s1 + u * d1."""
    inner = first.weight if depthwise else first.dense_groups()
    outer = second.weight if depthwise else second.dense_groups()
    steps = [d * s for d, s in zip(second.dilation, first.stride, strict=True)]
    if first.pointwise:
        weight = outer * inner if depthwise else np.einsum("oiuv,ic->ocuv", outer, inner[:, :, 0, 0])
        return weight, (steps[0], steps[1])
    if second.pointwise:
        weight = outer * inner if depthwise else np.einsum("oi,icuv->ocuv", outer[:, :, 0, 0], inner)
        return weight, first.dilation
    size = [
        (k2 - 1) * step + (k1 - 1) * d + 1
        for k2, k1, step, d in zip(outer.shape[2:], inner.shape[2:], steps, first.dilation, strict=True)
    ]
    weight = np.zeros((outer.shape[0], inner.shape[1], *size))
    for i in range(outer.shape[2]):
        for j in range(outer.shape[3]):
            tap = outer[:, :, i, j]
            part = inner * tap[:, :, None, None] if depthwise else np.einsum("oi,icuv->ocuv", tap, inner)
            rows = i * steps[0] + first.dilation[0] * np.arange(inner.shape[2])
            cols = j * steps[1] + first.dilation[1] * np.arange(inner.shape[3])
            weight[:, :, rows[:, None], cols[None, :]] += part
    return weight, (1, 1)


def average(current: Current, window: tuple[int, int], name: str) -> Current:
    """One more average pool (stride = window, partial windows dropped).

    A pool of emissions stays a pool (the division is left to the weights, see ``pool`` in :class:`Term`), also behind
    a 1x1 convolution, which may as well come after it; a pool of other convolved currents is folded into the kernel.
    """
    terms = []
    for term in current.terms:
        kernel = term.kernel
        one_by_one = kernel is not None and kernel.pointwise and kernel.stride == (1, 1) and not any(kernel.pads)
        if (kernel is None or one_by_one) and not term.flat:
            inner = term.pool or (1, 1)
            terms.append(replace(term, pool=(inner[0] * window[0], inner[1] * window[1])))
        else:
            channels = term.image_shape[0]
            mean = np.full((channels, 1, *window), 1.0 / (window[0] * window[1]))
            terms.append(_convolve_term(term, Kernel(mean, stride=window, groups=channels)))
    shape = (current.shape[0], current.shape[1] // window[0], current.shape[2] // window[1])
    return Current(tuple(terms), current.bias, shape)


def scale(current: Current, factor: Float64, shift: Float64, name: str) -> Current:
    """``current * factor + shift`` per channel (images) or element (flat)."""
    terms = []
    for term in current.terms:
        if term.dense is not None:
            terms.append(replace(term, dense=term.dense * factor[:, None]))
        elif term.flat:
            repeats = int(np.prod(term.image_shape[1:]))
            by_channel = factor.reshape(term.image_shape[0], repeats)
            if (by_channel != by_channel[:, :1]).any():
                raise NotComposableError("a factor per element after a flatten, without a Linear before it")
            terms.append(replace(_convolve_term(replace(term, flat=False), _diagonal(by_channel[:, 0])), flat=True))
        else:
            terms.append(_convolve_term(term, _diagonal(factor)))
    named = tuple(replace(term, name=term.name or name) for term in terms)
    return Current(named, current.bias * factor + shift, current.shape)


def _diagonal(factor: Float64) -> Kernel:
    return Kernel(factor.reshape(-1, 1, 1, 1).astype(np.float64), groups=len(factor))


def flatten(current: Current) -> Current:
    """(C, H, W) to C*H*W elements in that order."""
    if len(current.shape) == 1:
        return current
    repeats = int(np.prod(current.shape[1:]))
    terms = tuple(replace(term, flat=True) for term in current.terms)
    return Current(terms, np.repeat(current.bias, repeats), (int(np.prod(current.shape)),))


def dense(current: Current, weight: Float64, bias: Float64, name: str) -> Current:
    """One more dense layer on a flat current."""
    terms = []
    for term in current.terms:
        if term.dense is not None:
            term = replace(term, dense=weight @ term.dense)
        elif term.kernel is None:
            term = replace(term, dense=weight, flat=len(term.shape) > 1)
        else:
            term = replace(term, dense=weight @ unroll(term.kernel, term.pooled_shape), kernel=None, flat=True)
        terms.append(replace(term, name=name or term.name))
    return Current(tuple(terms), weight @ current.bias + bias, (weight.shape[0],))


def unroll(kernel: Kernel, shape: Shape) -> Float64:
    """The matrix of a convolution on an image of ``shape``: [prod(output), prod(shape)] in C, H, W order."""
    out = kernel.output_shape(shape)
    if int(np.prod(out)) * int(np.prod(shape)) > _DENSE_LIMIT:
        raise NotComposableError(
            "a Linear reads a large convolution with no activation between them; add an activation"
        )
    weight = kernel.dense_groups()
    matrix = np.zeros((*out, *shape))
    for y in range(out[1]):
        for x in range(out[2]):
            for i in range(weight.shape[2]):
                for j in range(weight.shape[3]):
                    row = y * kernel.stride[0] - kernel.pads[0] + i * kernel.dilation[0]
                    col = x * kernel.stride[1] - kernel.pads[2] + j * kernel.dilation[1]
                    if 0 <= row < shape[1] and 0 <= col < shape[2]:
                        matrix[:, y, x, :, row, col] += weight[:, :, i, j]
    return matrix.reshape(int(np.prod(out)), int(np.prod(shape)))


def add(first: Current, second: Current) -> Current:
    """The sum of two currents; terms of the same source and geometry are merged into one."""
    terms = list(first.terms)
    for term in second.terms:
        for i, other in enumerate(terms):
            merged = _merge(other, term)
            if merged is not None:
                terms[i] = merged
                break
        else:
            terms.append(term)
    return Current(tuple(terms), first.bias + second.bias, first.shape)


def _merge(a: Term, b: Term) -> Term | None:
    if (a.source, a.pool, a.flat) != (b.source, b.pool, b.flat):
        return None
    if a.dense is not None and b.dense is not None and a.kernel is None and b.kernel is None:
        return replace(a, dense=a.dense + b.dense)
    if a.dense is not None or b.dense is not None:
        return None
    if a.kernel is None and b.kernel is None:
        return replace(a, kernel=_diagonal(np.full(a.pooled_shape[0], 2.0)))
    if a.kernel is None or b.kernel is None:
        return None
    same = (a.kernel.stride, a.kernel.pads, a.kernel.dilation, a.kernel.groups, a.kernel.weight.shape) == (
        b.kernel.stride, b.kernel.pads, b.kernel.dilation, b.kernel.groups, b.kernel.weight.shape,
    )  # fmt: skip
    return replace(a, kernel=replace(a.kernel, weight=a.kernel.weight + b.kernel.weight)) if same else None


def concatenate(parts: list[Current]) -> Current:
    """Channels (or elements) of several currents one after the other."""
    channels = [part.shape[0] for part in parts]
    total, start = sum(channels), 0
    joined: Current | None = None
    for part, own in zip(parts, channels, strict=True):
        select = np.zeros((total, own))
        select[np.arange(start, start + own), np.arange(own)] = 1.0
        if len(part.shape) == 1:
            moved = dense(part, select, np.zeros(total), "")
        else:
            # A concatenation moves a bias without padding: apply it to terms and bias alike.
            kernel = Kernel(select[:, :, None, None])
            terms = tuple(_convolve_term(term, kernel) for term in part.terms)
            moved = Current(terms, select @ part.bias, (total, *part.shape[1:]))
        joined = moved if joined is None else add(joined, moved)
        start += own
    assert joined is not None
    return joined
