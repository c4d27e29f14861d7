"""What is run on a set of images, and what is kept of it: batch by batch, so that memory does not grow with the set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from spikec.energy.by_image import ByImage
from spikec.evidence.accuracy import batch_size, parts, taken
from spikec.ir.graph import IntegerGraph
from spikec.simulation.input_warning import unsaid
from spikec.simulation.joining import joined
from spikec.simulation.trace import Trace
from spikec.targets.base import get_target

if TYPE_CHECKING:
    import nir

    from spikec.training.images import Images

#: Of each trace: everything; sums over the images; these, and sums over the neurons of each image
#: (:class:`spikec.energy.by_image.ByImage`); or events of each layer alone.
Keep = Literal["all", "totals", "by image", "layers"]
#: Images that the golden model is given at once where it keeps none of their counts, and the bytes that they may have.
_AT_ONCE, _BYTES = 256, 2**26


@dataclass(frozen=True)
class Work:
    """A target, the options of its ``compile`` and of its program's ``run``, as a command line gives them; ``record``
    of rasters; and what is kept. ``measure``: the golden model watches membranes that are proven to fit too."""

    target: str = "golden"
    compiling: Mapping[str, Any] = field(default_factory=dict)
    running: Mapping[str, Any] = field(default_factory=dict)
    record: str | None = None
    keep: Keep = "layers"
    measure: bool = False

    def document(self) -> dict[str, Any]:
        """JSON types; paths as texts."""
        found = asdict(self)
        for options in ("compiling", "running"):
            found[options] = {key: _plain(value) for key, value in found[options].items()}
        return found

    def at_once(self, graph: IntegerGraph) -> int:
        """Images that run together."""
        if self.keep in ("all", "by image") or self.target != "golden":
            return batch_size(graph, self.target, self.compiling.get("chunk"))
        return max(1, min(_AT_ONCE, _BYTES // (4 * math.prod(graph.input.shape))))


class Worker:
    """Runs the images of one set. ``graph``: what ``nir_graph`` decodes to, with the steps of sequences. ``progress``
    is called with the number of images that are done."""

    def __init__(
        self,
        work: Work,
        nir_graph: nir.NIRGraph,
        graph: IntegerGraph,
        data: Images,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._work, self._graph, self._data, self._progress = work, graph, data, progress
        options = dict(work.compiling)
        if work.target == "golden" and work.measure:
            options["measure"] = True
        self._program: Any = get_target(work.target).compile(nir_graph, **options)
        self._by_image = ByImage(graph) if work.keep == "by image" else None

    def traces(self, images: slice) -> Iterator[tuple[slice, Trace]]:
        """The images from ``images.start`` to ``images.stop``, few at a time, and what is kept of their trace; all
        sequences at once, since their traces are as long as the longest. Speaks of no image
        (:func:`spikec.simulation.input_warning.told`)."""
        total = images.stop - images.start
        size = total if self._graph.sequences else self._work.at_once(self._graph)
        for part in parts(total, size):
            part = slice(images.start + part.start, images.start + part.stop)
            with unsaid():
                trace = self._run(part)
            yield part, trace
            if self._progress is not None:
                self._progress(part.stop)

    def trace(self, images: slice) -> Trace:
        """The same, joined."""
        return joined([trace for _, trace in self.traces(images)])

    def _run(self, part: slice) -> Trace:
        options = dict(self._work.running)
        if self._work.target == "golden":
            options["counts"] = True if self._work.keep in ("all", "by image") else "totals"
            if not self._graph.sequences:
                options["first"] = part.start
            if (tell := self._progress) is not None:
                options["progress"] = lambda done, _: tell(part.start + done)
        trace: Trace = self._program.run(taken(self._data, part), record=self._work.record, **options)
        return self._kept(trace)

    def _kept(self, trace: Trace) -> Trace:
        match self._work.keep:
            case "all":
                return trace
            case "by image":
                assert self._by_image is not None
                return self._by_image(trace)
            case "totals":
                return replace(trace, counts={}, events={})
            case "layers":
                events = (trace.event_totals or trace.events).items()
                sums = {name: np.array([each.sum(dtype=np.int64)]) for name, each in events}
                nothing: dict[str, Any] = {"counts": {}, "events": {}, "count_totals": {}, "pooled_events": {}}
                return replace(trace, **nothing, event_totals=sums, input_events=None)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


__all__ = ["Keep", "Work", "Worker"]
