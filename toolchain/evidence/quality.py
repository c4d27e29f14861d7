"""Quality of a deployment by any measure, beside that of the trained network on the same images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from spikec.calls import named_arguments, outside
from spikec.errors import DataError
from spikec.evidence.accuracy import parts
from spikec.evidence.comparison import beside, compared
from spikec.evidence.endings import before_the_end
from spikec.evidence.measures.base import Float64, Measure, Quality, Targets, Whole
from spikec.evidence.measures.choosing import Metric, Wanted, as_targets, measures_of
from spikec.evidence.rating import Rated, Rating
from spikec.frontend.outputs import named_outputs
from spikec.ir.graph import IntegerGraph
from spikec.ir.metadata import OUTPUT
from spikec.simulation.trace import Trace

if TYPE_CHECKING:
    from spikec.training.images import Images

#: Numbers of outputs that are looked at together; measures make several arrays of them.
_AT_ONCE = 2**22


def output_shapes(graph: IntegerGraph) -> dict[str, tuple[int, ...]]:
    """The shape of one output, as the network returns it, by its name."""
    return {readout.output: readout.returned for readout in graph.readouts}


def outputs_of(graph: IntegerGraph, trace: Trace, rows: slice = slice(None)) -> dict[str, Float64]:
    """What the network puts out, in the units of the trained one, float64 [n, *shape], by output. Equal integers, and
    only these, are equal here up to 2^52. ``rows``: of these inputs."""
    return {readout.output: trace.outputs[readout.output][rows] * readout.scale for readout in graph.readouts}


def named_arrays(value: Any) -> dict[str, Float64]:
    """What a trained network returns for some inputs, float64 [n, *shape], by output, as its deployment gives it."""
    named = named_outputs(value)
    found = {OUTPUT: value} if named is None else named
    return {name: _with_axis(each.detach().cpu().numpy().astype(np.float64)) for name, each in found.items()}


def _with_axis(values: Float64) -> Float64:
    """One number for each input, [n], as a deployment gives it: [n, 1]."""
    return values[:, None] if values.ndim == 1 else values


@dataclass(frozen=True)
class Steps:
    """Outputs when read out after each step: integers ``curve`` int64 [N, steps, *shape], times ``units`` [steps]."""

    curve: npt.NDArray[np.int64]
    units: Float64

    def __len__(self) -> int:
        return len(self.units)

    def __getitem__(self, step: int) -> Float64:
        """float64 [N, *shape], after ``step`` + 1 steps."""
        return np.asarray(self.curve[:, step] * self.units[step])


def outputs_by_step(graph: IntegerGraph, trace: Trace, rows: slice = slice(None)) -> dict[str, Steps]:
    """The same when read out after each step; nothing where the schedule has no such readout. What an image adds up to
    grows with the steps: after t of T it is taken times T / t. Steps of the drain add none of the image."""
    found = {}
    for readout in graph.readouts:
        curve = trace.output_curves.get(readout.output)
        if curve is None:
            continue
        number = curve.shape[1]
        units = np.full(number, readout.scale)
        if not graph.sequences:
            units *= graph.timesteps / np.minimum(np.arange(1, number + 1), number - graph.drain)
        found[readout.output] = Steps(curve[rows], units)
    return found


def _numbers(measure: Measure, found: Float64, targets: Targets) -> Float64:
    numbers = measure.statistics(found, targets)
    assert numbers is not None  # only measures of the whole have none
    return numbers


class Tally:
    """One measure of the inputs seen so far. ``bands``: keep what intervals of every step need."""

    def __init__(self, wanted: Wanted, *, bands: bool = False) -> None:
        self.wanted, self._bands = wanted, bands
        self._numbers: list[Float64] = []
        self._kept: list[tuple[Float64, Targets]] = []
        self._of_whole: list[Float64 | None] = []  # numbers of each input, once they are known
        self._by_step: list[Float64] = []  # [n, steps, k]; added up in one go, so that batches leave no mark

    def add(self, found: Float64, targets: Targets, by_step: Steps | None = None) -> None:
        """Outputs float64 [n, *shape] of the next inputs, their targets [n, ...], and the outputs after each step."""
        measure = self.wanted.measure
        if isinstance(measure, Whole):
            self._kept.append((found, targets))
            self._of_whole.clear()
            return
        self._numbers.append(_numbers(measure, found, targets))
        if by_step is None:
            return
        each = [_numbers(measure, by_step[step], targets) for step in range(len(by_step))]
        self._by_step.append(np.stack(each, axis=1))

    def add_of(
        self, outputs: Mapping[str, Float64], targets: Targets, curves: Mapping[str, Steps] | None = None
    ) -> None:
        """The same from all outputs, and the targets of all."""
        one = self.wanted
        self.add(one.of(outputs), one.target(targets), one.of(curves) if curves else None)

    @property
    def numbers(self) -> Float64 | None:
        """The numbers of each input, [N, k]; None where the measure has none."""
        if isinstance(self.wanted.measure, Whole):
            if not self._of_whole:
                self._of_whole.append(self.wanted.measure.statistics(*self._all()))
            return self._of_whole[0]
        return np.concatenate(self._numbers)

    def _all(self) -> tuple[Float64, Targets]:
        found, targets = zip(*self._kept, strict=True)
        return np.concatenate(found), np.concatenate(targets)

    def quality(self) -> Quality:
        measure, numbers = self.wanted.measure, self.numbers
        if numbers is not None:
            return measure.quality(numbers)
        assert isinstance(measure, Whole)
        return measure.of_all(*self._all())

    def curve(self) -> list[float | None]:
        """The value when read out after each step; empty where that is not known. Without bands."""
        number = sum(map(len, self._numbers))
        sums = np.concatenate(self._by_step).sum(axis=0) if self._by_step else None
        values = np.empty(0) if sums is None else self.wanted.measure.of_sums(sums, number)
        return [float(value) if np.isfinite(value) else None for value in values]

    def bands(self) -> list[Quality]:
        """The same with intervals."""
        if not self._by_step:
            return []
        numbers = np.concatenate(self._by_step)
        each = (np.ascontiguousarray(numbers[:, step]) for step in range(numbers.shape[1]))
        return [self.wanted.measure.quality(one) for one in each]


class Ratings:
    """Several measures of what ``graph`` does, over traces that come one after the other. A warning names those for
    which its outputs do not stand for the trained network's."""

    def __init__(self, graph: IntegerGraph, wanted: Sequence[Wanted], *, bands: bool = False) -> None:
        for one, last in before_the_end(graph, wanted).items():
            warnings.warn(
                f"{one.name} is measured on the outputs before {last}, which ends the trained network and is left out "
                "of the deployment",
                stacklevel=outside(),
            )
        self._graph, self._bands = graph, bands
        self._tallies = [Tally(each, bands=bands) for each in wanted]

    def add(self, trace: Trace, targets: Any) -> None:
        """The trace of the next inputs, and their targets [n, ...], or those of several outputs."""
        given = np.asarray(targets)
        size = sum(int(np.prod(shape)) for shape in output_shapes(self._graph).values())
        for rows in parts(trace.images, max(1, _AT_ONCE // size)):
            found, curves = outputs_of(self._graph, trace, rows), outputs_by_step(self._graph, trace, rows)
            for tally in self._tallies:
                tally.add_of(found, given[rows], curves)

    def found(self, data: Images | None = None) -> list[Rating]:
        """What the measures say. ``data``: the inputs; those that the file was measured on are compared."""
        return [self._rating(tally, data) for tally in self._tallies]

    def _rating(self, tally: Tally, data: Images | None) -> Rating:
        wanted, numbers = tally.wanted, tally.numbers
        bands = tally.bands() if self._bands else []
        by_step = [found.value for found in bands] if self._bands else tally.curve()
        other = None if data is None or numbers is None else compared(self._graph, data, wanted, numbers)
        return Rating(wanted.name, wanted.title, tally.quality(), by_step, other, bands)


@named_arguments
def quality(
    outputs: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    targets: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    metric: Metric = None,
    *,
    network: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
) -> Rated:
    """What outputs are worth, by one or several measures, each with its 95 % interval.

    ``outputs``: [N, *shape] or [N], such as ``trace.logits``; ``targets``: classes, integers [N]; masks, integers
    [N, H, W]; or numbers to predict, floats [N, *shape]. ``metric``: as ``--metric`` takes them, or measures; by
    default what the targets ask for: top-1, mean IoU, or mean absolute error and correlation. ``network``: outputs of
    the trained network for the same inputs; then each rating also holds the difference, with its paired interval. Of a
    network with several outputs all three by name, such as ``trace.outputs``; a measure of one is asked for as
    ``NAME=mae``. Raises ``DataError``.

    >>> (rating,) = tc.quality(trace.logits, labels)
    >>> rating.quality.value == trace.accuracy(labels)
    True
    """
    found = as_outputs("outputs", outputs)
    given = as_targets(targets, len(next(iter(found.values()))))
    own = None if network is None else same_outputs("the network's outputs", as_outputs("network", network), found)
    rated = []
    for wanted in measures_of(metric, {name: each.shape[1:] for name, each in found.items()}, given):
        tally = Tally(wanted)
        tally.add_of(found, given)
        other = None if own is None else beside(wanted, "", wanted.of(own), wanted.of(found), wanted.target(given))
        rated.append(Rating(wanted.name, wanted.title, tally.quality(), network=other))
    return Rated(rated)


def same_outputs(what: str, own: Mapping[str, Float64], found: Mapping[str, Float64]) -> Mapping[str, Float64]:
    """``own`` outputs, called ``what``, if they have the names and shapes of those ``found``. Raises ``DataError``."""
    shapes, wanted = ({name: list(each.shape) for name, each in values.items()} for values in (own, found))
    if shapes != wanted:
        given, expected = (next(iter(s.values())) if len(s) == 1 else s for s in (shapes, wanted))
        raise DataError(f"{what} are of shape {given}, those of the deployment of {expected}, for the same inputs")
    return own


def as_outputs(name: str, values: npt.ArrayLike | Mapping[str, npt.ArrayLike]) -> dict[str, Float64]:
    """Outputs called ``name``, [N, *shape] or [N], float64 [N, *shape] by output. Raises ``DataError``."""
    if not isinstance(values, Mapping):
        return {OUTPUT: _as_array(name, values)}
    found = {key: _as_array(f"{name}[{key!r}]", each) for key, each in values.items()}
    if len({len(each) for each in found.values()}) != 1:
        raise DataError(f"{name} must hold one output at least, each for the same inputs")
    return found


def _as_array(name: str, values: npt.ArrayLike) -> Float64:
    try:
        found = _with_axis(np.asarray(values.detach() if isinstance(values, Tensor) else values, np.float64))
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be numbers [N, ...]: {error}") from error
    if found.ndim < 2 or not len(found):
        raise DataError(f"{name} must be numbers [N, ...], at least one input, not of shape {list(found.shape)}")
    if not np.isfinite(found).all():
        raise DataError(f"{name} holds values that are not finite")
    return found


__all__ = [
    "Rated",
    "Rating",
    "Ratings",
    "Tally",
    "as_outputs",
    "named_arrays",
    "output_shapes",
    "outputs_by_step",
    "outputs_of",
    "quality",
]
