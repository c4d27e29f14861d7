"""Chooses the units of every population of a converted network, for lowering and for fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spikec.analysis.formats import NumberFormat
from spikec.conversion.network import SpikingNetwork
from spikec.conversion.neurons import Neuron
from spikec.quantization.currents import Wiring, apply_gain, float64
from spikec.quantization.kernels import Float64
from spikec.quantization.maps import Current, Term
from spikec.quantization.scales import Int8, Precision, Request, Units, choose_units, given_units
from spikec.quantization.search import activity, search
from spikec.quantization.synapses import channel_bias, output_weights


@dataclass(frozen=True)
class Choice:
    """The ``units`` of a population, or of the readout, whose ``neuron`` is None. ``current``: its input. ``terms``:
    those of the current, with the real value of their sources' emissions multiplied into the weights."""

    name: str
    neuron: Neuron | None
    current: Current
    terms: list[Term]
    units: Units


def source_gains(network: SpikingNetwork, wires: Wiring) -> dict[str, Float64]:
    """Real value of one unit that each source sends: one number, or one per channel."""
    gains = {"input": np.array([network.input_range.scale])}
    gains |= {name: np.atleast_1d(float64(module.value)) for name, module in network.neurons.items()}
    for name, (source, _) in wires.pools.items():
        gains[name] = gains[source]
    return gains


def choose(
    network: SpikingNetwork,
    wires: Wiring,
    gains: Mapping[str, Float64],
    precision: Precision,
    form: NumberFormat,
    coarser: Mapping[str, float] | None = None,
) -> Iterator[Choice]:
    """Units of every population and the readout, in network order. ``gains``: those of every source, as from
    :func:`source_gains`. ``coarser``: factors, by name, by which units must be larger than they would be."""
    neurons = network.neurons
    given: Mapping[str, Sequence[float]] = {}
    if isinstance(precision, Int8):
        precision.check_names(list(dict.fromkeys(n for name, c in wires.currents.items() for n in _layers(name, c))))
        given = precision.units
    sources_seen = activity(network, wires) if precision.scale == "spikes" and not given else None
    for name, current in wires.currents.items():
        neuron = neurons.get(name)
        terms = [apply_gain(term, gains[term.source]) for term in current.terms]
        weights = [output_weights(term) for term in terms]
        channels = current.shape[0] if len(current.shape) > 1 else weights[0].shape[0]
        bias = channel_bias(current, channels)
        request = _request(
            _layers(name, current), weights, np.abs(bias).reshape(channels, -1).max(1), neuron, precision, form
        )
        request = replace(request, coarser=(coarser or {}).get(name, 1.0))
        if given:
            units = given_units(request, name, given)
        elif sources_seen is None:
            units = choose_units(request)
        else:
            levels = 0 if neuron is None else neuron.averaged
            several = neuron is not None and not neuron.spec.kind.one_number
            most = neuron.reach // neuron.averaged if neuron is not None and several else 1
            units = search(request, terms, bias, levels, sources_seen, most)
        yield Choice(name, neuron, current, terms, units)


def _layers(name: str, current: Current) -> list[str]:
    """Names of the layers whose weights lead into a population, then that of the population."""
    return [*dict.fromkeys(term.name for term in current.terms if term.name), name]


def _request(
    names: list[str],
    weights: list[Float64],
    largest: Float64,
    neuron: Neuron | None,
    precision: Precision,
    form: NumberFormat,
) -> Request:
    """``largest``: magnitudes of biases, by channel."""
    bits = min(precision.bits_of(*names), form.weight_bits)
    # A bias may take half of what the format holds; the rest is left to the weights. Beside a bias that large, fine
    # weights make little difference.
    bias_reach = min(form.bias_max << form.bias_exponent_max, form.accumulator_max) / 2
    return Request(
        branches=weights,
        threshold=None if neuron is None else np.broadcast_to(float64(neuron.unit), largest.shape),
        bias_floor=largest / bias_reach,
        weight_max=2 ** (bits - 1) - 1,
        threshold_max=form.threshold_max,
        exponent_max=form.weight_exponent_max,
        per=precision.per,
        scale=precision.scale,
    )
