"""Measures one configuration: convert, lower, run the golden model, count, estimate."""

from __future__ import annotations

import time
import traceback
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from spikec.defaults import SPREAD_IMAGES
from spikec.deployment import Configuration, deploy
from spikec.deployment.deploying import trained_model
from spikec.energy import count, estimate
from spikec.errors import ConversionError, DataError, DoesNotFit, RangeError, UnsupportedOperation
from spikec.evidence.accuracy import Evaluation, golden_trace
from spikec.evidence.intervals import wilson
from spikec.ir import IntegerGraph
from spikec.simulation import Trace
from spikec.sweeping.store import DONE, FAILED, REFUSED, Result, failure, result

if TYPE_CHECKING:
    from torch import nn

    from spikec.models.data import Dataset

#: The network, method and number format do not go together: a finding. Anything else is a failure.
_REFUSALS = (ConversionError, UnsupportedOperation, DoesNotFit, RangeError)
_BATCH = 256


def measure(configuration: Configuration) -> Result:
    """The result of a configuration; an exception gives a result too, only the death of this process does not."""
    start = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        try:
            found = result(configuration, DONE, **_measured(configuration))
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
    test = _dataset(run.data, run.data_root, "test").subset(slice(run.limit))
    graph = deploy(run, model=_model(trained), training=_dataset(run.data, run.data_root, "train")).graph
    classes = graph.readout.v_init.size
    if int(test.labels.max()) >= classes:
        raise DataError(f"{run.model} knows {classes} classes, {run.data} has label {test.labels.max()}")

    sample = golden_trace(test.subset(slice(SPREAD_IMAGES)), graph, counts=True) if run.energy else None
    trace = sample if sample is not None and len(test) <= SPREAD_IMAGES else golden_trace(test, graph)
    seen = Evaluation()
    seen.add(trace, test.labels)
    ann = _ann_correct(trained, run.limit)
    return {
        "content_sha256": graph.content_sha256,
        "images": seen.images,
        "correct": seen.correct,
        "accuracy": seen.accuracy,
        "interval": list(seen.interval),
        "accuracy_by_timestep": seen.curve,
        "ann": {"correct": ann, "accuracy": ann / len(test), "interval": list(wilson(ann, len(test)))},
        "spikes_per_image": sum(seen.events.values()) / seen.images,
        "spikes_per_image_by_layer": {name: events / seen.images for name, events in seen.events.items()},
        "synops_per_image": count(graph, trace).synops / seen.images,
        "layers": len(graph.populations),
        "neurons": sum(population.theta.size for population in graph.populations),
        "weights": sum(synapse.weight.size for synapse in graph.synapses),
        "overflows": seen.overflowed,
        "energy": {} if sample is None else {name: _energy(graph, sample, name) for name in run.energy},
    }


def _energy(graph: IntegerGraph, sample: Trace, profile: str) -> dict[str, Any]:
    """Joule per image. ``lower_bound``: something is not priced. ``placed``: computed on the cores of a placement; else
    by capacity, because the network cannot be placed or the profile is no chip."""
    from spikec.targets.chips import placed

    placement = placed(graph, profile)
    found = estimate(graph, sample, profile=profile, placement=placement)
    total = found.total
    return {
        "p5": total.p5,
        "p50": total.p50,
        "p95": total.p95,
        "lower_bound": found.lower_bound,
        "evidence": found.evidence,
        "images": sample.images,
        "placed": placement is not None,
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
        self._key = (run.model, run.weights, run.data, run.data_root, run.max_pool, tuple(run.files.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Network) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=2)
def _model(network: _Network) -> nn.Module:
    run = network.run
    return trained_model(run, _dataset(run.data, run.data_root, "train"))


@lru_cache(maxsize=8)
def _ann_correct(network: _Network, limit: int | None) -> int:
    """Number of test images that the trained network itself classifies correctly."""
    model = _model(network)
    test = _dataset(network.run.data, network.run.data_root, "test").subset(slice(limit))
    with torch.inference_mode():
        hits = [int((np.argmax(model(x).numpy(), axis=1) == y.numpy()).sum()) for x, y in test.batches(_BATCH)]
    return sum(hits)
