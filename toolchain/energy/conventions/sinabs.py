"""sinabs 3.1.3 (``hooks.py``): sum of values x fan-out, so signs cancel and payloads multiply."""

from __future__ import annotations

from spikec.energy.conventions.seen import Layer, Seen


def sinabs(seen: Seen) -> tuple[dict[str, float], list[str]]:
    """``total_synops_per_timestep`` of ``register_synops_hooks``, and that times the steps: ``synops`` per image.

    Average pools are undone (times their window), which leaves one count per event.
    """
    total = sum(_charged(seen, layer) for layer in seen.layers)
    notes = ["the layer fed by the image counts with the pixels' real values"]
    if seen.pixels is None:
        notes = ["the layer fed by the image is left out: sinabs weights it with the pixels' real values"]
    if any(layer.signed for layer in seen.layers):
        notes.append("a +1 and a -1 of one neuron cancel in sinabs; here they are two events")
    if any(layer.multiplied for layer in seen.layers):
        notes.append("a payload k counts k times in sinabs; here it is one event and one multiplication")
    if any(layer.chained for layer in seen.layers):
        notes.append("a layer behind another one, without neurons between, counts sums times fan-out; here, events")
    if any(len(node.sources) > 1 for node in seen.net):
        notes.append("sinabs sums over an nn.Sequential; branches have to be added up by hand")
    per_image = total / seen.counts.images
    return {"synops": per_image, "total_synops_per_timestep": per_image / seen.counts.steps}, notes


def _charged(seen: Seen, layer: Layer) -> float:
    """Values times fan-out of a layer over all images and steps."""
    calls = seen.calls(layer) if layer.chained else None
    if calls is not None:
        fan = layer.node.fan_out(layer.node.structure())
        return sum(float((values.sum(axis=0) * fan).sum()) for values in calls)
    total = 0.0
    for origin in layer.origins:
        emitted = seen.real_pixels() if origin == seen.net.input.name else seen.net_counts(origin)
        if emitted is not None:
            total += float((emitted * seen.counts.fan_out[origin][layer.node.name].synapses).sum())
    return total
