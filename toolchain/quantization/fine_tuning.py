"""Short fine-tuning with the integers in the loop, for weights of few bits.

Units and thresholds are chosen once, as lowering chooses them. Then every layer computes with its rounded weights and
biases, while the real ones behind them are trained. So the network that is lowered is the one that was trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikec import defaults
from spikec.analysis.formats import load_format
from spikec.calls import named_arguments
from spikec.conversion import QCFS, Method, SpikingNetwork, convert
from spikec.errors import ConversionError
from spikec.frontend import Convolution, Dense
from spikec.frontend.calls import calls_of
from spikec.quantization.choices import Choice, choose, source_gains
from spikec.quantization.currents import float64, wiring
from spikec.quantization.kernels import Float64
from spikec.quantization.maps import Term
from spikec.quantization.ones import ones_needed
from spikec.quantization.scales import Int8
from spikec.quantization.synapses import output_weights
from spikec.training import ClipFloorShift, FitConfig, FitResult, fit
from spikec.training.fake_quantised import QuantisedLayer
from spikec.training.images import Images
from spikec.words import either


@dataclass(frozen=True)
class FineTuned:
    """``precision`` lowers the network to exactly the integers it was trained with; ``fit`` describes the training."""

    precision: Int8
    fit: FitResult


@named_arguments
def finetune_quantised(
    model: nn.Module,
    train: Images,
    validation: Images,
    config: FitConfig,
    precision: Int8,
    *,
    example: Tensor,
    method: Method | None = None,
    format: str = defaults.FORMAT,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    log: str | Path | None = None,
    device: str = "cpu",
    identity: Mapping[str, Any] | None = None,
) -> FineTuned:
    """Train ``model`` in place with the integer weights of ``precision`` and leave it with them, in real units.

    ``model`` was trained with :class:`ClipFloorShift`. Its thresholds stay; its batch norms are folded and become
    neutral. ``example``: training images, float [N, C, H, W], on which units are chosen (``precision.scale`` "spikes"
    searches on them; never give test images). ``method``: the one to convert with afterwards (default QCFS with the
    model's levels as T). ``config``, ``checkpoint``, ``resume``, ``log``, ``device`` and ``identity`` are those of
    :func:`tc.fit`.

    Afterwards ``tc.lower(tc.convert(model, method, example=...), result.precision)`` gives exactly those integers.
    Raises ``ConversionError`` for a network whose synapses are more than one Conv2d or Linear each.

    >>> from spikec.training import FitConfig
    >>> tuned = tc.finetune_quantised(
    ...     model, train, validation, FitConfig(epochs=2), tc.Int8(bits=4), example=images)
    >>> graph = tc.lower(tc.convert(model, tc.QCFS(timesteps=4), example=images), tuned.precision)
    """
    levels = {m.levels for m in model.modules() if isinstance(m, ClipFloorShift)}
    if not levels or None in levels:
        first = either("tc.fit", "spikec train with --levels")
        raise ConversionError(f"fine-tuning in integers needs ClipFloorShift activations with levels: {first} first")
    if precision.units:
        raise ConversionError("the precision has trained units already; give bits, per and scale")
    chosen = method or QCFS.for_levels(max(level for level in levels if level is not None))
    model.eval()
    network = convert(model, chosen, example=example[:1], calibration=example)
    form = load_format(format)
    wires = wiring(network)
    if ones_needed(wires.currents):
        raise ConversionError("fine-tuning in integers cannot hold a bias before padding: fold the normalisation")
    choices = list(choose(network, wires, source_gains(network, wires), precision, form))
    with _in_integers(model, _layers(model, network, source_gains(network, wires), choices, example[:2]), example[:8]):
        result = fit(
            model,
            train,
            validation,
            config,
            checkpoint=checkpoint,
            resume=resume,
            log=log,
            device=device,
            identity=identity,
        )
    model.to(device)
    units = {choice.name: tuple(float(u) for u in choice.units.unit) for choice in choices}
    return FineTuned(replace(precision, units=units), result)


@dataclass(frozen=True)
class _Layer:
    """A layer of the model and its stand-in; ``norm``: name of the batch norm behind it that is folded, if any."""

    name: str
    stand_in: QuantisedLayer
    norm: str | None


def _layers(
    model: nn.Module, network: SpikingNetwork, gains: Mapping[str, Float64], choices: list[Choice], example: Tensor
) -> list[_Layer]:
    """A stand-in for every layer with weights, in network order. Raises :class:`ConversionError`."""
    norms = _norms(model, example)
    found: dict[str, _Layer] = {}
    for choice in choices:
        for branch, term in enumerate(choice.terms):
            given = choice.current.terms[branch]
            if given.kernel is None and given.dense is None:
                continue  # an identity skip has no weights to train
            layer, folded = _module(model, term.name), _module(network.graph, term.name)
            gain = _gain(term, folded, gains[term.source]) if isinstance(folded, Convolution | Dense) else None
            if not isinstance(layer, nn.Conv2d | nn.Linear) or gain is None or term.name in found:
                raise ConversionError(
                    f"{term.name or choice.name}: fine-tuning in integers needs every synapse to be one Conv2d or "
                    "Linear, called once, with an activation before the next"
                )
            unit, theta = choice.units.unit, choice.units.theta
            ratio = np.ones_like(unit)
            if theta is not None and choice.neuron is not None:
                ratio = np.broadcast_to(float64(choice.neuron.unit), unit.shape) / (theta * unit)
            numbers = {
                "gain": gain,
                "step": unit * 2.0 ** choice.units.exponents[branch],
                "unit": unit,
                "ratio": ratio,
            }
            stand_in = QuantisedLayer(
                layer,
                *(network.graph.get_buffer(f"{term.name}.{name}") for name in ("weight", "bias")),
                weight_max=choice.units.weight_max,
                **{name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in numbers.items()},
            )
            found[term.name] = _Layer(term.name, stand_in, norms.get(term.name))
            stand_in.bias.requires_grad_(layer.bias is not None or term.name in norms)
    for source, norm in norms.items():
        if source not in found:
            raise ConversionError(
                f"fine-tuning in integers needs every normalisation right behind the layer it belongs to: {norm} is "
                f"behind {source}; let it follow the Conv2d or Linear, and train again"
            )
    return list(found.values())


def _module(model: nn.Module, name: str) -> nn.Module | None:
    try:
        return model.get_submodule(name)
    except AttributeError:
        return None


def _norms(model: nn.Module, example: Tensor) -> dict[str, str]:
    """Names of batch norms by the name of what they read, a layer or a function, where nothing else reads that."""
    calls, _ = calls_of(model, example)  # in eval mode
    found: dict[str, str] = {}
    for number, call in enumerate(calls):
        if not isinstance(call.module, nn.BatchNorm2d | nn.BatchNorm1d):
            continue
        (given,) = call.inputs
        source = max((n for n in range(number) if calls[n].gives(given)), default=None)
        behind = calls if source is None else calls[source + 1 :]
        if sum(each.reads(given) for each in behind) == 1:
            found["input" if source is None else calls[source].name] = call.name
    return found


def _gain(term: Term, folded: Convolution | Dense, gain: Float64) -> Float64 | None:
    """The real value of one emission, of the shape of the weights; None where the synapse is not this layer alone."""
    divisor = 1 if term.pool is None else term.pool[0] * term.pool[1]
    per_channel = np.broadcast_to(gain, (term.shape[0],)) / divisor
    weight, lowered = float64(folded.weight), output_weights(term)
    if isinstance(folded, Dense):
        full = np.repeat(per_channel, weight.shape[1] // len(per_channel))[None]
    else:
        groups = per_channel.reshape(folded.groups, -1)  # [groups, I / groups]
        full = np.repeat(groups, weight.shape[0] // folded.groups, axis=0)[:, :, None, None]
    if lowered.shape != weight.shape or not np.allclose(lowered, weight * full, rtol=1e-5, atol=1e-12):
        return None
    return full


@contextmanager
def _in_integers(model: nn.Module, layers: list[_Layer], example: Tensor) -> Iterator[None]:
    """Inside the block, layers compute in integers and thresholds stay. After it, the model's own layers are back, and
    hold the result if the block ended without an error."""
    originals: dict[str, nn.Module] = {}
    thresholds = [m.threshold for m in model.modules() if isinstance(m, ClipFloorShift) and m.threshold.requires_grad]

    def put(name: str, module: nn.Module) -> None:
        parent, _, own = name.rpartition(".")
        originals.setdefault(name, model.get_submodule(name))
        setattr(model.get_submodule(parent), own, module)

    try:
        with torch.no_grad():
            expected = model(example)
        for layer in layers:
            put(layer.name, layer.stand_in)
            if layer.norm is not None:
                put(layer.norm, nn.Identity())
        _require_equal(model, layers, example, expected)
        for threshold in thresholds:
            threshold.requires_grad_(False)
        yield
    finally:
        for name, module in originals.items():
            put(name, module)
        for threshold in thresholds:
            threshold.requires_grad_(True)
        model.eval()
    for layer in layers:
        _write_back(layer, originals)


def _require_equal(model: nn.Module, layers: list[_Layer], example: Tensor, expected: Tensor) -> None:
    """Raise ``ConversionError`` unless the stand-ins, without rounding, compute what the model does and no batch norm
    is left: otherwise something else is folded into them."""
    model.eval()
    left = [name for name, m in model.named_modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    for layer in layers:
        layer.stand_in.rounding = False
    with torch.no_grad():
        found = model(example)
    for layer in layers:
        layer.stand_in.rounding = True
    if left or not torch.allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max())):
        where = f" ({', '.join(left)})" if left else ""
        raise ConversionError(
            f"fine-tuning in integers needs every normalisation right behind the layer it belongs to{where}"
        )


@torch.no_grad()
def _write_back(layer: _Layer, originals: dict[str, nn.Module]) -> None:
    """Copy the integers, in real units, into the model's layer. Its batch norm becomes neutral and carries the bias."""
    own: Any = originals[layer.name]
    weight, bias = layer.stand_in.quantised
    own.weight.copy_(weight)
    if layer.norm is not None:
        norm: Any = originals[layer.norm]
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
        if norm.affine:
            norm.weight.fill_(1)
        if own.bias is not None:
            own.bias.zero_()
        (norm.bias if norm.affine else norm.running_mean).copy_(bias if norm.affine else -bias)
    elif own.bias is not None:
        own.bias.copy_(bias)
