"""Convert and lower: the one place where a trained network becomes a deployment."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import nir
import torch
from torch import Tensor, nn

from spikec import defaults
from spikec.conversion import Method, SpikingNetwork, convert
from spikec.conversion.calibration.choice import Calibration
from spikec.conversion.from_nir.sequences import SequenceNetwork, import_sequences
from spikec.conversion.sensitivity import Progress
from spikec.deployment.configuration import Configuration
from spikec.deployment.example_images import example_images
from spikec.deployment.filling import NO_BUDGET, method_of
from spikec.deployment.spike_budget import SpikeChoice, choose_spikes
from spikec.deployment.weights_file import SpikingTraining, weights_file
from spikec.errors import ConversionError, DataError, InputWarning
from spikec.ir import IntegerGraph, as_integer
from spikec.ir.outputs import has_classes
from spikec.models import trained
from spikec.models.data import Dataset, Sequences, mean_frames, open_dataset, open_sequences
from spikec.models.zoo import REGISTRY
from spikec.quantization import Int8, Precision, lower
from spikec.stages import stage
from spikec.training.targets import kind_of


@dataclass(frozen=True)
class Deployment:
    """A spiking network in integers and what it was made of.

    ``network``: in float. ``nir``: the content of a deployment file. ``precision`` of the weights; ``images`` that
    chose thresholds and units, float32 [N, *input shape], which are mean frames where the network takes one frame in
    each step; or, of a NIR file, sequences [N, steps, *input shape]; the trained ``model``, None for a plain NIR file;
    ``configuration``: None if it was made from these directly. ``remarks``: notes for whoever asked for it. ``spikes``:
    the choice for a spike budget.
    """

    network: SpikingNetwork | SequenceNetwork
    nir: nir.NIRGraph
    precision: Precision
    images: Tensor = field(repr=False)
    model: nn.Module | None = field(default=None, repr=False)
    configuration: Configuration | None = None
    remarks: tuple[str, ...] = ()
    spikes: SpikeChoice | None = None

    @cached_property
    def graph(self) -> IntegerGraph:
        """The integer graph."""
        return as_integer(self.nir)


def deploy(
    configuration: Configuration,
    *,
    model: nn.Module | None = None,
    training: Dataset | None = None,
    progress: Progress | None = None,
    classes: bool = True,
) -> Deployment:
    """The deployment of a configuration that :func:`spikec.deployment.fill` filled in.

    ``model`` and ``training``: the trained network and its training images, if the caller has them already.
    ``progress(done, total)`` is called while layers are measured for a spike budget. ``classes``: whole numbers as
    labels of sequences are classes, and those that are no output are refused. Raises ``DataError``,
    ``ConversionError``, ``UnsupportedOperation``, ``DoesNotFit``, ``RangeError``.
    """
    if configuration.sequences:
        return _sequence_deployment(configuration, classes)
    sequences = None
    if configuration.frames:
        sequences = open_sequences(configuration.data, configuration.data_root, "train")
        configuration = replace(configuration, timesteps=sequences.steps)
        training = mean_frames(sequences) if training is None else training
    if training is None:
        with stage("reading training images"):
            training = open_dataset(configuration.data, configuration.data_root, "train")
    if model is None and not configuration.plain:
        model = trained_model(configuration, training)
    remarks, made_up = _remarks_on_pools(configuration), False
    if model is None:
        images = training.draw(configuration.calibration, configuration.seed).images()
    else:
        images, said, made_up = example_images(configuration, model, training)
        remarks += said
    options: dict[str, Any] = {"format": configuration.format, "force": configuration.force}
    precision, choice = precision_of(configuration), None
    if model is None:
        network = _plain_network(configuration, images)
    elif configuration.spike_budget is not None:
        if sequences is not None:
            raise ConversionError(NO_BUDGET)
        method, budget = method_of(configuration), configuration.spike_budget
        options |= {"calibrate": configuration.calibrate, "progress": progress}
        choice = choose_spikes(model, method, images, budget, precision, **options)
        network = choice.network
    else:
        with stage("converting"):
            network = _convert(model, method_of(configuration), images, configuration.calibrate, made_up=made_up)
    if sequences is not None:
        options["frames"] = sequences.draw(configuration.calibration, configuration.seed).images()
        network.provenance.settings["data"] = configuration.data
    with stage("lowering to integers"):
        lowered = lower(network, precision, **options) if choice is None else choice.nir
    if sequences is not None and classes:
        _check_labels(configuration.model, lowered, sequences)
    return Deployment(
        network,
        lowered,
        precision,
        images,
        model,
        configuration,
        tuple(remarks + _remarks(configuration, network)),
        choice,
    )


def _sequence_deployment(configuration: Configuration, classes: bool) -> Deployment:
    """The deployment of a NIR file that runs on sequences, calibrated on some of the training sequences."""
    data = open_sequences(configuration.data, configuration.data_root, "train")
    frames = data.draw(configuration.calibration, configuration.seed).padded()
    about: Any = configuration
    with stage("importing"):
        network = import_sequences(
            configuration.model,
            example=frames,
            dt=configuration.dt,
            integration=about.integration or "euler",
            subtract=configuration.reset is not None,
            reading=about.reading or "last",
        )
    network.provenance.settings["data"] = configuration.data
    precision = precision_of(configuration)
    with stage("lowering to integers"):
        lowered = lower(network, precision, format=configuration.format, force=configuration.force)
    if classes:
        _check_labels(configuration.model, lowered, data)
    return Deployment(network, lowered, precision, torch.as_tensor(frames), configuration=configuration)


def _check_labels(model: str, lowered: nir.NIRGraph, data: Sequences) -> None:
    """Raise ``DataError`` for classes that are no output, as running the deployment would."""
    graph = as_integer(lowered)
    classes = kind_of(data.labels) == "classes" and has_classes(graph)
    if classes and int(data.labels.max()) >= graph.readout.shape[0]:
        raise DataError(f"{model} knows {graph.readout.shape[0]} classes, {data.name} has label {data.labels.max()}")


def deploy_network(
    model: nn.Module,
    method: Method,
    images: Tensor,
    precision: Precision | None = None,
    *,
    format: str = defaults.FORMAT,
    force: bool = False,
    calibrate: str | Calibration | None = None,
) -> Deployment:
    """The deployment of a trained network by ``method``, calibrated on ``images``: training images, float [N, ...].

    ``precision``: by default 8 bits with one scale per layer. ``calibrate``: as in :func:`spikec.convert`.
    """
    network = _convert(model, method, images, calibrate)
    precision = precision or Int8()
    return Deployment(network, lower(network, precision, format=format, force=force), precision, images, model)


def trained_model(configuration: Configuration, training: Dataset) -> nn.Module:
    """The trained network of a configuration, in eval mode, with the pooling it asks for."""
    from spikec.frontend import replace_max_pool

    weights = Path(configuration.weights) if configuration.weights else None
    try:
        model = trained(configuration.model, weights, training, configuration.weights_entry)
    except DataError as error:
        meant = REGISTRY[configuration.model].input_shape if configuration.model in REGISTRY else training.shape
        if not configuration.data_assumed or meant == training.shape:
            raise
        size = "x".join(map(str, meant))
        raise DataError(
            f"{error}; {configuration.model} is meant for images of {size}, and these are the 8 x 8 digits, the "
            "default; give --data"
        ) from error
    if configuration.max_pool != "average":
        return model
    fine_tuned = _pools_of(configuration) == "average"
    return replace_max_pool(model, fine_tuned=fine_tuned, example=training.images(slice(2)))


def _pools_of(configuration: Configuration) -> str | None:
    """What the weights were trained with in place of max pools, if they say so."""
    if configuration.weights is None or configuration.plain:
        return None
    return weights_file(configuration.weights).max_pool


def _remarks_on_pools(configuration: Configuration) -> list[str]:
    if configuration.max_pool is None and _pools_of(configuration) == "average":
        return ["the weights were trained with average pools in place of max pools; expect a lower accuracy here"]
    return []


def precision_of(configuration: Configuration) -> Int8:
    """The precision to lower with; if the weights were fine-tuned for it, with the units of that training."""
    chosen: dict[str, Any] = {
        "per": configuration.per,
        "bits": configuration.bits,
        "scale": configuration.scale,
        "rounding": configuration.rounding,
        "overrides": configuration.override,
    }
    if configuration.as_trained and configuration.weights:
        trained_with = weights_file(configuration.weights).precision
        if trained_with is None:
            raise DataError(f"{configuration.weights} no longer states the precision it was fine-tuned with")
        chosen["units"] = trained_with.units
    return Int8(**chosen)


def _convert(
    model: nn.Module,
    method: Method,
    images: Tensor,
    calibrate: str | Calibration | None,
    *,
    made_up: bool = False,
) -> SpikingNetwork:
    """``made_up``: the images are random, so that others need not be like them."""
    with warnings.catch_warnings() if made_up else nullcontext():
        if made_up:
            warnings.simplefilter("ignore", InputWarning)
        network = convert(model, method, example=images[:1], calibration=images, calibrate=calibrate)
    if made_up:
        network.calibrated = None
    return network


def _plain_network(configuration: Configuration, images: Tensor) -> SpikingNetwork:
    from spikec.conversion.from_nir.importing import import_nir

    about: Any = configuration
    return import_nir(
        about.model, reset=about.reset, v_init=about.v_init, timesteps=about.timesteps, example=images, dt=about.dt
    )


def _remarks(configuration: Configuration, network: SpikingNetwork) -> list[str]:
    """A remark if ``network`` differs from the spiking network that its weights were trained through."""
    if configuration.weights is None or configuration.plain:
        return []
    through = weights_file(configuration.weights).through_spikes
    if through is None or _is(network, through):
        return []
    return [
        f"the weights were trained through T = {through.timesteps} pipelined steps of {through.neuron} neurons without "
        "offsets; expect a lower accuracy here"
    ]


def _is(network: SpikingNetwork, trained: SpikingTraining) -> bool:
    neurons = network.neurons.values()
    here = network.schedule, network.timesteps, *{neuron.spec.kind.name for neuron in neurons}
    given = any(neuron.offset.any() or neuron.spec.kind.given_fields() for neuron in neurons)
    return here == ("pipelined", trained.timesteps, trained.neuron) and not given
