"""``spikec train --weight-bits`` and ``--through-spikes``: fine-tuning with integers, or spikes, in the loop."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.cli.parser import UsageError
from toolchain.cli.precision import TRAINED, chosen_precision

if TYPE_CHECKING:
    from torch import nn

    from models.data import Dataset
    from models.recipes import Recipe
    from toolchain.training import FitResult
    from toolchain.training.spiking import SpikingNeuron

#: Images that the units are chosen on, as many as ``spikec export`` takes.
_IMAGES = 256
_EPOCHS, _RATE = 5, 0.1
_SPIKING_EPOCHS, _SPIKING_RATE = 2, 2e-4
#: Neurons that training goes through, by the conversion method that puts them there.
_NEURONS: dict[str | None, SpikingNeuron] = {None: "if", "qcfs": "if", "error-compensation": "signed_if"}


def start(option: str, args: argparse.Namespace, recipe: Recipe) -> Path:
    """The weights that ``option`` starts from: those given, or the shipped ones."""
    from models.weights import index, weights_path

    if recipe.method == "relu":
        raise UsageError(f"{option} needs thresholds, which networks trained by the method relu have not")
    if option == "--weight-bits" and not recipe.levels:
        raise UsageError("--weight-bits fine-tunes levels, and --levels 0 has none: train them first with --levels 4")
    if args.weights is None and args.model not in index():
        raise UsageError(f"{option} fine-tunes: give the trained weights with --weights")
    path: Path = args.weights or weights_path(args.model)
    return path


def shorter(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    """The recipe for fine-tuning: few epochs at a tenth of the rate, without weight decay."""
    fit = replace(recipe.fit, epochs=args.epochs or _EPOCHS, lr=_RATE * recipe.fit.lr, weight_decay=0.0)
    return replace(recipe, fit=fit)


def spiking(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    """The recipe for fine-tuning through ``args.through_spikes`` steps: AdamW at a small rate, no weight decay."""
    if args.method not in _NEURONS:
        raise UsageError("--through-spikes trains the neurons of --method qcfs or error-compensation")
    fit = replace(
        recipe.fit,
        epochs=args.epochs or _SPIKING_EPOCHS,
        optimizer="adamw",
        lr=_SPIKING_RATE,
        weight_decay=0.0,
        compile=False,
        timesteps=args.through_spikes,
        neuron=_NEURONS[args.method],
        through_spikes=True,
    )
    return replace(recipe, method="qcfs", fit=fit)


def fine_tune(
    args: argparse.Namespace, recipe: Recipe, model: nn.Module, train: Dataset, validation: Dataset, **files: Any
) -> tuple[FitResult, dict[str, Any]]:
    """Train ``model`` in place; the second value belongs into the header of its weights."""
    from toolchain.conversion import methods
    from toolchain.quantization import finetune_quantised

    name = args.method or recipe.method
    kind: Any = methods()[name]
    levels = recipe.levels
    method = kind() if name == "graded" else kind(timesteps=levels.bit_length() if name == "error-free" else levels)
    result = finetune_quantised(
        model,
        train,
        validation,
        recipe.fit,
        chosen_precision(args, "spikes"),
        example=train.images(slice(_IMAGES)),
        method=method,
        format=args.format,
        device=args.device,
        **files,
    )
    trained = {**asdict(result.precision), "method": name, "format": args.format}
    return result.fit, {TRAINED: trained}
