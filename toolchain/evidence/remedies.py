"""What would reduce the loss of each step from the trained network to its spikes."""

from __future__ import annotations

from collections.abc import Mapping

from spikec.defaults import CALIBRATION_IMAGES_MAX
from spikec.ir.graph import IntegerGraph
from spikec.ir.kinds import MAX_SPIKES
from spikec.ir.walks import fires
from spikec.words import either, option


def advice(lost: Mapping[str, float], remedies: Mapping[str, str]) -> list[str]:
    """Remedies of the causes that lose most. ``lost``: by cause; what is gained is negative."""
    losing = {name: amount for name, amount in lost.items() if amount > 0}
    largest = sorted(losing, key=lambda name: -losing[name])
    worth = [name for name in largest if losing[name] >= 0.25 * sum(losing.values())]
    return [f"{name}: {remedies[name]}" for name in worth if name in remedies]


def remedies(graph: IntegerGraph) -> dict[str, str]:
    """What would reduce each cause, as options of ``spikec export``, or as arguments."""
    kinds = [population.neuron for population in graph.populations if fires(population)]
    one_number = any(kind.one_number for kind in kinds)
    fields = [{about.key for about in kind.stored_fields().values()} for kind in kinds]
    several = not one_number and all(MAX_SPIKES in keys for keys in fields)
    finer = _more_steps() if graph.timesteps > 1 or not one_number else f"more levels ({_field('levels=L')})"
    if several:
        finer += f" or several spikes per step ({_field('spikes=K')})"
    if "calibrate" not in graph.info:
        python = f"calibrate='full' and {CALIBRATION_IMAGES_MAX} calibration images"
        finer = f"{either(python, f'--calibrate full --calibration {CALIBRATION_IMAGES_MAX}')}, {finer}"
    found = {
        "clipping": f"thresholds cut off large activations, since levels are few: {finer}",
        "levels": finer,
        "weights": "finer weights: " + _finer_weights(graph),
    }
    if graph.schedule == "pipelined":
        found["unevenness"] = "spikes come too early or too late: " + _evener(graph)
    return found


def _more_steps() -> str:
    return f"more steps ({either('timesteps', '-T')})"


def _field(said: str) -> str:
    """A field of the method."""
    return either(said, f"--option {said}")


def _evener(graph: IntegerGraph) -> str:
    options = []
    if all("layerwise" in population.neuron.schedules for population in graph.populations):
        options.append(f"{option('schedule', 'layerwise')} (a layer waits for the one before)")
    if (graph.info.get("method"), graph.info.get("offsets")) != ("error-compensation", "static"):
        options.append(
            either("tc.ErrorCompensation(offsets='static')", "--method error-compensation --option offsets=static")
        )
    return " or ".join([*options, _more_steps()])


def _finer_weights(graph: IntegerGraph) -> str:
    said = graph.info.get("weights", "")
    options = [] if "per channel" in said else [option("per", "channel")]
    if "int8" not in said:
        options.append(option("bits", 8))
    if "scale spikes" not in said:
        options.append(option("scale", "spikes"))
    return " or ".join([*options, either("tc.finetune_quantised", "spikec train --weight-bits")])


__all__ = ["advice", "remedies"]
