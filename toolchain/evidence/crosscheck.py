"""Compares two executions of a graph, golden model and target: every emission of every layer, image and step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError, TargetUnavailable
from spikec.evidence.accuracy import Progress, batch_size, parts, taken
from spikec.ir import IntegerGraph, as_integer
from spikec.simulation import Trace, compare
from spikec.simulation.compare import Difference
from spikec.targets.base import Target, get_target
from spikec.training.images import Images

if TYPE_CHECKING:
    import nir


@dataclass(frozen=True)
class Crosscheck:
    """The first difference or None, and what was compared; unpacks into ``difference, compared``.

    ``images``: how many were given; the comparison ends at the first difference. ``layers``: number of populations.
    ``compared``: what both executions recorded: ``spikes`` (of every step), ``counts``, ``events``, ``curve`` (the
    readout after every step) and ``output``.
    """

    target: str
    images: int
    layers: int
    timesteps: int
    difference: Difference | None = None
    compared: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        return self.difference is None

    def __iter__(self) -> Iterator[Difference | tuple[str, ...] | None]:
        yield self.difference
        yield self.compared

    def to_json(self) -> dict[str, Any]:
        """JSON types only; the difference in words."""
        return {
            "target": self.target,
            "images": self.images,
            "layers": self.layers,
            "timesteps": self.timesteps,
            "difference": None if self.difference is None else str(self.difference),
            "identical": self.identical,
        }

    def __str__(self) -> str:
        """``20 images, 6 layers, 4 steps: identical``, or the first difference."""
        what = f"{self.images} images, {self.layers} layers, {self.timesteps} steps"
        return f"{what}: {self.difference or 'identical'}"


def crosscheck(
    graph: nir.NIRGraph | IntegerGraph,
    target: str | Target,
    images: npt.ArrayLike | Images,
    *,
    options: Mapping[str, Any] | None = None,
    golden: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    watch: Callable[[Trace], None] | None = None,
) -> Crosscheck:
    """Run ``images``, float [N, *input shape] or a data set, on the golden model and on ``target``, and compare.

    ``options`` are those of the target's ``compile``, ``golden`` those of ``tc.simulate``. The batch size follows from
    the memory that rasters take and from ``options["chunk"]``. ``progress`` is called with the number of images done,
    ``watch`` with every trace of the target.

    Raises ``TargetUnavailable``, ``DoesNotFit``, ``DataError``.
    """
    data: Any = images if hasattr(images, "targets") else _Arrays(images)
    integer, chosen = as_integer(graph), dict(options or {})
    reference, where = get_target("golden").compile(graph), _ready(target)
    program = where.compile(graph, **chosen)
    difference: Difference | None = None
    compared: tuple[str, ...] = ()
    size = batch_size(integer, where.name, chosen.get("chunk"))
    steps = 0
    for part in parts(len(data), size):
        batch = taken(data, part)
        found = program.run(batch, record="spikes")
        if watch is not None:
            watch(found)
        steps = max(steps, found.timesteps)
        expected = reference.run(batch, record="spikes", **(golden or {}))
        compared = _told(expected, found)
        first = compare(expected, found)
        if first is not None:
            difference = replace(first, image=first.image + part.start)
            break
        if progress is not None:
            progress(part.stop)
    name = target if isinstance(target, str) else where.name
    return Crosscheck(name, len(data), len(integer.populations), steps, difference, compared)


class _Arrays:
    """Images of an array or a tensor, as a data set gives them."""

    def __init__(self, images: Any) -> None:
        self._images = images if hasattr(images, "shape") or isinstance(images, list) else np.asarray(images)
        if getattr(self._images, "shape", True) == () or not len(self._images):
            raise DataError("there are no images to compare on")

    def __len__(self) -> int:
        return len(self._images)

    def images(self, part: slice) -> Any:
        return self._images[part]


def _ready(target: str | Target) -> Target:
    """The target; raises ``TargetUnavailable`` if it cannot run here."""
    found = get_target(target) if isinstance(target, str) else target
    missing = found.available()
    if missing:
        raise TargetUnavailable(missing)
    return found


def _told(a: Trace, b: Trace) -> tuple[str, ...]:
    """What both traces hold."""
    both = {name: bool(getattr(a, name)) and bool(getattr(b, name)) for name in ("spikes", "counts", "events")}
    both["curve"] = a.output_curve is not None and b.output_curve is not None
    return (*(name for name, held in both.items() if held), "output")
