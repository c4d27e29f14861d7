"""Compares two executions of a graph, golden model and target: every emission of every layer, image and step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spikec.calls import named_arguments
from spikec.display import Column, Shown, Table
from spikec.errors import DataError, TargetUnavailable
from spikec.evidence.accuracy import Progress, batch_size, parts, taken
from spikec.ir import IntegerGraph, as_integer
from spikec.ir.input_statistics import CodedInput, joined
from spikec.simulation import Trace, compare
from spikec.simulation.compare import Difference
from spikec.simulation.encode import as_sequences
from spikec.simulation.input_warning import told, unsaid
from spikec.targets.base import Target, compiled, get_target
from spikec.training.images import Images

if TYPE_CHECKING:
    import nir


@dataclass(frozen=True, repr=False)
class Crosscheck(Shown):
    """The first difference or None, and what was compared; unpacks into ``difference, compared``.

    ``images``: how many were given; the comparison ends at the first difference. ``layers``: number of populations.
    ``timesteps``: T, or the length of the longest sequence.
    ``compared``: what both executions recorded: ``spikes`` (of every step), ``counts``, ``events``, ``curve`` (the
    readout after every step) and ``output``. ``coding``: what the input coding lost of the images compared.
    """

    target: str
    images: int
    layers: int
    timesteps: int
    difference: Difference | None = None
    compared: tuple[str, ...] = ()
    coding: CodedInput | None = field(default=None, repr=False, compare=False)

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

    def _headline(self) -> str:
        return f"{self.target}, {self}"

    def _table(self) -> Table:
        names = ("target", "images", "layers", "timesteps", "identical", "difference")
        columns = tuple(Column(name, "T" if name == "timesteps" else name) for name in names)
        row = tuple(self.to_json()[name] for name in names)
        title = f"Golden model against {self.target}; compared: {', '.join(self.compared)}"
        return Table(title, columns, (row,))


@named_arguments
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
    """Run ``images``, float [N, *input shape] or a data set, on the golden model and on ``target``, and compare. Where
    the input is a sequence: numbers [N, steps, *input shape], or a list of sequences of different lengths.

    ``options`` are those of the target's ``compile``, ``golden`` those of ``tc.simulate``. The batch size follows from
    the memory that rasters take and from ``options["chunk"]``. ``progress`` is called with the number of images done,
    ``watch`` with every trace of the target.

    Raises ``TargetUnavailable``, ``DoesNotFit``, ``DataError``.

    >>> tc.crosscheck(graph, "golden", images)
    <Crosscheck: golden, 12 images, 2 layers, 4 steps: identical>
    """
    integer, chosen = as_integer(graph), dict(options or {})
    data: Any = images
    if not hasattr(images, "targets"):
        data = _Sequences(integer, images) if integer.sequences else _Arrays(images)
    if integer.sequences:
        integer = integer.lasting(data.steps)
    reference, where = get_target("golden").compile(graph), _ready(target)
    program = compiled(where, graph, chosen)
    difference: Difference | None = None
    compared: tuple[str, ...] = ()
    codings: list[CodedInput] = []
    for part in parts(len(data), batch_size(integer, where.name, chosen.get("chunk"))):
        batch = taken(data, part)
        with unsaid():  # all images are spoken of at once, below
            found = program.run(batch, record="spikes")
            if watch is not None:
                watch(found)
            expected = reference.run(batch, record="spikes", **(golden or {}))
        codings += [] if expected.coding is None else [expected.coding]
        compared = _told(expected, found)
        first = compare(expected, found)
        if first is not None:
            difference = replace(first, image=first.image + part.start)
            break
        if progress is not None:
            progress(part.stop)
    coding = joined(codings)
    told(integer, coding)
    name = target if isinstance(target, str) else where.name
    return Crosscheck(name, len(data), len(integer.populations), integer.timesteps, difference, compared, coding)


class _Arrays:
    """Images of an array or a tensor, as a data set gives them."""

    def __init__(self, images: Any) -> None:
        self._images = images if hasattr(images, "shape") else np.asarray(images)
        if not len(self._images.shape) or not len(self._images):
            raise DataError("there are no images to compare on")

    def __len__(self) -> int:
        return len(self._images)

    def images(self, part: slice) -> Any:
        return self._images[part]


class _Sequences:
    """Sequences for a graph, as a data set gives images; the batches are lists. Raises ``DataError`` for what the graph
    cannot take."""

    def __init__(self, graph: IntegerGraph, sequences: Any) -> None:
        self._whole, lengths = as_sequences(graph.input, sequences)
        self.steps = self._whole.shape[1]
        self._lengths = [self.steps] * len(self._whole) if lengths is None else lengths.tolist()

    def __len__(self) -> int:
        return len(self._whole)

    def images(self, part: slice) -> list[npt.NDArray[Any]]:
        return [frames[:n] for frames, n in zip(self._whole[part], self._lengths[part], strict=True)]


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
    both["curve"] = bool(a.output_curves) and bool(b.output_curves)
    return (*(name for name, held in both.items() if held), "output")
