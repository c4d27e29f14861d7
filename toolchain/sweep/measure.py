"""One configuration to its result: convert, lower, run the golden model, count, estimate."""

from __future__ import annotations

import time
import traceback
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from toolchain.cli.evaluate import Evaluation
from toolchain.energy import count, estimate
from toolchain.errors import ConversionError, DataError, DoesNotFit, RangeError, UnsupportedOperation
from toolchain.ir import IntegerGraph, as_integer
from toolchain.quantization import Int8
from toolchain.report.statistics import wilson
from toolchain.simulation import Trace, simulate
from toolchain.sweep.configuration import Configuration
from toolchain.sweep.store import DONE, FAILED, REFUSED, Result, failure, result

if TYPE_CHECKING:
    from torch import nn

    from models.data import Dataset

#: The network, method and number format do not go together: a finding. Anything else is a failure.
_REFUSALS = (ConversionError, UnsupportedOperation, DoesNotFit, RangeError)
#: Images whose counts are kept one by one, for the spread between images in the energy.
_SPREAD_IMAGES = 1000
_BATCH = 256


def measure(configuration: Configuration) -> Result:
    """The result of a configuration, whatever happens short of the death of this process."""
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
    import toolchain as tc
    from toolchain.conversion import methods

    trained_network = _Network(run.model, run.weights, run.data, run.data_root, run.max_pool, tuple(run.files.items()))
    model = _model(trained_network)
    training = _dataset(run.data, run.data_root, "train")
    test = _dataset(run.data, run.data_root, "test").subset(slice(run.limit))
    images = training.draw(run.calibration, run.seed).images()
    chosen: dict[str, Any] = {"schedule": run.schedule} if run.schedule else {}
    method = methods()[run.method](timesteps=run.timesteps, **chosen, **run.options)
    network = tc.convert(model, method, example=images[:1], calibration=images)
    graph = as_integer(tc.lower(network, _precision(run), format=run.format))
    classes = graph.readout.v_init.size
    if int(test.labels.max()) >= classes:
        raise DataError(f"{run.model} knows {classes} classes, {run.data} has label {test.labels.max()}")

    sample = _run(graph, test.subset(slice(_SPREAD_IMAGES)), each=True) if run.energy else None
    trace = sample if sample is not None and len(test) <= _SPREAD_IMAGES else _run(graph, test, each=False)
    seen = Evaluation()
    seen.add(trace, test.labels)
    ann = _ann_correct(trained_network, run.limit)
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


def _precision(run: Configuration) -> Int8:
    units: dict[str, list[float]] = {}
    if run.as_trained and run.weights:
        from models.loading import read_weights
        from toolchain.cli.precision import TRAINED

        units = read_weights(Path(run.weights))[1][TRAINED]["units"]
    chosen: dict[str, Any] = {"per": run.per, "bits": run.bits, "scale": run.scale, "overrides": run.override}
    return Int8(**chosen, units=units)


def _run(graph: IntegerGraph, data: Dataset, each: bool) -> Trace:
    return simulate(graph, (images for images, _ in data.batches(_BATCH)), counts=True if each else "totals")


def _energy(graph: IntegerGraph, sample: Trace, profile: str) -> dict[str, Any]:
    """Joule per image; ``lower_bound``: something is not priced; ``placed``: on the cores of a placement, by capacity
    where the network cannot be placed or the profile is no chip."""
    from targets.loihi import placed

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
    from models.data import open_dataset

    return open_dataset(name, root, split)


@dataclass(frozen=True)
class _Network:
    """What decides a trained network; ``files`` are the hashes of those it comes from."""

    name: str
    weights: str | None
    data: str
    root: str | None
    max_pool: str | None
    files: tuple[tuple[str, str], ...]


@lru_cache(maxsize=2)
def _model(network: _Network) -> nn.Module:
    from models import trained
    from toolchain.frontend import replace_max_pool

    weights = Path(network.weights) if network.weights else None
    model = trained(network.name, weights, _dataset(network.data, network.root, "train"))
    return replace_max_pool(model) if network.max_pool else model


@lru_cache(maxsize=8)
def _ann_correct(network: _Network, limit: int | None) -> int:
    """Test images the trained network itself gets right."""
    model = _model(network)
    test = _dataset(network.data, network.root, "test").subset(slice(limit))
    with torch.inference_mode():
        hits = [int((np.argmax(model(x).numpy(), axis=1) == y.numpy()).sum()) for x, y in test.batches(_BATCH)]
    return sum(hits)
