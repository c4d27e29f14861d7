"""Conversion: takes a trained network and a method, returns a float spiking network."""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from spikec.calls import named_arguments, outside
from spikec.conversion.calibration.choice import Calibration, calibration_of
from spikec.conversion.calibration.layers import calibrate_layers
from spikec.conversion.input_scale import choose_range
from spikec.conversion.methods.base import Method, neuron_of
from spikec.conversion.network import Provenance, SpikingNetwork
from spikec.conversion.neurons import Neuron
from spikec.conversion.normalisation import normalisation_warning
from spikec.conversion.offsets.static import activation_means, match_means
from spikec.conversion.offsets.tuned import LARGEST_SET, class_scores, tune_offsets
from spikec.conversion.thresholds import calibrate as calibrated_thresholds
from spikec.defaults import CALIBRATION_IMAGES_MAX
from spikec.errors import ConversionError, DataError, InputWarning
from spikec.frontend import (
    AveragePool,
    ChannelAffine,
    Convolution,
    Dense,
    LinearMap,
    MaxPool,
    Rectifier,
    canonicalize,
    dropped,
    dropped_by_output,
    has_classes,
    is_activation,
    measure_lifts,
    module_of,
    output_nodes,
)
from spikec.frontend.running import require_module
from spikec.ir.outputs import left_out_key
from spikec.training import without_quantisation
from spikec.words import either

_KEPT_EXAMPLES = 64


@named_arguments
@torch.inference_mode(False)  # tensors of inference mode can be neither traced nor tuned
def convert(
    ann: nn.Module,
    method: Method,
    *,
    example: Any,
    calibration: Any = None,
    calibrate: str | Calibration | None = None,
) -> SpikingNetwork:
    """Convert a trained network to a spiking network in float.

    ``ann`` is left as it is. ``method``: such as ``tc.QCFS(timesteps=4)``. ``example``: images as the network takes
    them, float [N, C, H, W], tensor or array; fixes shapes and, together with ``calibration``, the input range.
    ``calibration``: training images, which set the thresholds of plain ReLU networks and the initial membranes of
    static and tuned offsets (default: ``example``, with a warning). The first 1,000 are used, the first 10,000 to tune.
    Networks trained with ``tc.ClipFloorShift`` need none if the method has no such offsets. ``calibrate``: what is
    calibrated on these images beside thresholds, without labels: "thresholds" (default: nothing), "light", "full", or a
    :class:`spikec.Calibration`.

    Raises ``UnsupportedOperation`` (all obstacles at once), ``ConversionError``, ``DataError``.

    >>> tc.convert(model, tc.QCFS(timesteps=4), example=images)
    <SpikingNetwork: qcfs, T 4, pipelined; 2 layers of neurons, input 1 x 4 x 4, outputs output>
    """
    if not isinstance(method, Method):
        raise ConversionError(f"expected a method such as tc.QCFS(timesteps=4), got {method!r}")
    choice = calibration_of(calibrate)
    images = as_images(example, "example")
    training = images if calibration is None else as_images(calibration, "calibration")
    if training.shape[1:] != images.shape[1:]:
        raise DataError(
            f"calibration has images of shape {tuple(training.shape[1:])}, example {tuple(images.shape[1:])}"
        )
    seen = images if calibration is None else torch.cat([images, training[:CALIBRATION_IMAGES_MAX]])
    chosen = choose_range(seen, examples=len(images))
    for sentence in chosen.remarks:
        warnings.warn(sentence, InputWarning, stacklevel=outside())
    if chosen.cut:  # what the network will be given
        images, training, seen = (chosen.held(each) for each in (images, training, seen))
    require_module(ann)
    trained, unrounded = without_quantisation(ann)
    for note in unrounded:
        warnings.warn(note, stacklevel=outside())
    graph = canonicalize(trained, images[:2])
    check_structure(graph)
    measure_lifts(graph, training[:CALIBRATION_IMAGES_MAX])
    unlike = normalisation_warning(ann, training[:CALIBRATION_IMAGES_MAX])
    if unlike is not None:
        warnings.warn(unlike, InputWarning, stacklevel=outside())
    left_out = dropped(graph)
    if left_out:
        warnings.warn(
            f"left out at the end of the network: {', '.join(left_out)}; it changes no order over the classes, and the "
            "spiking network gives logits",
            stacklevel=outside(),
        )
    offsets = method.calibrated_offsets()
    data, tuning = training[:CALIBRATION_IMAGES_MAX], training[:LARGEST_SET]
    if calibration is None:
        _warn_of_examples(graph, bool(offsets) or choice.layer_after_layer, len(tuning if offsets == "tuned" else data))
    levels = {name: getattr(module, "levels", None) for name, module in activations(graph).items()}
    names = layer_names(graph)
    method.check_layers(names)
    by_layer = {name: method.at(names[name]) for name in levels}
    thresholds = _thresholds(graph, by_layer, levels, data, choice)
    beside = choice.layer_after_layer
    means = activation_means(graph, list(levels), data) if offsets and not beside else {}
    scores = class_scores(graph, tuning, "tuned offsets") if offsets == "tuned" else None
    exact = copy.deepcopy(graph) if beside else None
    for name in levels:
        spec = neuron_of(by_layer[name], levels[name])
        neuron = Neuron(spec, thresholds[name], method.timesteps, method.schedule, method.drain_steps())
        _replace(graph, name, neuron.to(thresholds[name].device))
    network = SpikingNetwork(
        graph,
        timesteps=method.timesteps,
        schedule=method.schedule,
        drain=method.drain_steps(),
        input_range=chosen.coding,
        calibrated=chosen.statistics,
        example=seen[-_KEPT_EXAMPLES:],
        provenance=Provenance(
            method.name, state_sha256(ann.state_dict()), method.settings() | _left_out(graph) | _said(choice)
        ),
    )
    if exact is not None:
        calibrate_layers(network, exact, data, replace(choice, shifts="neuron") if offsets else choice)
    if means:
        match_means(network, data, means)
    if scores is not None:
        tune_offsets(network, tuning, scores)
    return network.eval()


