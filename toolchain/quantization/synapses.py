"""The integer nodes of a lowered graph that carry weights, and the names they get."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import spikec.ir as ig
from spikec.analysis.formats import NumberFormat, round_bias
from spikec.errors import RangeError
from spikec.ir.names import Names
from spikec.quantization.kernels import Float64, Kernel
from spikec.quantization.maps import Current, Term
from spikec.quantization.scales import Units, rows
from spikec.words import option

_EXACT = 2**24


def output_weights(term: Term) -> Float64:
    if term.dense is not None:
        return term.dense
    assert term.kernel is not None  # apply_gain gives every term weights
    return term.kernel.weight


def _integers(real: Float64, what: str) -> ig.Int64:
    rounded = np.rint(real)
    if np.abs(rounded).max(initial=0) > _EXACT:
        raise RangeError(
            f"{what} reaches {np.abs(rounded).max():.3g} units, beyond the exact range of NIR's float32 (2^24); "
            f"the weights of this layer are tiny against its bias: retrain it or use {option('per', 'layer')}"
        )
    return rounded.astype(np.int64)


def synapse_nodes(
    population: str,
    terms: list[Term],
    weights: Sequence[ig.Int64],
    bias: Float64,
    units: Units,
    form: NumberFormat,
    names: Names,
) -> tuple[tuple[str, ...], list[ig.Node]]:
    """Synapse nodes of a population (pool, convolution or flatten and affine per term) and the names that feed it.

    ``weights``: integers of every term; ``bias`` [O], or one per element, in real units.
    """
    nodes: list[ig.Node] = []
    ends = []
    channels = len(units.unit)
    whole = round_bias(_integers(bias / rows(units.unit, bias), f"{population}: a bias"), form)
    # The first branch carries it; one per element only a matrix can.
    carries = next((i for i, term in enumerate(terms) if term.image is not None), 0) if len(bias) > channels else 0
    for branch, (term, weight, exponent) in enumerate(zip(terms, weights, units.exponents, strict=True)):
        left = whole if branch == carries else np.zeros(channels, np.int64)
        base = term.name if term.name and term.name != population else f"{population}.synapse"
        source, shape = term.source, term.shape
        if term.pool is not None:
            pool = ig.SumPool(names.free(f"{base}.pool"), (source,), shape, term.pooled_shape, term.pool, term.pool)
            nodes.append(pool)
            source, shape = pool.name, pool.output_shape
        if term.dense is not None:
            if len(shape) > 1:
                flat = ig.Flatten(names.free(f"{base}.flatten"), (source,), shape, (int(np.prod(shape)),))
                nodes.append(flat)
                source, shape = flat.name, flat.output_shape
            own = np.repeat(left, len(weight) // len(left))
            end: ig.Node = ig.Affine(
                names.free(base), (source,), shape, (len(weight),), weight, own, exponent, term.sparse
            )
        else:
            assert term.kernel is not None
            end = _convolution(names.free(base), source, shape, term.kernel, weight, left, exponent)
        nodes.append(end)
        if term.image is not None:
            end = ig.Unflatten(names.free(f"{base}.image"), (end.name,), end.output_shape, term.image)
            nodes.append(end)
        if term.dense is None and term.flat:
            end = ig.Flatten(names.free(f"{base}.flatten"), (end.name,), end.output_shape, term.output_shape)
            nodes.append(end)
        ends.append(end.name)
    return tuple(ends), nodes


def channel_bias(current: Current, channels: int) -> Float64:
    """One bias per output channel of the synapses; a flattened convolution repeats each channel's. Images may have one
    per element."""
    bias = np.asarray(current.bias, dtype=np.float64)
    return bias if len(bias) == channels or len(current.shape) > 1 else bias.reshape(channels, -1)[:, 0]


def _convolution(
    name: str, source: str, shape: ig.Shape, kernel: Kernel, weight: ig.Int64, bias: ig.Int64, exponent: int
) -> ig.Convolution:
    """An IR convolution: four-sided padding becomes symmetric padding and zero kernel rows or columns (``margin``)."""
    weight, margin, padding, dilation = _symmetric(kernel, weight)
    node = ig.Convolution(
        name=name,
        sources=(source,),
        input_shape=shape,
        output_shape=kernel.output_shape(shape),
        weight=weight,
        bias=bias,
        stride=kernel.stride,
        padding=padding,
        dilation=dilation,
        groups=kernel.groups,
        margin=margin,
        weight_exp=exponent,
    )
    return node


def _symmetric(
    kernel: Kernel, weight: ig.Int64
) -> tuple[ig.Int64, tuple[int, int, int, int], tuple[int, int], tuple[int, int]]:
    """Pads (a, b) of an axis become max(a, b) on both sides; the kernel grows by the difference where less was asked.

    Growing by one row moves the taps by one dilation: a difference that the dilation does not divide turns the
    dilated kernel into a dense one first.
    """
    top, bottom, left, right = kernel.pads
    dilation = list(kernel.dilation)
    for axis, (before, after) in enumerate(((top, bottom), (left, right))):
        if (before - after) % dilation[axis]:
            weight = _undilate(weight, axis + 2, dilation[axis])
            dilation[axis] = 1
    tall, wide = max(top, bottom), max(left, right)
    grow = (
        (tall - top) // dilation[0],
        (tall - bottom) // dilation[0],
        (wide - left) // dilation[1],
        (wide - right) // dilation[1],
    )
    grown = np.pad(weight, ((0, 0), (0, 0), grow[:2], grow[2:]))
    return grown, grow, (tall, wide), (dilation[0], dilation[1])


def _undilate(weight: ig.Int64, axis: int, dilation: int) -> ig.Int64:
    shape = list(weight.shape)
    shape[axis] = (shape[axis] - 1) * dilation + 1
    dense = np.zeros(shape, dtype=np.int64)
    index = [slice(None)] * 4
    index[axis] = slice(None, None, dilation)
    dense[tuple(index)] = weight
    return dense
