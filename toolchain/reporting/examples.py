"""A few inputs looked at closely: what they are, what the neurons emit, and how the decision forms over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spikec.evidence.measures.choosing import Wanted
from spikec.evidence.measures.overlap import MeanIoU
from spikec.evidence.quality import outputs_by_step, outputs_of
from spikec.ir.graph import IntegerGraph
from spikec.ir.kinds import Maximum
from spikec.reporting import choosing
from spikec.reporting.choosing import spread
from spikec.reporting.confusion import predicted_masks
from spikec.reporting.details import Example, Picture, Raster
from spikec.reporting.numbers import significant
from spikec.reporting.pictures import of_input, of_mask
from spikec.simulation import simulate
from spikec.simulation.input_warning import unsaid
from spikec.simulation.trace import Trace

if TYPE_CHECKING:
    from spikec.training.images import Images

_LAYERS, _NEURONS, _TRACKS = 4, 32, 4
#: Steps of rasters, and emissions of a run that records them: beyond, examples have none.
_MOST_STEPS, _MOST_EMISSIONS = 400, 200_000_000


def examples(
    graph: IntegerGraph,
    inputs: Images,
    trace: Trace,
    one: Wanted | None,
    targets: npt.NDArray[Any],
    names: Sequence[str] = (),
) -> tuple[Example, ...]:
    """Up to six of ``inputs``, run once more with their rasters. ``trace``: of all inputs; ``one``: the first measure,
    which decides how they are chosen; ``targets`` [N, ...]; ``names`` of the classes, empty where they have none."""
    wanted = None if one is None else one.target(targets)
    head = next(iter(trace.outputs)) if one is None or one.head is None else one.head
    chosen = _chosen(graph, trace, head, one, wanted)
    places = [index for index, _ in chosen]
    few: Any = inputs.images(np.array(places, np.int64))
    record = "spikes" if _affordable(graph, len(places)) else None
    with unsaid():
        run = simulate(graph, few, record=record)
    graph = graph.lasting(run.timesteps) if graph.sequences else graph
    rasters = _rasters(graph, run)
    made = []
    for i, (index, why) in enumerate(chosen):
        own = None if wanted is None else wanted[index]
        right, target, answer = _answer(run, i, head, one, own, names)
        tracks, values = _tracks(graph, run, i, head, one, own, names)
        values_in = np.asarray(few[i])
        pictures = [of_input(values_in, graph.sequences), *_masks(graph, run, i, head, one, own)]
        made.append(
            Example(
                index=index,
                why=why,
                right=right,
                target=target,
                answer=answer,
                pictures=tuple(picture for picture in pictures if picture is not None),
                tracks=tracks,
                values=values,
                rasters=tuple(raster[i] for raster in rasters),
            )
        )
    return tuple(made)


def _affordable(graph: IntegerGraph, number: int) -> bool:
    neurons = sum(int(np.prod(node.shape)) for node in graph.populations)
    steps = graph.emission_steps
    return steps <= _MOST_STEPS and neurons * steps * number <= _MOST_EMISSIONS


def _chosen(
    graph: IntegerGraph, trace: Trace, head: str, one: Wanted | None, wanted: npt.NDArray[Any] | None
) -> list[choosing.Chosen]:
    if one is None or wanted is None:
        return choosing.first(trace.images)
    if one.classifies:
        return choosing.by_margin(trace.outputs[head], wanted)
    found = one.of(outputs_of(graph, trace))
    if isinstance(one.measure, MeanIoU):
        error = (predicted_masks(found) != wanted) & (wanted != one.measure.ignore)
        return choosing.by_error(error.reshape(len(error), -1).mean(axis=1))
    if wanted.dtype.kind == "f" and wanted.size == found.size:
        return choosing.by_error(np.abs(found.reshape(len(found), -1) - wanted.reshape(len(found), -1)).mean(axis=1))
    return choosing.first(trace.images)


def _answer(
    run: Trace, i: int, head: str, one: Wanted | None, own: Any, names: Sequence[str]
) -> tuple[bool | None, str, str]:
    found = run.outputs[head][i] * run.scales[head]
    if one is None:
        return None, "", _numbers(found.reshape(-1)) if found.size <= _TRACKS else f"{found.size} numbers"
    if one.classifies:
        answer = int(found.argmax())
        return answer == int(own), _class(names, int(own)), _class(names, answer)
    if isinstance(one.measure, MeanIoU):
        wrong = (predicted_masks(found[None])[0] != own) & (own != one.measure.ignore)
        return None, "", f"{100 * float(wrong.mean()):.1f} % of the pixels differ"
    return None, _numbers(np.asarray(own).reshape(-1)), _numbers(found.reshape(-1))


def _class(names: Sequence[str], number: int) -> str:
    return names[number] if number < len(names) else f"class {number}"


def _numbers(values: npt.NDArray[Any]) -> str:
    more = f" and {len(values) - _TRACKS} more" if len(values) > _TRACKS else ""
    return ", ".join(significant(float(value), 4) for value in values[:_TRACKS]) + more


def _masks(graph: IntegerGraph, run: Trace, i: int, head: str, one: Wanted | None, own: Any) -> list[Picture]:
    if one is None or not isinstance(one.measure, MeanIoU):
        return []
    found = predicted_masks(run.outputs[head][i : i + 1] * run.scales[head])[0]
    return [of_mask(np.asarray(own), "wanted"), of_mask(found, "put out")]


def _tracks(
    graph: IntegerGraph, run: Trace, i: int, head: str, one: Wanted | None, own: Any, classes: Sequence[str]
) -> tuple[tuple[str, ...], tuple[tuple[float, ...], ...]]:
    """Of classes: those that lead in the end and the right one. Of numbers: the first ones."""
    last = (run.outputs[head][i] * run.scales[head]).reshape(-1)
    classify = one is not None and one.classifies
    if last.size > _TRACKS and not classify:
        return (), ()
    if classify:
        leading = [int(c) for c in np.argsort(-last, kind="stable")[:_TRACKS]]
        shown = list(dict.fromkeys([*leading, int(own)]))
        names = tuple(_class(classes, c) for c in shown)
    else:
        shown = list(range(last.size))
        names = tuple(head if last.size == 1 else f"{head} {c}" for c in shown)
    steps = outputs_by_step(graph, run, slice(i, i + 1)).get(head)
    if steps is None:
        return names, tuple((float(last[c]),) for c in shown)
    end = len(steps) if run.steps is None else int(run.steps[i])
    values = [steps[t].reshape(-1) for t in range(end)]
    return names, tuple(tuple(float(value[c]) for value in values) for c in shown)


def _rasters(graph: IntegerGraph, run: Trace) -> list[tuple[Raster, ...]]:
    """Of up to four layers, evenly spread over the network: a raster for each input of ``run``, all of the same
    neurons, evenly spread over those that emit something."""
    populations = [p for p in graph.populations if p.name in run.spikes and not isinstance(p.neuron, Maximum)]
    found = []
    for at in spread(len(populations), _LAYERS):
        name = populations[at].name
        spikes = run.spikes[name].reshape(run.images, len(run.spikes[name][0]), -1)
        firing = np.flatnonzero((spikes != 0).any(axis=(0, 1)))
        among = firing if len(firing) else np.arange(spikes.shape[2])
        neurons = among[spread(len(among), _NEURONS)]
        ends = [spikes.shape[1]] * run.images if run.steps is None else [int(end) for end in run.steps]
        found.append(
            tuple(
                Raster(name, spikes.shape[2], tuple(map(int, neurons)), _rows(spikes[i, :end][:, neurons]))
                for i, end in enumerate(ends)
            )
        )
    return found


def _rows(emitted: npt.NDArray[Any]) -> tuple[str, ...]:
    """``emitted`` [steps, neurons]."""
    return tuple(" ".join(str(int(value)) for value in row) for row in emitted.T)
