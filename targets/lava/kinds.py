"""The Lava process of every neuron kind.

The table holds strings, not classes, because only the worker imports Lava. A process is a subclass of
``spikec.targets.lava.processes.population.Population``. It has a model for the tag ``fixed_pt``, and one for
``floating_pt`` if it is to run in that precision. Its folder must hold Lava processes and nothing else. It gets every
stored field of its kind under the name of the field: a number, or an array in Lava's layout.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikec.errors import DoesNotFit, GraphError
from spikec.implementations import Implementations
from spikec.ir.graph import IntegerGraph, Population
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, CubaLIF, GradedIF, Kind, Maximum, SignedIF
from spikec.ir.types import Int64

#: ``module:class`` of the process.
LAVA_PROCESSES: Implementations[str] = Implementations(
    "Lava process", "spikec.targets.lava.kinds.LAVA_PROCESSES", of=Kind
)
LAVA_PROCESSES.register(IF)("spikec.targets.lava.processes.stepping:SoftResetIF")
LAVA_PROCESSES.register(SignedIF)("spikec.targets.lava.processes.stepping:SignedIF")
LAVA_PROCESSES.register(CalibratedIF)("spikec.targets.lava.processes.calibrated:CalibratedIF")
LAVA_PROCESSES.register(BitSerialIF)("spikec.targets.lava.processes.levels:BitSerialIF")
LAVA_PROCESSES.register(Maximum)("spikec.targets.lava.processes.maxima:Maximum")
LAVA_PROCESSES.register(GradedIF)("spikec.targets.lava.processes.levels:GradedIF")
LAVA_PROCESSES.register(CubaLIF)("spikec.targets.lava.processes.leaky:CubaLIF")


def emit_delay(graph: IntegerGraph, node: Population) -> int:
    """Steps from the first input of a window to the first emission.

    A population that must see several steps first begins to emit at the last of them. Raises ``DoesNotFit`` for a
    schedule that the kind, or its Lava process, does not run in.
    """
    kind = node.neuron
    if graph.schedule not in kind.schedules:
        known = " or ".join(f"'{schedule}'" for schedule in kind.schedules)
        raise DoesNotFit(f"{node.name}: {kind.name} neurons run with the schedule {known} only")
    if isinstance(kind, Maximum):
        return 0  # it passes on what it gains
    if graph.schedule == "layerwise":
        if kind.rehearsal:
            raise DoesNotFit(f"{node.name}: {kind.name} neurons rehearse; Lava's processes do so pipelined only")
        return graph.timesteps - 1
    return max(kind.rehearsal, 1) - 1


def radix(graph: IntegerGraph) -> int:
    """The factor by which the readout multiplies its sum before each step.

    It is 1 if all emissions count the same, and 2 if each counts twice as much as the next. Raises ``DoesNotFit`` for
    kinds that code numbers in another way.
    """
    values = graph.place_values
    factor = 2 if any(p.neuron.weighted for p in graph.populations) else 1
    if values == tuple(factor**step for step in reversed(range(graph.timesteps))):
        return factor
    raise DoesNotFit(
        f"emissions of {graph.kind_names} are worth {', '.join(map(str, values[:4]))} and so on; Lava's readout needs "
        "emissions that are all worth 1, or whose worth halves at every step and ends at 1"
    )


def fields(node: Population) -> tuple[dict[str, Any], dict[str, Int64]]:
    """The stored fields of a population's kind by name: numbers, and int64 arrays of the neuron shape."""
    numbers: dict[str, Any] = {}
    arrays: dict[str, Int64] = {}
    for name, about in node.neuron.stored_fields().items():
        value = getattr(node.neuron, name)
        value = about.default if value is None else value
        if value is None:
            raise GraphError(f"{node.name}: {about.title} is not set")
        if about.per == "neuron":
            arrays[name] = np.broadcast_to(np.asarray(value, np.int64), node.shape)
        else:
            numbers[name] = int(value)
    return numbers, arrays
