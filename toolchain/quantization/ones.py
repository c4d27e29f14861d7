"""Populations that emit one at every step. They carry biases that padding turns into maps (see ``maps.convolve``)."""

from __future__ import annotations

import numpy as np

import spikec.ir as ig
from spikec.conversion.network import SpikingNetwork
from spikec.ir.names import Names
from spikec.ir.operations.windows import output_size
from spikec.quantization.maps import Current, ones_source


def ones_needed(currents: dict[str, Current]) -> list[ig.Shape]:
    terms = [term for current in currents.values() for term in current.terms]
    images = [term for term in terms if len(term.shape) == 3]
    return list(dict.fromkeys(term.shape for term in images if term.source == ones_source(term.shape)))


def ones_population(
    shape: ig.Shape, image: ig.Shape, network: SpikingNetwork, names: Names
) -> tuple[ig.Convolution, ig.Population]:
    """A population that emits 1 whenever biases enter: threshold 1, fed by a bias of 1 and, through weights of 0, the
    image. Its kind is that of the network's first population, in the single-spike form, so it runs equally long."""
    name = ones_source(shape)
    (rows, stride_h, pad_h), (cols, stride_w, pad_w) = (_cover(n, m) for n, m in zip(image[1:], shape[1:], strict=True))
    one = np.ones(1, dtype=np.int64)
    synapse = ig.Convolution(
        name=names.free(f"{name}.bias"),
        sources=("input",),
        input_shape=image,
        output_shape=shape,
        weight=np.zeros((1, image[0], rows, cols), dtype=np.int64),
        bias=one,
        stride=(stride_h, stride_w),
        padding=(pad_h, pad_w),
        dilation=(1, 1),
    )
    theta = np.ones(shape, dtype=np.int64)
    kind = next(iter(network.neurons.values())).spec.kind
    population = ig.Population(
        name=names.free(name),
        sources=(synapse.name,),
        shape=shape,
        neuron=kind.single().lowered(theta, 0.0),
        theta=theta,
        v_init=np.zeros(shape, dtype=np.int64),
    )
    return synapse, population


def _cover(size: int, wanted: int) -> tuple[int, int, int]:
    """Kernel, stride and padding that take an axis of ``size`` to ``wanted``, with the smallest kernel there is."""
    for stride in range(1, size + 1):
        if output_size(size, 1, stride) == wanted:
            return 1, stride, 0
    padding = max(wanted - size, 0)
    return size + 2 * padding - wanted + 1, 1, padding
