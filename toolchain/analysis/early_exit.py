"""Early exit: an image stops once its class can no longer change, or once it leads by a confidence margin.

After step t the readout of class o is v_o. For each pair of classes, the weights bound what one further step can add to
v_o - v_p: a weight difference counts only with the sign that helps o, times the largest or the smallest number its
source can send. Class p is decided once, for every o, v_p - v_o exceeds what all remaining steps can add to v_o - v_p
(ties go to the lower class, as in ``numpy.argmax``). Steps of the drain carry no biases and no image.
"""

from __future__ import annotations

import numpy as np

from spikec.analysis.ranges import Ranges
from spikec.errors import DataError, RangeError
from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population
from spikec.ir.integers import ADDABLE, magnitude
from spikec.ir.operations import Affine, Synapse
from spikec.ir.outputs import classes_of
from spikec.ir.types import Int64
from spikec.words import option

#: The proven form.
MARGIN = "margin"


class Rule:
    """When images of one graph stop. ``confidence``: lead in the logits so far that stops an image without a proof.

    Raises ``DataError`` for a graph whose readout has no steps of its own, and for one without a single output of
    classes.
    """

    def __init__(self, graph: IntegerGraph, ranges: Ranges, confidence: float | None = None) -> None:
        if graph.schedule != "pipelined" or graph.timing.rehearsal:
            raise DataError(
                f"{option('early_exit')} needs layers that step together, pipelined and without a calibration pass; "
                "layerwise and calibrated layers run one after the other, so nothing is known of the class before the "
                "last one"
            )
        classes_of(graph, option("early_exit"))
        self.scale, self.confidence = graph.readout.scale, confidence
        #: What one step adds at most to v_o - v_p, int64 [p, o]: with image and biases, and in the drain without.
        on, off = self.gains = tuple(_gain(graph, ranges, on=applied) for applied in (True, False))
        steps, drain = graph.timesteps, graph.drain
        #: After each step, int64 [p, o]: the most that v_o can gain on v_p until the end.
        self.left = [
            (steps - min(t, steps)) * on + min(drain, steps + drain - t) * off for t in range(1, steps + drain + 1)
        ]


def confidence_of(value: str | float) -> float | None:
    """The lead in logits that ``early_exit=value`` gives besides the proof; None where it gives none. Raises
    ``DataError`` for anything but "margin" and positive numbers."""
    if isinstance(value, str) and value == MARGIN:
        return None
    try:
        if isinstance(value, bool | np.bool_ | str | bytes):
            raise TypeError
        margin = float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{option('early_exit', value)} is not known; use {MARGIN} or a margin of the logits"
        ) from error
    if not 0 < margin < float("inf"):
        raise DataError(f"{option('early_exit', value)} is not a margin; use a positive number of logits or {MARGIN}")
    return margin


def _gain(graph: IntegerGraph, ranges: Ranges, *, on: bool) -> Int64:
    """int64 [p, o]: the most that one step, with image and biases or without, adds to v_o - v_p."""
    size = graph.readout.v_init.size
    gain, reach = np.zeros((size, size), np.int64), 0
    for name in graph.readout.sources:
        node = graph.nodes[name]
        if isinstance(node, Affine):
            sources = [_sent(graph, ranges, source, on=on) for source in node.sources]
            most = sum(max(map(magnitude, ends)) for ends in sources)
            reach += 2 * (magnitude(node.narrow_weight) * most * node.weight_shape[1] + magnitude(node.bias))
            _countable(graph, reach)
            low, high = (np.sum(ends, axis=0).reshape(-1) for ends in zip(*sources, strict=True))
            bias = node.bias if on else np.zeros_like(node.bias)
            weight = node.weight.reshape(size, -1)  # widened once
            for p in range(size):
                difference = weight - weight[p]
                gain[p] += np.maximum(difference * low, difference * high).sum(axis=1) + bias - bias[p]
        else:
            low, high = (end.reshape(-1) for end in _sent(graph, ranges, name, on=on))
            reach += 2 * max(magnitude(low), magnitude(high))
            _countable(graph, reach)
            gain += high[None, :] - low[:, None]
    return gain


def _countable(graph: IntegerGraph, reach: int) -> None:
    """Raise ``RangeError`` where int64 might not hold what a class gains in all steps, ``reach`` at most in each."""
    total = reach * (graph.timesteps + graph.drain)
    if total >= ADDABLE:
        raise RangeError(f"a class may gain {total:.3g} in all steps, beyond 63 bits; leave {option('early_exit')} out")


def _sent(graph: IntegerGraph, ranges: Ranges, name: str, *, on: bool) -> tuple[Int64, Int64]:
    """Range of the output of a node in one step, with image and biases or without."""
    node = graph.nodes[name]
    if isinstance(node, Population):
        low, high = node.neuron.emission
        return np.full(node.shape, low, np.int64), np.full(node.shape, high, np.int64)
    if isinstance(node, InputNode):
        return (
            (np.full(node.shape, node.low), np.full(node.shape, node.high)) if on else (np.zeros(node.shape, int),) * 2
        )
    if on or _only_spikes(graph, name):
        return ranges.accumulators[name].lowest, ranges.accumulators[name].highest
    most = np.full(node.output_shape, ranges.magnitudes[name])
    return -most, most


def _only_spikes(graph: IntegerGraph, name: str) -> bool:
    """Whether neither the image nor a bias takes part in the output of ``name``."""
    node = graph.nodes[name]
    if isinstance(node, Synapse):
        return False
    return isinstance(node, Population) or all(_only_spikes(graph, source) for source in node.sources)
