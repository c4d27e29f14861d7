"""When logical step 0 reaches every node, in Lava steps.

What a delay sends was sent some logical steps before, so it leaves as much earlier than what it listens to.
Where a cycle passes more synapses than that leaves time for (two layers that feed each other take two Lava steps),
every logical step takes as many Lava steps as the slowest cycle needs: the *pace*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import spikec.ir as ig
from spikec.errors import DoesNotFit, MissingImplementation
from spikec.ir.delays import least
from spikec.ir.walks import groups
from spikec.targets.lava import kinds
from spikec.targets.lava.operations import LAVA_OPERATIONS, Part, Reading
from spikec.targets.lava.paths import InputCoding


@dataclass(frozen=True)
class Alignment:
    """``pace``: Lava steps of a logical step. ``arrivals``: the Lava step at which each node that receives messages
    receives those of logical step 0; a synapse behind a delay may have less than 0. ``operations``: what the operations
    that receive messages become in Lava."""

    pace: int
    arrivals: Mapping[str, int]
    operations: Mapping[str, Part | Reading]

    def delay(self, graph: ig.IntegerGraph, node: ig.Population) -> int:
        """Lava steps from the first input of a population to its first emission."""
        return self.pace * kinds.emit_delay(graph, node)


def align(graph: ig.IntegerGraph, coding: InputCoding) -> Alignment:
    """Raises ``DoesNotFit`` where Lava's processes cannot hold an operation, or a kind cannot lie on a cycle."""
    _check_cycles(graph)
    sending = _sending(graph, coding)
    operations = {n.name: LAVA_OPERATIONS(n)(n) for n in graph if isinstance(n, ig.Operation) and n.name in sending}
    pace = 1
    while (arrivals := _arrivals(graph, sending, Alignment(pace, {}, operations))) is None:
        pace += 1  # at most the delays of all nodes together: no cycle takes longer
    return Alignment(pace, arrivals, operations)


def _check_cycles(graph: ig.IntegerGraph) -> None:
    for delayed in graph.delayed:
        if isinstance(graph.nodes[delayed.of], ig.InputNode) and not graph.sequences:
            raise DoesNotFit(f"{delayed.of}: an image that stays the same cannot come later; delays are for sequences")
    for group in groups(graph) if graph.delayed else ():
        for node in group:
            if len(group) > 1 and isinstance(node, ig.Population) and kinds.emit_delay(graph, node):
                raise DoesNotFit(
                    f"{node.name}: {node.neuron.name} neurons see several steps before they fire, so nothing that they "
                    "emit can be fed back one step later"
                )


def _sending(graph: ig.IntegerGraph, coding: InputCoding) -> set[str]:
    """Nodes that send messages in Lava. The others are computed on the host: they are part of a constant current."""
    found: set[str] = set()
    for node in graph:
        match node:
            case ig.InputNode():
                sends = coding == "graded"
            case ig.Population() | ig.Delayed():
                sends = True
            case ig.Operation():
                sends = any(source in found for source in node.sources)
            case ig.Readout():
                sends = False
            case _:
                raise MissingImplementation(f"{type(node).__name__} has no place in a Lava network")
        if sends:
            found.add(node.name)
    return found


def _arrivals(graph: ig.IntegerGraph, sending: set[str], alignment: Alignment) -> dict[str, int] | None:
    """The earliest arrivals at a pace; None if some cycle is too slow for it."""
    back = {delayed.name: -least(delayed.steps) * alignment.pace for delayed in graph.delayed}
    for _ in range(len(back) + 1):
        arrivals, leaving = _forwards(graph, sending, alignment, back)
        later = {each.name: leaving[each.of] - least(each.steps) * alignment.pace for each in graph.delayed}
        if later == back:
            return arrivals
        back = later
    return None


def _forwards(
    graph: ig.IntegerGraph, sending: set[str], alignment: Alignment, back: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """Arrivals of the nodes and when their own step 0 leaves, given when that of each delay leaves."""
    arrivals: dict[str, int] = {}
    leaving = dict(back)
    for node in graph:
        if isinstance(node, ig.Delayed) or (isinstance(node, ig.Operation) and node.name not in sending):
            continue
        arriving = [leaving[source] for source in node.sources if source in sending]
        if isinstance(node, ig.Operation):
            arrivals[node.name] = max(arriving)
            delay = int(isinstance(alignment.operations[node.name], Part))
        else:
            arrivals[node.name] = max([0, *arriving])
            delay = alignment.delay(graph, node) if isinstance(node, ig.Population) else 0
        leaving[node.name] = arrivals[node.name] + delay
    return arrivals, leaving
