"""From the nodes of NIR to the linear current of every layer of neurons."""

from __future__ import annotations

import nir
import numpy as np

import spikec.ir as ig
from spikec.conversion.from_nir.dynamics import Dynamics
from spikec.conversion.from_nir.sequences import SequenceNetwork
from spikec.conversion.from_nir.shapes import aligned, kernel_of, pads_of, pair, read_shape, strides_of
from spikec.errors import ConversionError
from spikec.quantization import maps
from spikec.quantization.currents import readout_names
from spikec.quantization.kernels import Float64, Kernel, NotComposableError
from spikec.quantization.maps import Current


def nir_currents(network: SequenceNetwork) -> dict[str, Current]:
    """What enters each layer of neurons, and each readout, as sums of linear maps of what sources send."""
    readouts = sequence_readouts(network)
    values: dict[str, Current] = {}
    found: dict[str, Current] = {}
    for name, node in network.nodes.items():
        shape = network.shapes[name]
        if isinstance(node, nir.Input):
            values[name] = maps.from_source("input", shape)
            continue
        parts = [
            maps.from_source(ig.Delayed.named(a, (), network.delays[a, name]).name, network.shapes[a])
            if (a, name) in network.delays
            else values[a]
            for a in network.sources[name]
        ]
        total = parts[0]
        for part in parts[1:]:
            total = maps.add(total, part)
        try:
            if isinstance(node, nir.Output):
                if network.outputs[name] is None:
                    found[readouts[name]] = maps.settled(_as_read(total))
            elif name in network.outputs.values():
                read = _as_read(total)
                neurons = network.neurons[name] if read is total else network.neurons[name].flat()
                charged = _charged(name, read, neurons)
                found |= {readouts[output]: charged for output, each in network.outputs.items() if each == name}
                values[name] = total  # what the output reads
            elif name in network.neurons:
                found[name] = _charged(name, total, network.neurons[name])
                values[name] = maps.from_source(name, shape)
            else:
                values[name] = _mapped(name, node, total, shape)
        except NotComposableError as error:
            raise ConversionError(f"NIR node {name}: {error}") from error
    return found


def sequence_readouts(network: SequenceNetwork) -> dict[str, str]:
    """The name of the readout by the name of the output."""
    return {output: name for name, output in readout_names(list(network.outputs), network.nodes).items()}


def _as_read(current: Current) -> Current:
    return current if read_shape(current.shape) == current.shape else maps.flatten(current)


def _mapped(name: str, node: nir.NIRNode, current: Current, shape: ig.Shape) -> Current:
    """The current of ``shape`` behind one more operation."""
    match node:
        case nir.Affine() | nir.Linear():
            weight = np.asarray(node.weight, dtype=np.float64)
            bias = np.broadcast_to(np.asarray(getattr(node, "bias", 0.0), dtype=np.float64).reshape(-1), (len(weight),))
            return maps.dense(current, weight, bias, name)
        case nir.Conv1d() | nir.Conv2d():
            (weight, bias), (stride, dilation) = kernel_of(node), strides_of(node)
            kernel = Kernel(weight, stride, pads_of(node), dilation, int(np.asarray(node.groups)))
            return maps.convolve(current, kernel, bias, name)
        case nir.Scale():
            return maps.scale(current, *_per_channel(name, node.scale, current.shape), name)
        case nir.SumPool2d() | nir.AvgPool2d():
            return _pooled(name, node, current)
        case nir.Flatten():
            return maps.flatten(current) if len(shape) == 1 else current
    raise ConversionError(f"NIR node {name}: {type(node).__name__} cannot be lowered")


def _pooled(name: str, node: nir.SumPool2d | nir.AvgPool2d, current: Current) -> Current:
    kernel, stride, padding = pair(node.kernel_size), pair(node.stride), pair(node.padding)
    channels, area = current.shape[0], kernel[0] * kernel[1]
    summing = isinstance(node, nir.SumPool2d)
    if kernel == stride and not any(padding):
        pooled = maps.average(current, kernel)
        return maps.scale(pooled, np.full(channels, float(area)), np.zeros(channels), name) if summing else pooled
    weight = np.full((channels, 1, *kernel), 1.0 if summing else 1.0 / area)
    pads = (padding[0], padding[0], padding[1], padding[1])
    return maps.convolve(current, Kernel(weight, stride, pads, groups=channels), np.zeros(channels), name)


def _charged(name: str, current: Current, neurons: Dynamics) -> Current:
    """What enters, times the gains of current and membrane."""
    factor, shift = _per_channel(name, neurons.gain_u * neurons.gain_v, current.shape)
    return maps.settled(maps.scale(current, factor, shift, ""))


def _per_channel(name: str, values: object, shape: ig.Shape) -> tuple[Float64, Float64]:
    """One factor per channel of maps, or per element of a vector, and zeros. Raises ``ConversionError`` where neurons
    of one channel differ."""
    rows = np.broadcast_to(aligned(values, shape), shape).reshape(shape[0], -1)
    if (rows != rows[:, :1]).any():
        raise ConversionError(
            f"NIR node {name}: gains differ within a channel, and a convolution has one for each channel"
        )
    return rows[:, 0].copy(), np.zeros(shape[0])
