"""``spikec train --weight-bits`` and ``--through-spikes``: fine-tuning with integers, or spikes, in the loop."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikec import defaults
from spikec.cli.parser import UsageError
from spikec.cli.precision import chosen_precision

if TYPE_CHECKING:
    from torch import nn

    from spikec.models.data import Dataset
    from spikec.models.recipes import Recipe
    from spikec.training import FitResult

_EPOCHS, _RATE = 5, 0.1
_SPIKING_EPOCHS, _SPIKING_RATE = 2, 2e-4


def start(option: str, args: argparse.Namespace, recipe: Recipe) -> Path:
    """The weights that ``option`` starts from: those given, or the shipped ones."""
    from spikec.models.weights import index, weights_path

    if recipe.method == "relu":
        raise UsageError(f"{option} needs thresholds; networks trained with --method relu have none")
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
    from spikec.conversion import methods

    kinds = {name: method.trains_spikes for name, method in methods().items()}
    kind = kinds.get(args.method or defaults.METHOD)
    if kind is None:
        able = sorted((name for name in kinds if kinds[name] is not None), key=lambda name: name != defaults.METHOD)
        raise UsageError(f"--through-spikes trains the neurons of --method {' or '.join(able)}")
    fit = replace(
        recipe.fit,
        epochs=args.epochs or _SPIKING_EPOCHS,
        optimizer="adamw",
        lr=_SPIKING_RATE,
        weight_decay=0.0,
        compile=False,
        timesteps=args.through_spikes,
        neuron=kind.name,
        through_spikes=True,
    )
    return replace(recipe, method="qcfs", fit=fit)


def fine_tune(
    args: argparse.Namespace, recipe: Recipe, model: nn.Module, train: Dataset, validation: Dataset, **files: Any
) -> tuple[FitResult, dict[str, Any]]:
    """Train ``model`` in place; the second value goes into the header of its weights file."""
    from spikec.conversion import methods
    from spikec.deployment.weights_file import trained_precision
    from spikec.quantization import finetune_quantised

    name = args.method or recipe.method
    result = finetune_quantised(
        model,
        train,
        validation,
        recipe.fit,
        chosen_precision(args, "spikes"),
        example=train.images(slice(defaults.CALIBRATION_IMAGES)),
        method=methods()[name].for_levels(recipe.levels),
        format=args.format,
        device=args.device,
        **files,
    )
    return result.fit, trained_precision(result.precision, name, args.format)
