"""Run a data set a batch at a time and sum up accuracy, activity and overflows, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from spikec.errors import DataError
from spikec.evidence.intervals import wilson
from spikec.ir import IntegerGraph
from spikec.ir.input_statistics import CodedInput, joined
from spikec.simulation import Trace, simulate
from spikec.targets.base import TARGETS
from spikec.training.images import Images

#: Called with the number of images that are done.
Progress = Callable[[int], None]

#: Counts and events of a batch, int32 per neuron and image, and its raster, int8 per step, stay near this many bytes.
_BATCH_BYTES = 2**27
_IMAGES_AT_ONCE = 256
_SLOW_BATCH = 50  # a target that takes a second or more per image should show progress


@dataclass
class Evaluation:
    """Sums over the images seen so far. ``correct_by_step[t]``: correct when read out after step t + 1. Accuracy needs
    labels; other measures are those of :mod:`spikec.evidence.quality`."""

    images: int = 0
    correct: int = 0
    correct_by_step: npt.NDArray[np.int64] | None = None
    events: dict[str, int] = field(default_factory=dict)
    overflows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0  # wall clock inside the target
    steps: int | None = None  # run in all, if images may stop early
    hits: list[npt.NDArray[np.bool_]] = field(default_factory=list, repr=False)  # by batch: which images are correct
    codings: list[CodedInput] = field(default_factory=list, repr=False)  # by batch: what the input coding lost

    @property
    def coding(self) -> CodedInput | None:
        """What the input coding lost of all images; None where the target does not say."""
        return joined(self.codings) if self.codings else None

    @property
    def mean_steps(self) -> float | None:
        """Steps per image, where images may stop early."""
        return None if self.steps is None else self.steps / self.images

    @property
    def accuracy(self) -> float:
        self._known()
        return self.correct / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the accuracy."""
        self._known()
        return wilson(self.correct, self.images)

    @property
    def curve(self) -> list[float] | None:
        """Accuracy after each step, where the schedule has a readout before the last one."""
        return None if self.correct_by_step is None else [float(c / self.images) for c in self.correct_by_step]

    @property
    def overflowed(self) -> dict[str, int]:
        """Neuron-steps beyond 24 bits, or beyond the registers asked for, by layer; layers without any are left out."""
        return {name: count for name, count in self.overflows.items() if count}

    def add(self, trace: Trace, labels: npt.NDArray[np.int64] | None) -> None:
        """The trace of the next images, and their labels int64 [N]; None where they are no classes."""
        self.seconds += trace.seconds
        self.images += trace.images
        if trace.steps is not None:
            self.steps = (self.steps or 0) + int(trace.steps.sum())
        if trace.coding is not None:
            self.codings.append(trace.coding)
        if labels is not None:
            self._classify(trace, labels)
        for name, events in (trace.event_totals or trace.events).items():
            self.events[name] = self.events.get(name, 0) + int(events.sum(dtype=np.int64))
        for name, count in trace.overflows.items():
            self.overflows[name] = self.overflows.get(name, 0) + count

    def _known(self) -> None:
        if not self.hits:
            raise DataError("accuracy is not known: no image has a class")

    def _classify(self, trace: Trace, labels: npt.NDArray[np.int64]) -> None:
        self.hits.append(trace.predictions == labels)
        self.correct += int(self.hits[-1].sum())
        if trace.output_curve is not None:
            hits = (trace.output_curve.argmax(axis=2) == labels[:, None]).sum(axis=0)
            self.correct_by_step = hits if self.correct_by_step is None else self.correct_by_step + hits


def golden_trace(
    dataset: Images,
    graph: IntegerGraph,
    counts: bool | Literal["totals"] = "totals",
    measure: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Trace:
    """The golden model's trace of all images. Counts summed over the images keep it small for any number of them;
    ``counts=True`` keeps them per image, which an energy interval needs. ``measure`` keeps the range of every membrane,
    even if 24 bits are proven to suffice. ``options``: further options of ``tc.simulate``."""
    if progress is not None:
        tell = progress
        options["progress"] = lambda done, _: tell(done)
    given = (taken(dataset, part) for part in parts(len(dataset), _IMAGES_AT_ONCE))
    return simulate(
        graph,
        taken(dataset, slice(0, len(dataset))) if graph.sequences else given,
        counts=counts,
        measure=measure,
        **options,
    )


def taken(dataset: Images, part: slice) -> Any:
    """Images of a data set as an array; sequences as they are."""
    images = dataset.images(part)
    return images.numpy() if isinstance(images, Tensor) else images


def batch_size(graph: IntegerGraph, target: str, least: int | None = None) -> int:
    """Images at once for traces with counts per image: as many as the target says (``images_at_once``), few where it
    says nothing. ``least``: what is asked for, where memory allows."""
    neurons = sum(population.theta.size for population in graph.populations)
    largest = getattr(TARGETS.get(target), "images_at_once", None) or max(_SLOW_BATCH, least or 1)
    return max(1, min(largest, _BATCH_BYTES // ((8 + graph.emission_steps) * max(neurons, 1))))


def batches(
    dataset: Images, graph: IntegerGraph, target: str, least: int | None = None, progress: Progress | None = None
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[Any]]]:
    """(images float32 [n, C, H, W], labels [n, ...]) in order, :func:`batch_size` at a time; all sequences at once,
    since their traces are as long as the longest."""
    size = len(dataset) if graph.sequences else batch_size(graph, target, least)
    for part in parts(len(dataset), size):
        labels = np.asarray(dataset.targets(part))
        yield taken(dataset, part), labels
        if progress is not None:
            progress(part.start + len(labels))


def parts(total: int, size: int) -> Iterator[slice]:
    """``size`` of ``total`` images at a time, in order."""
    return (slice(start, min(start + size, total)) for start in range(0, total, size))
