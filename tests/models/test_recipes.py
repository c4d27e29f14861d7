"""Recipes: the shipped ones parse and name what exists; mistakes are named with the nearest key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from spikec.errors import ToolchainError
from spikec.models.data import NAMES
from spikec.models.recipes import FOLDER, Recipe, default_recipe, load_recipe
from spikec.models.weights import index
from spikec.models.zoo import REGISTRY
from spikec.training import ClipFloorShift


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_recipe_parses_and_names_what_exists(path: Path) -> None:
    recipe = load_recipe(path)
    assert path.stem in (recipe.model, f"{recipe.model}-{recipe.levels}")  # the second is a second stage
    assert recipe.model in REGISTRY
    assert recipe.data in NAMES or recipe.data.startswith(("folder:", "npz:"))


def test_every_shipped_network_has_a_recipe() -> None:
    assert set(index()) <= {p.stem for p in FOLDER.glob("*.toml")}


def test_values_arrive(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('data = "digits"\nlevels = 8\nthreshold = 2\n[fit]\nepochs = 3\nlr = 1\nflip = true\n')
    recipe = load_recipe(path)
    assert (recipe.levels, recipe.threshold, recipe.fit.epochs, recipe.fit.lr) == (8, 2.0, 3, 1.0)
    assert recipe.fit.flip
    activation = recipe.activation()
    assert isinstance(activation, ClipFloorShift)
    assert (activation.levels, float(activation.threshold)) == (8, 2.0)
    assert isinstance(Recipe(method="relu").activation(), nn.ReLU)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("level = 4", "unknown key level; did you mean levels"),
        ("[fit]\nepoch = 4", "unknown key fit.epoch; did you mean fit.epochs"),
        ("[fit]\nzzz = 4", "unknown key fit.zzz; known: batch"),
        ('levels = "4"', "levels must be of type int"),
        ("levels = true", "levels must be of type int"),
        ("[fit]\nflip = 1", "fit.flip must be of type bool"),
        ('method = "qfcs"', "method is one of"),
        ("validation = 1.5", "validation"),
        ("fit = 3", "must be a table"),
        ("[fit]\nlr = -1.0", "lr must be positive"),
        ("levels = ", "cannot be read"),
        ("levels = -4", "levels must be at least 0, it is -4"),
        ("threshold = -1.0", "positive threshold"),
        ('order = "first"', "order is"),
        ("noise_timesteps = 0", "noise_timesteps must be at least 1"),
        ("bit_decay = nan", "bit_decay must be at least 0"),
        ('mean = ["a"]\ndeviation = ["b"]', "mean and deviation need one number"),
        ("[fit]\nseed = -1", "seed must be a whole number between 0 and"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(ToolchainError, match=rf"r\.toml.*{message}|{message}.*r\.toml"):
        load_recipe(path)


def test_normalisation_may_be_measured() -> None:
    images = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    recipe = Recipe(mean=tuple(images.mean((0, 2, 3))), deviation=tuple(images.std((0, 2, 3))))
    assert recipe.mean == (7.5, 11.5, 15.5)


def test_unknown_networks_get_general_defaults() -> None:
    assert default_recipe("my.module:net") == Recipe()
    with pytest.raises(ToolchainError, match="cannot be read"):
        load_recipe("/nonexistent/recipe.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("noise_timesteps = 32769", "noise_timesteps must be at most 32768, it is 32769"),
        ("levels = 16777217", "levels must be at most 16777216"),
        ("[fit]\ntimesteps = 9223372036854775808", "timesteps must be a whole number between 0 and 32768"),
    ],
)
def test_numbers_that_no_training_ends_with_are_refused(tmp_path, text, said):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(ToolchainError, match=said):
        load_recipe(tmp_path / "r.toml")


def test_the_noise_of_residual_error_is_measured_on_the_held_out_images_as_they_are() -> None:
    held_out = object()
    hook = Recipe(method="residual-error", noise_timesteps=3).hooks(nn.Linear(1, 1), held_out)["after_epoch"]
    assert (hook.data, hook.timesteps) == (held_out, 3)
