"""Measures one configuration: convert, lower, run the golden model, count, estimate."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from spikec.defaults import SPREAD_IMAGES
from spikec.deployment import Configuration, deploy
from spikec.deployment.deploying import trained_model
from spikec.energy import count
from spikec.errors import ConversionError, DataError, DoesNotFit, RangeError, UnsupportedOperation
from spikec.evidence.accuracy import Evaluation, golden_trace
from spikec.evidence.energy import estimate
from spikec.evidence.intervals import paired_difference, wilson
from spikec.frontend import only_output
from spikec.ir import IntegerGraph
from spikec.ir.outputs import lacks_classes
from spikec.ir.walks import latency_steps
from spikec.simulation import Trace
from spikec.sweeping.shape import DONE, FAILED, REFUSED
from spikec.sweeping.store import Result, failure, result
from spikec.training.targets import only_classes

if TYPE_CHECKING:
    from torch import nn

    from spikec.models.data import Dataset

#: The network, method and number format do not go together: a finding. Anything else is a failure.
_REFUSALS = (ConversionError, UnsupportedOperation, DoesNotFit, RangeError)
_BATCH = 256

Predictions = npt.NDArray[np.int64]


def measure(configuration: Configuration) -> Result:
    """The result of a configuration; an exception gives a result too, only the death of this process does not."""
    return guarded(configuration, lambda: _measured(configuration))


def guarded(configuration: Configuration, work: Callable[[], dict[str, Any]]) -> Result:
    """The result with what ``work`` measures; where it raises, a result that says so."""
    start = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        try:
            found = result(configuration, DONE, **work())
        except Exception as error:
            state = REFUSED if isinstance(error, _REFUSALS) else FAILED
            more = {"traceback": traceback.format_exc()} if state == FAILED else {}
            message = str(error) or type(error).__name__
            found = failure(configuration, message, state, type(error).__name__, **more)
    found["warnings"] = list(dict.fromkeys(str(each.message) for each in caught))
    found["seconds"] = round(time.monotonic() - start, 3)
    found["threads"] = torch.get_num_threads()
    return found


def _measured(run: Configuration) -> dict[str, Any]:
    trained = _Network(run)
    training = _dataset(run.data, run.data_root, "train")
    graph = deploy(run, model=_model(trained), training=training).graph
    _check_classes(graph)
    return figures(run, graph, _images(run), _predictions(trained, run.split, run.calibration, run.seed, run.limit))


def figures(run: Configuration, graph: IntegerGraph, images: Dataset, network: Predictions) -> dict[str, Any]:
    """What a result says of a deployment, measured on ``images``. ``network``: the classes that the trained network
    itself gives them."""
    only_classes("a sweep compares accuracy", run.data, images.labels)
    _check_classes(graph)
    classes = graph.readout.shape[0]
    if int(images.labels.max()) >= classes:
        raise DataError(f"{run.model} knows {classes} classes, {run.data} has label {images.labels.max()}")
    sample = golden_trace(images.subset(slice(SPREAD_IMAGES)), graph, counts=True) if run.energy else None
    trace = sample if sample is not None and len(images) <= SPREAD_IMAGES else golden_trace(images, graph)
    seen = Evaluation()
    seen.add(trace, images.labels)
    right, network_right = trace.predictions == images.labels, network == images.labels
    gained, lost = int((right & ~network_right).sum()), int((network_right & ~right).sum())
    ann = int(network_right.sum())
    return {
        "deployment_sha256": graph.deployment_sha256,
        "content_sha256": graph.content_sha256,
        "images": seen.images,
        "correct": seen.correct,
        "accuracy": seen.accuracy,
        "interval": list(seen.interval),
        "accuracy_by_timestep": seen.curve,
        "ann": {"correct": ann, "accuracy": ann / len(images), "interval": list(wilson(ann, len(images)))},
        "paired": {
            "agree": int((trace.predictions == network).sum()),
            "gained": gained,
            "lost": lost,
            "difference": (gained - lost) / seen.images,
            "interval": list(paired_difference(gained, lost, seen.images)),
        },
        "spikes_per_image": sum(seen.events.values()) / seen.images,
        "spikes_per_image_by_layer": {name: events / seen.images for name, events in seen.events.items()},
        "synops_per_image": count(graph, trace).synops / seen.images,
        "latency_steps": latency_steps(graph),
        "layers": len(graph.populations),
        "neurons": sum(population.theta.size for population in graph.populations),
        "weights": sum(synapse.weight_count for synapse in graph.synapses),
        "overflows": seen.overflowed,
        "energy": {} if sample is None else {name: _energy(graph, sample, name) for name in run.energy},
    }


def _check_classes(graph: IntegerGraph) -> None:
    lacking = lacks_classes(graph, "the accuracy that sweeps compare")
    if lacking:
        raise ConversionError(lacking)


def _energy(graph: IntegerGraph, sample: Trace, profile: str) -> dict[str, Any]:
    """Joule per image. ``lower_bound``: something is not priced. ``placed``: computed on the cores of a placement; else
    by capacity, because the network cannot be placed or the profile is no chip."""
    found = estimate(graph, sample, profile=profile)
    total = found.total
    return {
        "p5": total.p5,
        "p50": total.p50,
        "p95": total.p95,
        "lower_bound": found.lower_bound,
        "evidence": found.evidence,
        "images": sample.images,
        "placed": found.total_cores > 0 and not found.mapping_assumed,
        "cores": found.total_cores,
        "chips": found.chips,
    }


# A worker meets the same few networks and data sets again and again.


@lru_cache(maxsize=4)
def _dataset(name: str, root: str | None, split: str) -> Dataset:
    from spikec.models.data import open_dataset

    return open_dataset(name, root, split)


class _Network:
    """Key of the caches below: all that decides the trained network of a configuration, hashes of files included."""

    def __init__(self, run: Configuration) -> None:
        self.run = run
        weights = run.weights, run.weights_entry
        self._key = (run.model, *weights, run.data, run.data_root, run.max_pool, tuple(run.files.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Network) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=2)
def _model(network: _Network) -> nn.Module:
    run = network.run
    return trained_model(run, _dataset(run.data, run.data_root, "train"))


def _images(run: Configuration) -> Dataset:
    """The images that a configuration is measured on."""
    if run.split == "test":
        return _dataset(run.data, run.data_root, "test").subset(slice(run.limit))
    found = _dataset(run.data, run.data_root, "train").undrawn(run.calibration, run.seed)
    if found is None:
        raise DataError(
            f"{run.data}: all training images calibrate, so that none are held out; give a smaller calibration"
        )
    return found.subset(slice(run.limit))


@lru_cache(maxsize=8)
def _predictions(network: _Network, split: str, calibration: int, seed: int, limit: int | None) -> Predictions:
    run = replace(network.run, split=split, calibration=calibration, seed=seed, limit=limit)
    return predictions(_model(network), _images(run))


def predictions(model: nn.Module, images: Dataset) -> Predictions:
    """The class that the trained network gives each image, int64 [N]."""
    with torch.inference_mode():
        return np.concatenate([np.argmax(only_output(model(x)).numpy(), axis=1) for x, _ in images.batches(_BATCH)])
