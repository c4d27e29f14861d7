"""The runs of :mod:`spikec.evidence.accuracy`, with progress on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from spikec.cli.progress import Progress
from spikec.evidence import accuracy
from spikec.ir import IntegerGraph
from spikec.simulation import Trace
from spikec.training.images import Images


@contextmanager
def progressing(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Gives a function that shows progress when it is called with the number of images done."""
    with Progress(label, total) as progress:
        yield lambda done: progress.advance(done - progress.done)


@contextmanager
def measuring() -> Iterator[Callable[[str, int, int], None]]:
    """Gives a function that shows progress when it is called with a stage, its images done, and all of them."""
    with Progress("measuring") as progress:

        def advance(stage: str, done: int, total: int) -> None:
            label = f"measuring, {stage}"
            if progress.label != label:
                progress.begin(label, total)
            progress.reach(done, total)

        yield advance


def golden_trace(
    dataset: Images,
    graph: IntegerGraph,
    counts: bool | Literal["totals"] = "totals",
    measure: bool = False,
    **options: Any,
) -> Trace:
    """See :func:`spikec.evidence.accuracy.golden_trace`."""
    with progressing("golden", len(dataset)) as progress:
        return accuracy.golden_trace(dataset, graph, counts, measure, progress, **options)


def batches(
    dataset: Images, graph: IntegerGraph, target: str, least: int | None = None
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[Any]]]:
    """See :func:`spikec.evidence.accuracy.batches`."""
    with progressing(target, len(dataset)) as progress:
        yield from accuracy.batches(dataset, graph, target, least, progress)
