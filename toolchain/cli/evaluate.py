"""Run a data set through a program a batch at a time: accuracy, activity and overflows, in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from toolchain.cli.output import Progress
from toolchain.ir import IntegerGraph
from toolchain.report.statistics import wilson
from toolchain.simulation import Trace

if TYPE_CHECKING:
    from models.data import Dataset

#: A batch's counts and events stay near this many bytes.
_BATCH_BYTES = 2**27
_LARGEST_BATCH = 256

Run = Callable[[npt.NDArray[np.float32]], Trace]


@dataclass
class Evaluation:
    """Sums over the images seen so far. ``correct_by_step[t]``: correct when read out after step t + 1."""

    images: int = 0
    correct: int = 0
    correct_by_step: npt.NDArray[np.int64] | None = None
    events: dict[str, int] = field(default_factory=dict)
    overflows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def accuracy(self) -> float:
        return self.correct / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the accuracy."""
        return wilson(self.correct, self.images)

    @property
    def curve(self) -> list[float] | None:
        """Accuracy after each step, where the schedule has a readout before the last one."""
        return None if self.correct_by_step is None else [float(c / self.images) for c in self.correct_by_step]

    @property
    def overflowed(self) -> dict[str, int]:
        """Layers whose membrane left 24 bits, with the number of neuron-steps."""
        return {name: count for name, count in self.overflows.items() if count}

    def add(self, trace: Trace, labels: npt.NDArray[np.int64]) -> None:
        self.images += len(labels)
        self.correct += int((trace.predictions == labels).sum())
        if trace.output_curve is not None:
            hits = (trace.output_curve.argmax(axis=2) == labels[:, None]).sum(axis=0)
            self.correct_by_step = hits if self.correct_by_step is None else self.correct_by_step + hits
        for name, events in trace.events.items():
            self.events[name] = self.events.get(name, 0) + int(events.sum())
        for name, count in trace.overflows.items():
            self.overflows[name] = self.overflows.get(name, 0) + count


def batches(
    dataset: Dataset, graph: IntegerGraph, label: str
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
    """(images float32 [n, C, H, W], labels int64 [n]) in order, with progress."""
    with Progress(label, len(dataset)) as progress:
        for images, labels in dataset.batches(batch_size(graph)):
            yield images.numpy(), labels.numpy()
            progress.advance(len(labels))


def batch_size(graph: IntegerGraph) -> int:
    """Images per batch: two int32 per neuron and image are kept."""
    neurons = sum(population.theta.size for population in graph.populations)
    return max(1, min(_LARGEST_BATCH, _BATCH_BYTES // (8 * max(neurons, 1))))


def evaluate(
    run: Run,
    dataset: Dataset,
    graph: IntegerGraph,
    label: str,
    keep: Callable[[Trace, npt.NDArray[np.int64]], None] | None = None,
) -> Evaluation:
    """Accuracy of ``run`` on ``dataset``; every batch's trace is handed to ``keep`` before it is dropped."""
    result = Evaluation()
    for images, labels in batches(dataset, graph, label):
        start = time.perf_counter()
        trace = run(images)
        result.seconds += time.perf_counter() - start
        result.add(trace, labels)
        if keep is not None:
            keep(trace, labels)
    return result
