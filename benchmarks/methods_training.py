"""The networks that benchmarks/methods.py evaluates: trained once, resumable, kept in a folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from spikec.models import load_weights, prepare, resolve, save_weights
from spikec.models.data import Dataset, open_dataset
from spikec.models.recipes import Recipe, default_recipe
from spikec.models.weights import weights_path
from spikec.training import evaluate, fit

BASE = "base"


@dataclass(frozen=True)
class Plan:
    """One network of ``methods.toml``: how it is trained, and where its data are."""

    name: str
    seeds: tuple[int, ...]
    base: dict[str, Any]
    fine_tune: dict[str, Any]
    trainings: dict[str, dict[str, Any]]
    data: str
    root: Path | None
    shipped: int | None  # the seed whose base network is the shipped one
    relu: Path | None  # ReLU weights the base network is fine-tuned from

    def split(self, split: str) -> Dataset:
        """``train`` or ``test``."""
        return open_dataset(self.data, self.root, split)

    def recipe(self, training: str, seed: int) -> Recipe:
        """The recipe of one training of one seed."""
        recipe = default_recipe(self.name)
        changes = self.base if training == BASE else self.fine_tune
        recipe = replace(recipe, data=self.data, fit=replace(recipe.fit, seed=seed, **changes))
        if training == BASE:
            return recipe
        own = dict(self.trainings[training])
        return replace(recipe, fit=replace(recipe.fit, **own.pop("fit", {})), **own)


def trained(plan: Plan, training: str, seed: int, folder: Path) -> nn.Module:
    """The network with the weights of one training, in eval mode; trained now where they are not there yet."""
    data = plan.split("test")
    activation = plan.recipe(training, seed).activation
    model = resolve(plan.name, num_classes=len(data.classes), in_channels=data.shape[0], activation=activation)
    load_weights(model, weights(plan, training, seed, folder))
    return model


def weights(plan: Plan, training: str, seed: int, folder: Path) -> Path:
    """The file of one training, that of the shipped network for its seed; an interrupted training resumes."""
    path = folder / f"{plan.name}.{training}.seed{seed}.safetensors"
    if training == BASE and seed == plan.shipped:
        return weights_path(plan.name)
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    start = plan.relu if training == BASE else weights(plan, BASE, seed, folder)
    recipe = plan.recipe(training, seed)
    train, validation = plan.split("train").split(recipe.validation, recipe.fit.seed)
    print(f"training {path.name}: {recipe.fit.epochs} epochs, {len(train)} images", flush=True)
    model, _ = prepare(plan.name, recipe, train, start)
    checkpoint = path.with_suffix(".checkpoint")
    hooks = recipe.hooks(model, validation)
    result = fit(model, train, validation, recipe.fit, checkpoint=checkpoint, resume=True, **hooks)
    steps = recipe.fit.spiking_steps
    _, accuracy = evaluate(model, plan.split("test"), timesteps=steps, neuron=recipe.fit.neuron)
    info = {
        "model": plan.name,
        **recipe.record(result, len(validation)),
        "data": recipe.data.partition(":")[0],
        "bit_decay": recipe.bit_decay if recipe.method == "error-free" else 0.0,
        "test_accuracy": accuracy,
    }
    save_weights(model, path, info)
    checkpoint.unlink()
    return path
