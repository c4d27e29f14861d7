"""Collects the numbers of the report from a graph and its execution."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spikec.analysis.ranges import Ranges
from spikec.analysis.widths import signed_bits
from spikec.energy.counts import Counts, SynapseCounts
from spikec.errors import DataError
from spikec.evidence.comparison import beside
from spikec.evidence.measures.choosing import Metric, Wanted, as_targets
from spikec.evidence.quality import Rating, Ratings, as_outputs, outputs_of, same_outputs
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.operations import Synapse
from spikec.ir.outputs import has_classes
from spikec.reporting.details import AtExport
from spikec.reporting.numbers import TIMES
from spikec.reporting.proportion import Proportion
from spikec.reporting.value import (
    Accuracy,
    CurvePoint,
    Network,
    OutputRow,
    PopulationRow,
    SynapseRow,
)
from spikec.simulation.trace import Trace

if TYPE_CHECKING:
    from spikec.training.images import Images

Classes = npt.NDArray[np.int64]


def class_labels(labels: npt.ArrayLike, images: int, classes: int) -> Classes:
    """Labels as int64 [N]; ``DataError`` where they do not match the images, or name no class of the network."""
    values = np.asarray(labels)
    if values.shape != (images,):
        raise DataError(f"{images} images but labels of shape {tuple(values.shape)}; give one class number per image")
    if values.dtype.kind == "O":  # columns of tables hold numbers as objects
        values = np.array(values.tolist())
    known = np.isin(values, np.arange(classes)) if values.dtype.kind in "biuf" else np.zeros(images, bool)
    if not known.all():
        wrong = values[~known][0]
        raise DataError(f"labels hold {wrong!s}; the classes of the network are the numbers 0 to {classes - 1}")
    return values.astype(np.int64)


def targets(
    labels: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    images: int,
    shapes: Mapping[str, tuple[int, ...]],
    metric: Metric,
) -> npt.NDArray[Any]:
    """Labels as measures take them. A number for each image, where the network puts out several and no measure is asked
    for, is a class; ``DataError`` where it names none. ``shapes``: of one output, by name."""
    if isinstance(labels, Mapping) or np.asarray(labels).dtype.names:
        return as_targets(labels, images)
    values = np.asarray(labels)
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    if metric is None and len(sizes) == 1 and values.ndim < 2 and (sizes[0] > 1 or values.dtype.kind != "f"):
        return class_labels(values, images, sizes[0])
    return as_targets(values, images)


def quality(
    graph: IntegerGraph,
    wanted: Sequence[Wanted],
    trace: Trace,
    longer: Trace,
    data: Images,
    ann_logits: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None,
    data_name: str,
) -> tuple[Rating, ...]:
    """All measures of ``trace``, with the values of ``longer`` after each step, and the trained network beside them:
    its outputs ``ann_logits`` of the same inputs, else what the file holds of it."""
    labels = data.targets(slice(0, len(data)))
    ratings = Ratings(graph, wanted, bands=True)
    ratings.add(trace, labels)
    found = ratings.found(data)
    if longer is not trace:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the same was said above
            curves = Ratings(graph, wanted, bands=True)
        curves.add(longer, labels)
        pairs = zip(found, curves.found(), strict=True)
        found = [replace(rating, by_step=curve.by_step, bands=curve.bands) for rating, curve in pairs]
    if ann_logits is None:
        return tuple(found)
    own, every = outputs_of(graph, trace), np.asarray(labels)
    named = ann_logits if isinstance(ann_logits, Mapping) else {next(iter(own)): ann_logits}
    given = same_outputs("ann_logits", as_outputs("ann_logits", named), own)
    return tuple(
        replace(rating, network=beside(one, data_name, one.of(given), one.of(own), one.target(every)))
        for rating, one in zip(found, wanted, strict=True)
    )


def accuracy(trace: Trace, labels: Classes, ann_logits: npt.ArrayLike | None, ann_stated: float | None) -> Accuracy:
    """Accuracy of ``trace``, and of the ANN. ``ann_logits`` [N, classes] of the same images allow a paired comparison;
    ``ann_stated`` is only copied."""
    correct = trace.predictions == labels
    snn = Proportion.of(int(correct.sum()), len(labels))
    if ann_stated is not None and not 0.0 <= ann_stated <= 1.0:
        raise DataError(f"the ANN's accuracy is {ann_stated}; give a fraction between 0 and 1")
    if ann_logits is None:
        return Accuracy(snn, ann_stated=ann_stated)
    logits = np.asarray(ann_logits)
    if logits.ndim != 2 or len(logits) != len(labels):
        raise DataError(
            f"ann_logits has shape {tuple(logits.shape)} for {len(labels)} images; "
            "give [images, classes] of the same images"
        )
    classes = np.argmax(logits, axis=1)
    ann_correct = classes == labels
    return Accuracy(
        snn,
        ann=Proportion.of(int(ann_correct.sum()), len(labels)),
        agreement=Proportion.of(int((classes == trace.predictions).sum()), len(labels)),
        only_snn=int((correct & ~ann_correct).sum()),
        only_ann=int((ann_correct & ~correct).sum()),
    )


def at_export(graph: IntegerGraph) -> AtExport | None:
    """The accuracy of the trained network that the file holds; None where it holds none."""
    measured = graph.measured
    if measured is None or not measured.correct:
        return None
    hits = measured.correct["network"]
    return AtExport(measured.data, Proportion.of(int(hits.sum()), len(hits)))


def curve(trace: Trace, labels: Classes) -> tuple[CurvePoint, ...]:
    """Accuracy after each step of ``trace``; empty where its schedule has no readout before the end."""
    if trace.output_curve is None:
        return ()
    correct = np.argmax(trace.output_curve, axis=2) == labels[:, None]
    return tuple(
        CurvePoint(step + 1, Proportion.of(int(count), len(labels))) for step, count in enumerate(correct.sum(axis=0))
    )


def network(graph: IntegerGraph, counts: Counts) -> Network:
    lows = [int(node.narrow_weight.min()) for node in graph.synapses]
    highs = [int(node.narrow_weight.max()) for node in graph.synapses]
    return Network(
        timesteps=graph.timesteps,
        schedule=graph.schedule,
        drain=graph.drain,
        extra_steps=graph.drain + graph.timing.rehearsal,
        input_shape=graph.input.shape,
        classes=graph.readout.shape[0] if has_classes(graph) else None,
        neurons=sum(int(np.prod(node.shape)) for node in graph.populations),
        weights=sum(c.weights for c in counts.synapses.values()),
        weights_nonzero=sum(c.weights_nonzero for c in counts.synapses.values()),
        weight_low=min(lows, default=0),
        weight_high=max(highs, default=0),
    )


def outputs(trace: Trace) -> tuple[OutputRow, ...]:
    """A row for every output."""
    rows = []
    for name, values in trace.outputs.items():
        real = trace.logits_of(name)
        rows.append(OutputRow(name, values.shape[1:], trace.scales[name], float(real.min()), float(real.max())))
    return tuple(rows)


def populations(graph: IntegerGraph, trace: Trace, counts: Counts, ranges: Ranges) -> tuple[PopulationRow, ...]:
    """A row for every population and every readout, in the order in which data pass through them."""
    return tuple(_population(node, trace, counts, ranges) for node in graph.layers)


def _population(node: Population | Readout, trace: Trace, counts: Counts, ranges: Ranges) -> PopulationRow:
    counted = counts.populations[node.name]
    fires = isinstance(node, Population)
    membrane = trace.membrane.get(node.name)
    bound = ranges.membranes.get(node.name)
    return PopulationRow(
        name=node.name,
        kind=counted.kind,
        shape=node.shape,
        neurons=counted.neurons,
        theta=_extremes(node.theta) if isinstance(node, Population) else None,
        v_init=_extremes(node.v_init),
        events=counted.spikes_out if fires else None,
        rate=counted.rate if fires else None,
        dead=counted.dead if fires else None,
        saturated=counted.saturated if fires else None,
        membrane=membrane,
        membrane_bits=signed_bits(*membrane) if membrane else None,
        bound=(bound.low, bound.high) if bound else None,
        bound_bits=bound.bits if bound else None,
        overflows=trace.overflows.get(node.name),
    )


def _extremes(values: npt.NDArray[np.int64]) -> tuple[int, int]:
    return int(values.min()), int(values.max())


def synapses(graph: IntegerGraph, counts: Counts) -> tuple[SynapseRow, ...]:
    return tuple(_synapse(node, counts.synapses[node.name], counts.images) for node in graph.synapses)


def _synapse(node: Synapse, counted: SynapseCounts, images: int) -> SynapseRow:
    return SynapseRow(
        name=node.name,
        kind=node.described(TIMES),
        weight_shape=tuple(int(size) for size in node.weight_shape),
        synapses=counted.dense_macs,
        weights=counted.weights,
        weights_nonzero=counted.weights_nonzero,
        events=counted.events,
        synops=counted.synops,
        synops_nonzero=counted.synops_nonzero,
        spikes_per_synapse=counted.synops / (counted.dense_macs * images) if counted.dense_macs else 0.0,
        from_input=counted.input_synops > 0,
    )
