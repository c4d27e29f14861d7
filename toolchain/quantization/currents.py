"""From the traced graph of a spiking network to the linear current of every population."""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, fx

from spikec.conversion.network import SpikingNetwork
from spikec.conversion.neurons import Neuron
from spikec.errors import ConversionError
from spikec.frontend import AveragePool, ChannelAffine, Convolution, Dense, FlattenAll, Lift, LinearMap, Lower, MaxPool
from spikec.ir import operations as ig
from spikec.ir.names import Names, legal
from spikec.quantization import maps
from spikec.quantization.kernels import Float64, Kernel, NotComposableError, compose
from spikec.quantization.maps import Current
from spikec.quantization.matrices import Entries

READOUT = "readout"


@dataclass(frozen=True)
class Wiring:
    """``currents`` of every population, in network order, and of the readouts; ``input_shape`` (C, H, W). ``pools``:
    the max pools by name, in network order, each with the population, pool or image that it reads. ``readouts``: the
    output of each readout, by its name."""

    currents: dict[str, Current]
    input_shape: tuple[int, ...]
    pools: dict[str, tuple[str, ig.MaxPool]]
    readouts: dict[str, str]


def float64(tensor: Tensor) -> Float64:
    values: Float64 = tensor.detach().to("cpu", torch.float64).numpy()
    return values


def _weight(tensor: Tensor, single: bool) -> Float64:
    """Weights as float64; where nothing else is composed with them (``single``), those of the layer itself, which takes
    no memory, until they are multiplied by the gain of their source, in float64."""
    shared = single and tensor.dtype in (torch.float32, torch.float64)
    return tensor.detach().cpu().numpy() if shared else float64(tensor)


def wiring(network: SpikingNetwork) -> Wiring:
    """Compose the linear operations between populations.

    Raises ``ConversionError``, naming the user's line, where two operations cannot become one synapse.
    """
    values: dict[fx.Node, Current] = {}
    readers = {node: len(node.users) for node in network.graph.graph.nodes}
    currents: dict[str, Current] = {}
    pools: dict[str, tuple[str, ig.MaxPool]] = {}
    readouts = readout_names(list(network.outputs), {str(node.target) for node in network.graph.graph.nodes})
    shape: tuple[int, ...] = ()
    for node in network.graph.graph.nodes:
        if node.op == "placeholder":
            shape = tuple(node.meta["shape"])  # signals run as images of height one
            values[node] = maps.from_source("input", shape)
        elif node.op == "output":
            for name, output in readouts.items():
                currents[name] = maps.settled(values[network.outputs[output]])
        else:
            try:
                values[node] = _apply(network, node, values, currents, pools)
            except NotComposableError as error:
                raise ConversionError(f"{node.meta['where']}: {error}") from error
            for source in node.all_input_nodes:
                readers[source] -= 1
                if not readers[source]:  # its weights are those of another node now
                    del values[source]
    return Wiring(currents, shape, pools, readouts)


def readout_names(outputs: Sequence[str], taken: Collection[str]) -> dict[str, str]:
    """The output of each readout, by the name of the readout as a file may hold it: ``readout`` where there is one,
    otherwise ``readout.`` and the name of the output. ``taken``: other names."""
    if len(outputs) == 1:
        return {READOUT: outputs[0]}
    names = Names({READOUT, *taken})
    return {names.free(f"{READOUT}.{legal(output)}"): output for output in outputs}


def _apply(
    network: SpikingNetwork,
    node: fx.Node,
    values: dict[fx.Node, Current],
    currents: dict[str, Current],
    pools: dict[str, tuple[str, ig.MaxPool]],
) -> Current:
    name, module = str(node.target), None
    if node.op != "call_function":
        module = network.graph.get_submodule(name)
    if not isinstance(module, Neuron | Lift | Lower):  # weights are composed in float64 alone
        for source in node.all_input_nodes:
            values[source] = maps.widened(values[source])
    sources = [values[source] for source in node.all_input_nodes]
    if node.op == "call_function":
        if node.target is operator.add:
            first, second = (values[argument] for argument in cast(tuple[fx.Node, fx.Node], node.args))
            return maps.add(first, second)
        if node.target is torch.cat:
            return maps.concatenate([values[part] for part in cast(list[fx.Node], node.args[0])])
        raise ConversionError(f"{node.meta['where']}: {node.target} cannot be lowered")
    (current,) = sources
    single = maps.plain(current)
    match module:
        case Neuron():
            currents[name] = maps.settled(current)
            return maps.from_source(name, tuple(node.meta["shape"]))
        case MaxPool():
            (term,) = current.terms  # it stands right behind neurons or at the image
            pools[name] = term.source, module.window
            return maps.from_source(name, module.window.output_shape)
        case Convolution():
            kernel = Kernel(_weight(module.weight, single), module.stride, module.pads, module.dilation, module.groups)
            return maps.convolve(current, kernel, float64(module.bias), name)
        case Dense():
            return maps.dense(current, _weight(module.weight, single), float64(module.bias), name)
        case AveragePool():
            return maps.average(current, module.kernel)
        case ChannelAffine():
            return maps.scale(current, float64(module.scale), float64(module.shift), name)
        case LinearMap():
            rows, columns = (np.asarray(places) for places in module.places.cpu().numpy())
            entries = Entries(rows, columns, float64(module.values), module.outputs, module.inputs)
            return maps.linear(current, entries, float64(module.bias), name)
        case FlattenAll():
            return maps.flatten(current)
        case Lift() | Lower():
            return current
    raise ConversionError(f"{node.meta['where']}: {type(module).__name__} cannot be lowered")


def apply_gain(term: maps.Term, gain: Float64) -> maps.Term:
    """The term with the real value of its source's emissions multiplied into the weights, and these divided by the size
    of its pool.

    ``gain`` has one value, or one per source channel. The result always has a kernel or a dense matrix.
    """
    divisor = 1 if term.pool is None else term.pool[0] * term.pool[1]
    per_channel = np.broadcast_to(gain, (term.shape[0],)) / divisor
    if term.dense is not None and term.kernel is None:
        repeats = int(np.prod(term.pooled_shape[1:]))
        return replace(term, dense=term.dense * np.repeat(per_channel, repeats))
    diagonal = Kernel(per_channel.reshape(-1, 1, 1, 1), groups=len(per_channel))
    kernel = diagonal if term.kernel is None else compose(diagonal, term.kernel)
    return replace(term, kernel=kernel)
