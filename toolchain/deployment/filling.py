"""Turns the fields that were given into a configuration with everything filled in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from spikec import defaults
from spikec.conversion import methods
from spikec.conversion.methods.base import Method, default_timesteps
from spikec.deployment.configuration import DEFAULTS, SETTINGS, Configuration
from spikec.deployment.weights_file import TrainedPrecision, WeightsFile, weights_file
from spikec.errors import ConversionError, ToolchainError
from spikec.guarded import file_digest
from spikec.models.checkpoints import files_of
from spikec.models.from_onnx.file import onnx_files

_PRECISION = [name for name, about in SETTINGS.items() if about.precision]


class OtherUse(ConversionError):
    """Weights that were fine-tuned for another method or number format."""

    def __init__(self, trained: TrainedPrecision, method: str, format: str) -> None:
        super().__init__(
            f"the weights were fine-tuned for method {trained.method} and format {trained.format}, not {method} and "
            f"{format}; give bits to round them anew"
        )
        self.trained = trained


NO_BUDGET = "a spike budget is chosen on images that stay the same: leave it out, or frames"
#: Where a command compares on images: what such weights need.
ON_FRAMES = "the weights were trained on mean frames of sequences; spikec export deploys and measures them on sequences"


def fill(given: Mapping[str, Any]) -> tuple[Configuration, Exception | None]:
    """The configuration that ``given`` fields stand for, and the error that rules it out: what its method raises for
    its settings, or :class:`OtherUse`; None if there is none.

    Derived fields that are not given follow from the network (``data``), its weights (``data``, ``max_pool``,
    ``frames``, the precision that they were fine-tuned for) and the method (``timesteps``, ``schedule``, the rest of
    ``options``). ``method`` must be known.
    """
    values = DEFAULTS | dict(given)
    refused: Exception | None = None
    if "data" not in given:
        values["data"], values["data_assumed"] = _data(values["model"], values["weights"])
    if given.get("max_pool") is None:
        about = _about(values["weights"])
        values["max_pool"] = None if about is None else about.max_pool
    if values["max_pool"] == "exact":
        values["max_pool"] = None
    if not str(values["model"]).endswith(".nir"):
        if "frames" not in given and (about := _about(values["weights"])) is not None:
            values["frames"] = about.frames
        refused = _no_frames(given) if values["frames"] else None
        values["timesteps"] = given.get("timesteps") or default_timesteps(methods()[values["method"]])
        try:
            made = method_of(Configuration(**values))
        except (ToolchainError, TypeError, ValueError) as error:
            refused = refused or error
        else:
            settings = made.said()
            values["timesteps"], values["schedule"] = settings.pop("timesteps"), settings.pop("schedule")
            if values["frames"] and values["schedule"] != "pipelined":
                refused = refused or ConversionError(
                    f"{values['method']} with the schedule {values['schedule']!r} cannot take one frame in each step: "
                    "a layer waits for the last frame; qcfs and error-compensation, pipelined, can"
                )
            values["options"] = settings
        trained = _trained_precision(values["weights"]) if not given.keys() & set(_PRECISION) else None
        if trained is not None:
            if (trained.method, trained.format) != (values["method"], values["format"]):
                refused = refused or OtherUse(trained, values["method"], values["format"])
            values |= {**{name: getattr(trained, name) for name in _PRECISION}, "as_trained": True}
    return Configuration(**values), refused


def _no_frames(given: Mapping[str, Any]) -> ConversionError | None:
    """What rules out one frame for each step."""
    if given.get("timesteps") is not None:
        why = "with frames" if given.get("frames") else "the weights were trained on mean frames of sequences, so"
        return ConversionError(f"{why} T is the length of the sequences: leave out timesteps (-T)")
    if given.get("spike_budget") is not None:
        return ConversionError(NO_BUDGET)
    return None


def method_of(configuration: Configuration) -> Method:
    """The conversion method with its settings. Raises what the method raises for them."""
    chosen: dict[str, Any] = {"schedule": configuration.schedule} if configuration.schedule else {}
    return methods()[configuration.method](timesteps=configuration.timesteps, **chosen, **configuration.options)


def with_files(configuration: Configuration) -> Configuration:
    """The configuration with the SHA-256 of the files that its result depends on, by what each file is for."""
    from spikec.models.weights import index

    shipped = index().get(configuration.model, {}) if configuration.weights is None else {}
    found = {"weights": str(shipped["sha256"])} if shipped else {}
    place = configuration.model.rpartition(":")[0]
    kind, _, archive = configuration.data.partition(":")
    named = {
        "weights": Path(configuration.weights) if configuration.weights else None,
        "model": Path(place) if place.endswith(".py") else _onnx(configuration.model),
        "data": Path(configuration.data_root or ".") / archive if kind == "npz" else None,
        "format": Path(configuration.format) if configuration.format.endswith(".toml") else None,
        **{profile: Path(profile) for profile in configuration.energy if profile.endswith(".toml")},
    }
    for what, path in named.items():
        if path is not None:
            found[what] = _hash(path)
    return replace(configuration, files=found)


def _about(weights: str | None) -> WeightsFile | None:
    """None where the file says nothing, or cannot be read: the deployment will say what is wrong with it."""
    if weights is None or not weights.endswith(".safetensors") or not os.path.isfile(weights):
        return None  # other files have no header
    try:
        return weights_file(weights)
    except ToolchainError:
        return None


def _trained_precision(weights: str | None) -> TrainedPrecision | None:
    about = _about(weights)
    return None if about is None else about.precision


def _data(model: str, weights: str | None) -> tuple[str, bool]:
    """The data set that the weights were trained on, or that of the shipped weights of this network; for any other the
    default of all commands, and whether that had to be taken."""
    from spikec.models.weights import index

    about = _about(weights)
    trained = None if about is None else about.data
    known = trained or index().get(model, {}).get("data")
    return (defaults.DATA, True) if known is None else (str(known), False)


def _onnx(model: str) -> Path | None:
    return Path(model) if model.endswith(".onnx") else None


def _hash(path: Path) -> str:
    if not os.path.isfile(path):
        return "missing"  # the run will say so
    try:
        files = onnx_files(path) if path.suffix == ".onnx" else files_of(path)
    except ToolchainError:
        files = [path]  # the run will say what is wrong with it
    digests = [_digest(file, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


@lru_cache(maxsize=64)
def _digest(path: Path, changed: int, size: int) -> str:
    """SHA-256 of the file, kept for this time of change and size: a grid asks for it once per run."""
    return file_digest(path)
