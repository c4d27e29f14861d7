"""A deployment that runs on sequences, and what it was made of, on test sequences, when it is exported."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from spikec.conversion.from_nir.sequences import SequenceNetwork
from spikec.deployment.deploying import Deployment
from spikec.deployment.wanted import called, not_kept, wanted_measures
from spikec.errors import DataError
from spikec.evidence.loss import Progress, image_count
from spikec.evidence.measures.base import Float64
from spikec.evidence.quality import named_arrays
from spikec.evidence.sequence_quality import Run, equations, measure_sequences, sequence_count
from spikec.ir.measured import Measured
from spikec.ir.types import lifted
from spikec.models.data import Sequences, mean_frames, open_sequences, size_hint
from spikec.words import option

_WHERE = "the network is measured on the mean frame of each sequence, the spiking network on all its frames"


def measured_on_sequences(
    made: Deployment, most: int, progress: Progress, metric: Sequence[str] | None
) -> tuple[Measured | None, list[str]]:
    """What ``made`` is worth on at most ``most`` test sequences that have labels, fewer where it is large; and NIR's
    equations in float, or, where the network takes one frame in each step, the trained network on mean frames. With
    remarks; None, with one that says why, where the sequences do not fit. Raises ``DataError`` where a metric was asked
    for and cannot be measured."""
    assert made.configuration is not None  # measured() looked
    name, root = made.configuration.data, made.configuration.data_root
    try:
        test = open_sequences(name, root, "test")
        if not test.labelled:
            return None, [f"{option('metric', called(metric))}: {test.name} holds no y"] if metric else []
        if made.graph.input.shape not in (test.shape, lifted(test.shape)):
            sizes = ("x".join(map(str, shape)) for shape in (made.graph.input.shape, test.shape))
            raise DataError("training frames are of {}, test frames of {}{}".format(*sizes, size_hint(name)))
        wanted, remarks = wanted_measures(made, test.labels, test.name, metric)
        if not wanted:
            return None, remarks
        longest = made.graph.lasting(test.steps)
        if isinstance(made.network, SequenceNetwork):
            data = test.subset(slice(sequence_count(longest, most)))
            run = equations(made.network, data)
        else:
            data = test.subset(slice(image_count(longest, most)))
            run, remarks = _on_mean_frames(made, data), [*remarks, _WHERE]
        found = measure_sequences(run, made.graph, data, name, progress, wanted)
    except DataError as error:  # also frames beyond those that the training sequences hold
        if metric:
            raise
        return None, [f"accuracy is not measured: {error}"]
    return found, remarks + not_kept(found, wanted)


def _on_mean_frames(made: Deployment, data: Sequences) -> Run:
    model, means = made.model, mean_frames(data)
    assert model is not None  # what takes one frame in each step was trained

    def run(part: slice) -> dict[str, Float64]:
        with torch.no_grad():
            return named_arrays(model(means.images(part)))

    return run


__all__ = ["measured_on_sequences"]