def _left_out(graph: fx.GraphModule) -> dict[str, str]:
    """What was dropped, for the file: names only, since places differ between machines."""
    several = len(output_nodes(graph)) > 1
    return {
        left_out_key(output if several else None): ", ".join(each.split()[0] for each in said)
        for output, said in dropped_by_output(graph).items()
    }


def _said(choice: Calibration) -> dict[str, str]:
    """What files and reports say of a calibration; nothing of the default, which older files do not name."""
    return {} if choice == Calibration() else {"calibrate": str(choice)}


def as_images(value: Any, name: str) -> Tensor:
    """Float images [N, ...] from a tensor or array; raises :class:`DataError` with what is wrong."""
    try:
        images = value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be an array or tensor of images [N, C, H, W]") from error
    if images.layout != torch.strided or images.is_meta:
        kind = "meta" if images.is_meta else str(images.layout).removeprefix("torch.").replace("_", " ")
        raise DataError(f"{name} is a {kind} tensor; give a dense one that holds its values")
    if images.ndim < 2 or not images.numel():
        raise DataError(f"{name} must hold images [N, C, H, W], its shape is {tuple(images.shape)}")
    if not images.dtype.is_floating_point:
        raise DataError(
            f"{name} has dtype {images.dtype}; give images as floats in the units the network was trained with "
            "(pixels are usually divided by 255)"
        )
    images = images.detach().to(torch.float32)
    finite = torch.isfinite(images)
    if not bool(finite.all()):
        number, *place = index = tuple((~finite).nonzero()[0].tolist())
        raise DataError(
            f"{name} holds values that are not finite: {float(images[index])} at {place} of image {number}; leave such "
            "images out or mend them"
        )
    return images


def activations(graph: fx.GraphModule) -> dict[str, nn.Module]:
    """Activation modules of a traced graph by name, in network order."""
    found = {}
    for node in graph.graph.nodes:
        if node.op == "call_module":
            module = graph.get_submodule(str(node.target))
            if is_activation(module):
                found[str(node.target)] = module
    return found


def layer_names(graph: fx.GraphModule) -> dict[str, tuple[str, ...]]:
    """For every activation: the layers whose weights lead into it, in network order, then the activation itself."""
    order = {node: place for place, node in enumerate(graph.graph.nodes)}
    found = {}
    for name in activations(graph):
        node = next(each for each in order if each.target == name)
        behind, waiting = set(), list(node.all_input_nodes)
        while waiting:
            source = waiting.pop()
            module = module_of(graph, source)
            if source in behind or source.op == "placeholder" or (module is not None and is_activation(module)):
                continue
            behind.add(source)
            waiting += source.all_input_nodes
        weighted = [each for each in behind if isinstance(module_of(graph, each), Convolution | Dense | LinearMap)]
        found[name] = (*(str(each.target) for each in sorted(weighted, key=order.__getitem__)), name)
    return found


