"""KerasSpiking 0.3.0 (``model_energy.py``): mean rate x connections, and every neuron at every step."""

from __future__ import annotations

from spikec.energy.conventions.seen import Layer, Seen
from spikec.errors import DataError

_SYNOP = (23.6 + 3.5) * 1e-12  # joule; the 3.5 is no energy per SynOp but a time in ns, or the mean hop
_NEURON = 81e-12
_STEP = 0.001  # seconds, its default dt: a rate of 1 Hz is a thousandth of an event per step


def keras_spiking(seen: Seen) -> tuple[dict[str, float], list[str]]:
    """``total_energy("loihi")`` of ``ModelEnergy``, and the SynOps behind it. Connections are outputs x kernel, padding
    included; rates are means of absolute values; the readout is no activation, so it has no neurons."""
    synops = sum(layer.counts.padded_macs * _rates(seen, layer) for layer in seen.layers)
    read = sum(seen.counts.populations[readout.name].updates for readout in seen.net.readouts)
    updates = (seen.counts.updates - read) / seen.counts.images
    notes = ["KerasSpiking's Loihi: 23.6 + 3.5 pJ per SynOp, 81 pJ per neuron and step; no static power, no messages"]
    if seen.pixels is None:
        notes.append("the layer fed by the image is left out: KerasSpiking takes the pixels' real values as rates")
    else:
        notes.append("the layer fed by the image counts with the pixels' real values, taken as rates in Hz at 1 ms")
    if any(layer.window > 1 and layer.signed for layer in seen.layers):
        notes.append("signs that cancel in a pool lower its rate")
    if any(layer.chained for layer in seen.layers):
        notes.append("a layer behind another one, without neurons between, takes sums for rates; here, events")
    return {"synops": synops, "joules": synops * _SYNOP + updates * _NEURON}, notes


def _rates(seen: Seen, layer: Layer) -> float:
    """Mean of what enters the layer, absolute, summed over the steps."""
    calls = seen.calls(layer)
    if calls is not None:
        total = sum(float(abs(values).mean()) for values in calls)
        return total * _STEP if layer.origins == (seen.net.input.name,) else total
    if layer.from_input:
        return 0.0
    if not layer.multiplied:
        return layer.density * seen.counts.steps
    if layer.signed:
        raise DataError(
            f"signs of {layer.counts.name}'s graded input cancel in counts; record rasters (record='spikes')"
        )
    emitted = sum(int(seen.net_counts(origin).sum()) for origin in layer.origins)
    neurons = sum(seen.counts.events[origin].size for origin in layer.origins)
    return emitted / (neurons * seen.counts.images)
