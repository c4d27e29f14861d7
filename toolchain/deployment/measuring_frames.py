"""What a network that takes one frame in each step gets right of test sequences, measured when it is exported."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from spikec.deployment.configuration import Configuration
from spikec.errors import DataError
from spikec.evidence.accuracy import golden_trace, parts, taken
from spikec.evidence.loss import Progress, image_count
from spikec.ir import IntegerGraph
from spikec.ir.measured import Measured, digests
from spikec.models.data import Sequences, mean_frames, open_sequences, size_hint

_BATCH = 64
_WHERE = "accuracy of the network is that on the mean frame of each sequence, of the spiking network that on all frames"


def measured_on_frames(
    model: nn.Module, graph: IntegerGraph, configuration: Configuration, most: int, progress: Progress
) -> tuple[Measured | None, list[str]]:
    """What ``graph`` gets right of at most ``most`` test sequences, and the trained ``model`` of their mean frames;
    fewer where the network is large. And remarks; None, with one that says why, where the sequences do not fit."""
    try:
        test = open_sequences(configuration.data, configuration.data_root, "test")
        data = test.subset(slice(image_count(graph.lasting(test.steps), most)))
        return _measure(model, graph, data, configuration.data, progress), [_WHERE]
    except DataError as error:  # also frames beyond those that the training sequences hold
        return None, [f"accuracy is not measured: {error}"]


def _measure(model: nn.Module, graph: IntegerGraph, data: Sequences, name: str, progress: Progress) -> Measured:
    classes = graph.readout.v_init.size
    if data.shape != graph.input.shape:
        sizes = ("x".join(map(str, shape)) for shape in (graph.input.shape, data.shape))
        raise DataError("training frames are of {}, test frames of {}{}".format(*sizes, size_hint(name)))
    if classes < 2:
        raise DataError("the network has one output, where accuracy needs one for each class")
    if int(data.labels.max()) >= classes:
        raise DataError(f"{data.name} has label {data.labels.max()}, the network {classes} classes")
    means, found = mean_frames(data), []
    for part in parts(len(data), _BATCH):
        with torch.no_grad():
            found.append(model(means.images(part)).argmax(dim=1).cpu().numpy())
        progress("network", part.stop, len(data))
    trace = golden_trace(data, graph, counts=False, progress=lambda done: progress("spiking", done, len(data)))
    correct = {"network": np.concatenate(found) == data.labels, "spiking": trace.predictions == data.labels}
    images = tuple(digests(taken(data, slice(0, len(data))), data.labels))
    return Measured(name, images, correct, graph.content_sha256, graph.timesteps)