def check_structure(graph: fx.GraphModule) -> None:
    """Raise :class:`ConversionError` unless linear operations lead into every activation and into the scores of
    classes; other outputs may be what an activation gives."""
    if not activations(graph):
        raise ConversionError("the network has no activation, so there is nothing that could spike; add ReLU layers")
    for node in graph.graph.nodes:
        if is_activation(module_of(graph, node)) and not _passes_linear(graph, node.args[0]):
            raise ConversionError(
                f"{node.meta['where']}: an activation has no linear operation before it; "
                "put a Conv2d or Linear layer there"
            )
    if has_classes(graph):
        (last,) = output_nodes(graph).values()
        if is_activation(module_of(graph, last)):
            raise ConversionError(
                f"{last.meta['where']}: the network ends in an activation; end it in a linear layer (the readout)"
            )


def _passes_linear(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether an operation with weights lies between ``node`` and the activations or input before it."""
    if node.op == "placeholder":
        return False
    if node.op == "call_module":
        module = graph.get_submodule(str(node.target))
        if isinstance(module, Convolution | Dense | AveragePool | ChannelAffine | LinearMap):
            return True
        if isinstance(module, MaxPool):  # identity synapses carry what it sends; an image has none
            return bool(node.all_input_nodes[0].op != "placeholder")
        if is_activation(module):
            return False
    elif len(node.all_input_nodes) > 1:
        return True  # a sum or concatenation: identity synapses carry each branch
    return all(_passes_linear(graph, source) for source in node.all_input_nodes)


def _warn_of_examples(graph: fx.GraphModule, offsets: bool, images: int) -> None:
    rectified = sum(isinstance(module, Rectifier) for module in activations(graph).values())
    what = [f"thresholds of {rectified} ReLU layers"] if rectified else []
    what += ["initial membranes"] if offsets else []
    if what:
        warnings.warn(
            f"{' and '.join(what)} come from the {images} example images; "
            + either("pass calibration=images from the training set", "give the training set with --data"),
            stacklevel=outside(),
        )


def _thresholds(
    graph: fx.GraphModule,
    methods: Mapping[str, Method],
    levels: Mapping[str, int | None],
    images: Tensor,
    choice: Calibration,
) -> dict[str, Tensor]:
    """Threshold of every activation, float32 [] or [C]: the trained one; for a ReLU, calibrated on ``images``."""
    found = activations(graph)
    rectified = [name for name, module in found.items() if isinstance(module, Rectifier)]
    measured = calibrated_thresholds(
        graph, images, {name: methods[name].resolution(levels[name]) for name in rectified}, choice
    )
    thresholds = {}
    for name, module in found.items():
        value = torch.from_numpy(measured[name]) if name in measured else module.threshold
        value = torch.as_tensor(value).detach().to(torch.float32)
        channels = next(n.meta["shape"][0] for n in graph.graph.nodes if n.target == name)
        if value.numel() not in (1, channels):
            raise ConversionError(
                f"layer {name} has {value.numel()} thresholds for {channels} channels; give it one, or one per channel"
            )
        value = value.reshape(()) if value.numel() == 1 else value.reshape(-1)
        if not bool(torch.isfinite(value).all()) or not bool((value > 0).all()):
            raise ConversionError(f"layer {name} has threshold {value.min().item():g}; thresholds must be positive")
        thresholds[name] = value
    return thresholds


def _replace(graph: fx.GraphModule, name: str, module: nn.Module) -> None:
    *path, last = name.split(".")
    owner: nn.Module = graph.get_submodule(".".join(path)) if path else graph
    setattr(owner, last, module)


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """Hash of a state dict: names, dtypes, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name}:{value.dtype}:{tuple(value.shape)};".encode())
        bits = value.view(torch.int16) if value.dtype == torch.bfloat16 else value  # which numpy does not know
        digest.update(bits.numpy().tobytes())
    return digest.hexdigest()
