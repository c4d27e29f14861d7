"""What a task shows of its errors: a confusion of classes, or numbers to predict against those predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from spikec.evidence.measures.choosing import Wanted
from spikec.evidence.measures.overlap import MeanIoU
from spikec.evidence.quality import outputs_of
from spikec.ir.graph import IntegerGraph
from spikec.reporting.confusion import confusion, of_numbers, of_pixels
from spikec.reporting.details import Confusion, Predicted
from spikec.simulation.trace import Trace


class Shown(TypedDict):
    """Fields of a report."""

    confusion: Confusion | None
    predicted: tuple[Predicted, ...]


def known_classes(wanted: Sequence[Wanted], shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """How many classes the first output has that is measured by classes, the one whose confusion is shown; None where
    there is none. ``shapes``: of one output, by name. A map of two classes may have one channel."""
    for one in wanted:
        if one.classifies:
            return int(one.of(shapes)[0])
        if isinstance(one.measure, MeanIoU):
            return max(int(one.of(shapes)[0]), 2)
    return None


def tasks(
    graph: IntegerGraph, wanted: Sequence[Wanted], trace: Trace, targets: npt.NDArray[Any], names: Sequence[str]
) -> Shown:
    """Of each output that is measured, once; the confusion of the first that is measured by classes. ``names``: of
    these classes."""
    found: Shown = {"confusion": None, "predicted": ()}
    if not wanted:
        return found
    outputs, seen = outputs_of(graph, trace), set()
    for one in wanted:
        head = one.head or next(iter(outputs))
        if head in seen:
            continue
        values, own = one.of(outputs), one.target(targets)
        if one.classifies:
            if found["confusion"] is None:
                labels, answers = np.asarray(own, np.int64), values.argmax(axis=1)
                found["confusion"] = confusion(labels, answers, values.shape[1], names=names)
            seen.add(head)
        elif isinstance(one.measure, MeanIoU):
            if found["confusion"] is None:
                found["confusion"] = of_pixels(values, np.asarray(own, np.int64), one.measure.ignore, names)
            seen.add(head)
        elif own.dtype.kind == "f" and own.size == values.size:
            found["predicted"] += (of_numbers(values, own, head),)
            seen.add(head)
    return found
