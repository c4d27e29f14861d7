"""Linear maps between populations: composed in float64 before anything is rounded.

Between two spiking layers a network may stack any number of linear operations. Hardware has one synapse there. A
:class:`Term` is what one source population contributes: an optional average pool of its emissions, then an optional
convolution, then an optional dense matrix. A :class:`Current` is the sum of terms plus a bias: the input of a
population. The functions below apply one more operation to a current. A matrix whose outputs are an image again
(:mod:`spikec.quantization.matrices`) goes through them like a convolution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikec.ir.operations import SumPool
from spikec.ir.types import Shape
from spikec.quantization import matrices
from spikec.quantization.kernels import Float64, Kernel, NotComposableError, compose, unroll


@dataclass(frozen=True)
class Term:
    """What one source contributes: pool, then kernel, then flatten, then dense, each optional.

    ``source`` is a population or the input, ``shape`` its neuron shape, ``name`` the layer the weights come from.
    ``image``: shape of the image that the outputs of ``dense`` are; None: a vector. ``sparse``: zeros of ``dense`` are
    no synapses.
    """

    source: str
    shape: Shape
    name: str = ""
    pool: tuple[int, int] | None = None
    kernel: Kernel | None = None
    flat: bool = False
    dense: Float64 | None = None
    image: Shape | None = None
    sparse: bool = False

    @property
    def pooled_shape(self) -> Shape:
        return self.shape if self.pool is None else SumPool.pooled(self.shape, self.pool)

    @property
    def image_shape(self) -> Shape:
        return self.pooled_shape if self.kernel is None else self.kernel.output_shape(self.pooled_shape)

    @property
    def output_shape(self) -> Shape:
        if self.dense is not None:
            return self.image or (self.dense.shape[0],)
        return (int(np.prod(self.image_shape)),) if self.flat else self.image_shape


@dataclass(frozen=True)
class Current:
    """Sum of terms plus ``bias``, one value per channel or per element.

    Images have a bias per element only where a term has a matrix that makes an image.
    """

    terms: tuple[Term, ...]
    bias: Float64
    shape: Shape


def plain(current: Current) -> bool:
    """Whether it is what sources emit, pooled perhaps, without weights or biases."""
    return not current.bias.any() and all(term.kernel is None and term.dense is None for term in current.terms)


def widened(current: Current) -> Current:
    """The current with all weights in float64."""
    return replace(current, terms=tuple(map(_widened, current.terms)))


def _widened(term: Term) -> Term:
    kernel, dense = term.kernel, term.dense
    if kernel is not None and kernel.weight.dtype != np.float64:
        kernel = replace(kernel, weight=kernel.weight.astype(np.float64))
    return replace(term, kernel=kernel, dense=None if dense is None else dense.astype(np.float64, copy=False))


def from_source(source: str, shape: Shape) -> Current:
    """The emissions of a population or the input, unchanged."""
    return Current((Term(source, shape),), np.zeros(shape[0]), shape)


def ones_source(shape: Shape) -> str:
    """Name of the population that emits one at every step, everywhere on an image of ``shape``."""
    return f"ones.{shape[1]}x{shape[2]}"


def convolve(current: Current, kernel: Kernel, bias: Float64, name: str) -> Current:
    """One more convolution.

    The padding around a bias is zero, so a bias before a padded convolution becomes a map, not a constant. Such a bias
    enters as the emissions of a population of ones, which ends where the image ends (see :func:`ones_source`).
    """
    if any(term.image is not None for term in current.terms):
        image = matrices.by_element(current.bias, current.shape)[:, None]
        shape = kernel.output_shape(current.shape)
        terms = tuple(replace(_convolve_term(term, kernel), name=name) for term in current.terms)
        added = matrices.convolved(kernel, image, current.shape)[:, 0] + matrices.by_element(bias, shape)
        return Current(terms, matrices.by_channel(added, shape), shape)
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
    if term.dense is not None and term.image is not None:
        made = matrices.convolved(kernel, term.dense, term.image)
        return replace(term, dense=made, image=kernel.output_shape(term.image))
    if term.flat:
        raise NotComposableError("a convolution after a flatten")
    return replace(term, kernel=kernel if term.kernel is None else compose(term.kernel, kernel))


def average(current: Current, window: tuple[int, int]) -> Current:
    """One more average pool (stride = window, partial windows dropped).

    A pool of emissions stays a pool; the division is left to the weights (see ``pool`` in :class:`Term`). The same
    holds behind a 1x1 convolution, which can be moved behind the pool. A pool of other currents is folded into the
    kernel.
    """
    terms = []
    shape = SumPool.pooled(current.shape, window)
    for term in current.terms:
        if term.dense is not None and term.image is not None:
            terms.append(replace(term, dense=matrices.averaged(term.dense, term.image, window), image=shape))
            continue
        kernel = term.kernel
        one_by_one = kernel is not None and kernel.pointwise and kernel.stride == (1, 1) and not any(kernel.pads)
        if (kernel is None or one_by_one) and not term.flat:
            inner = term.pool or (1, 1)
            terms.append(replace(term, pool=(inner[0] * window[0], inner[1] * window[1])))
        else:
            channels = term.image_shape[0]
            mean = np.full((channels, 1, *window), 1.0 / (window[0] * window[1]))
            terms.append(_convolve_term(term, Kernel(mean, stride=window, groups=channels)))
    bias = current.bias
    if len(bias) > current.shape[0]:
        bias = matrices.by_channel(matrices.averaged(bias[:, None], current.shape, window)[:, 0], shape)
    return Current(tuple(terms), bias, shape)


def scale(current: Current, factor: Float64, shift: Float64, name: str) -> Current:
    """``current * factor + shift`` per channel (images) or element (flat)."""
    terms = []
    unrolled = len(current.shape) == 1 and not _by_channel(current, factor)
    for term in (_as_dense(t) for t in current.terms) if unrolled else current.terms:
        if term.dense is not None:
            terms.append(replace(term, dense=term.dense * matrices.by_element(factor, current.shape)[:, None]))
        elif term.flat:
            per_channel = factor.reshape(term.image_shape[0], -1)[:, 0]
            terms.append(replace(_convolve_term(replace(term, flat=False), _diagonal(per_channel)), flat=True))
        else:
            terms.append(_convolve_term(term, _diagonal(factor)))
    named = tuple(replace(term, name=term.name or name) for term in terms)
    if len(current.bias) > len(factor):
        factor, shift = (matrices.by_element(values, current.shape) for values in (factor, shift))
    return Current(named, current.bias * factor + shift, current.shape)


def _diagonal(factor: Float64) -> Kernel:
    return Kernel(factor.reshape(-1, 1, 1, 1).astype(np.float64), groups=len(factor))


def settled(current: Current) -> Current:
    """The same current, with terms whose weights have the same number of rows.

    A flattened convolution has one row of weights and one bias per channel. Where a flat current holds anything else (a
    matrix, a vector of emissions, a bias per element), its convolutions become matrices too.
    """
    if len(current.shape) > 1 or _by_channel(current, current.bias):
        return current
    return replace(current, terms=tuple(_as_dense(term) for term in current.terms))


def _by_channel(current: Current, values: Float64) -> bool:
    """Whether a flat current is made of flattened images of the same channels, with one of ``values`` for each."""
    channels = {term.image_shape[0] if term.flat and term.dense is None else 0 for term in current.terms}
    if len(channels) > 1 or 0 in channels:
        return False
    rows = values.reshape(channels.pop(), -1)
    return bool((rows == rows[:, :1]).all())


def _as_dense(term: Term) -> Term:
    if term.dense is not None:
        return term
    if term.kernel is None:
        return replace(term, dense=np.eye(int(np.prod(term.output_shape))), flat=len(term.shape) > 1)
    return replace(term, dense=unroll(term.kernel, term.pooled_shape), kernel=None, flat=True)


def flatten(current: Current) -> Current:
    """(C, H, W) to C*H*W elements in that order."""
    if len(current.shape) == 1:
        return current
    terms = tuple(replace(term, flat=True, image=None) for term in current.terms)
    return Current(terms, matrices.by_element(current.bias, current.shape), (int(np.prod(current.shape)),))


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
        terms.append(replace(term, name=name or term.name, sparse=False))
    passed = weight @ current.bias if current.bias.any() else 0.0
    return Current(tuple(terms), passed + bias, (weight.shape[0],))


def linear(current: Current, entries: matrices.Entries, bias: Float64, name: str) -> Current:
    """Any linear map, as a matrix. ``bias``: one per channel or element of its outputs."""
    terms = []
    for term in current.terms:
        if term.dense is None and term.kernel is None:
            matrix = entries.matrix()
        elif term.kernel is not None:
            matrix = entries.after(unroll(term.kernel, term.pooled_shape))
        else:
            assert term.dense is not None
            matrix = entries.after(term.dense)
        image = entries.outputs if len(entries.outputs) > 1 else None
        flat = len(term.shape) > 1
        sparse = term.dense is None or term.sparse
        terms.append(replace(term, name=name, dense=matrix, kernel=None, flat=flat, image=image, sparse=sparse))
    shape = entries.outputs
    total = matrices.by_element(bias, shape)
    if current.bias.any():
        total = total + entries.after(matrices.by_element(current.bias, current.shape)[:, None])[:, 0]
    return Current(tuple(terms), matrices.by_channel(total, shape), shape)


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
    biases = first.bias, second.bias
    if len(first.bias) != len(second.bias):
        biases = matrices.by_element(first.bias, first.shape), matrices.by_element(second.bias, first.shape)
    return Current(tuple(terms), biases[0] + biases[1], first.shape)


def _merge(a: Term, b: Term) -> Term | None:
    if (a.source, a.pool, a.flat, a.image) != (b.source, b.pool, b.flat, b.image):
        return None
    if a.dense is not None and b.dense is not None and a.kernel is None and b.kernel is None:
        return replace(a, dense=a.dense + b.dense, sparse=a.sparse and b.sparse)
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
    total, start = sum(part.shape[0] for part in parts), 0
    joined: Current | None = None
    for part in parts:
        moved = _placed(part, total, start)
        joined = moved if joined is None else add(joined, moved)
        start += part.shape[0]
    assert joined is not None
    return joined


def _placed(part: Current, total: int, start: int) -> Current:
    """The current as part of one with ``total`` channels (or elements), from ``start`` on."""
    own, shape = part.shape[0], (total, *part.shape[1:])
    select = np.zeros((total, own))
    select[np.arange(start, start + own), np.arange(own)] = 1.0
    if len(shape) == 1:
        return dense(part, select, np.zeros(total), "")
    # A concatenation moves a bias without padding: apply it to terms and bias alike.
    terms = tuple(
        _convolve_term(term, Kernel(select[:, :, None, None]))
        if term.dense is None or term.image is None
        else replace(term, dense=matrices.placed(term.dense, term.image, total, start), image=shape)
        for term in part.terms
    )
    if len(part.bias) == own:
        return Current(terms, select @ part.bias, shape)
    return Current(terms, matrices.placed(part.bias[:, None], part.shape, total, start)[:, 0], shape)
