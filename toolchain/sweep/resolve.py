"""From one point of a grid to a configuration with everything filled in, or the reason its method refuses it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from toolchain.conversion import methods
from toolchain.conversion.method import default_timesteps
from toolchain.errors import ToolchainError
from toolchain.sweep.configuration import Configuration
from toolchain.sweep.values import method_parts

DEFAULTS: dict[str, Any] = {
    "method": "qcfs",
    "format": "generic24",
    "calibration": 256,
    "seed": 0,
    "energy": [],
}
#: Where a grid says none of these, weights that were fine-tuned for a precision keep theirs.
_PRECISION: dict[str, Any] = {"per": "layer", "bits": 8, "override": {}, "scale": "max"}
_OPTIONAL = ("weights", "data_root", "max_pool", "limit")


@dataclass(frozen=True)
class Run:
    """A configuration, and why its method refuses it where it does."""

    configuration: Configuration
    refused: str | None = None


def resolve(point: dict[str, Any]) -> Run:
    """One point of a grid with everything filled in; a method that refuses its own settings says so here."""
    values = dict(point)
    name, options = method_parts(values.pop("method"))
    kind = methods()[name]
    timesteps = values.pop("timesteps", default_timesteps(kind))
    schedule = values.pop("schedule", None)
    chosen = {} if schedule is None else {"schedule": schedule}
    refused = None
    try:
        method = kind(timesteps=timesteps, **chosen, **options)
    except (ToolchainError, TypeError, ValueError) as error:
        refused = str(error)
    else:
        options = {key: value for key, value in vars(method).items() if key not in ("timesteps", "schedule")}
        schedule = method.schedule
    trained = None if _PRECISION.keys() & values.keys() else _trained_precision(values.get("weights"))
    if trained is not None:
        refused = refused or _other_use(trained, name, values["format"])
    values = _PRECISION | {key: trained[key] for key in _PRECISION if trained} | values
    if "data" not in values:
        values["data"] = _data(values["model"], values.get("weights"))
    values["energy"] = tuple(dict.fromkeys(values["energy"]))
    filled: dict[str, Any] = dict.fromkeys(_OPTIONAL) | values
    configuration = Configuration(
        **filled,
        as_trained=trained is not None,
        method=name,
        options=options,
        timesteps=timesteps,
        schedule=schedule,
    )
    return Run(replace(configuration, files=_files(configuration)), refused)


def _trained_precision(weights: str | None) -> dict[str, Any] | None:
    """What the header of a weights file says it was fine-tuned for, in the words of a grid."""
    if weights is None or not weights.endswith(".safetensors") or not Path(weights).is_file():
        return None  # other files have no header
    state = Path(weights).stat()
    header = _header(weights, state.st_mtime_ns, state.st_size)
    return None if header is None else {**header, "override": header["overrides"]}


@lru_cache(maxsize=64)
def _header(weights: str, changed: int, size: int) -> dict[str, Any] | None:
    """Of the file as it is at that time and size: a grid names it once per run."""
    from models.loading import read_weights
    from toolchain.cli.precision import TRAINED

    try:
        found: dict[str, Any] | None = read_weights(Path(weights))[1].get(TRAINED)
    except ToolchainError:
        return None  # the run will say what is wrong with the file
    return found


def _other_use(trained: dict[str, Any], method: str, format: str) -> str | None:
    wanted = (trained["method"], trained["format"])
    if wanted == (method, format):
        return None
    return (
        f"the weights were fine-tuned for method {wanted[0]} and format {wanted[1]}, not {method} and {format}; "
        "give bits to round them anew"
    )


def _data(model: str, weights: str | None) -> str:
    """A shipped network knows its data set."""
    from models.weights import index

    known = index().get(model, {}) if weights is None else {}
    return str(known.get("data", "digits"))


def _files(run: Configuration) -> dict[str, str]:
    """SHA-256 of the files the result depends on, by what they are."""
    from models.weights import index

    shipped = index().get(run.model, {}) if run.weights is None else {}
    found = {"weights": str(shipped["sha256"])} if shipped else {}
    place = run.model.rpartition(":")[0]
    kind, _, archive = run.data.partition(":")
    named = {
        "weights": Path(run.weights) if run.weights else None,
        "model": Path(place) if place.endswith(".py") else None,
        "data": Path(run.data_root or ".") / archive if kind == "npz" else None,
        "format": Path(run.format) if run.format.endswith(".toml") else None,
        **{profile: Path(profile) for profile in run.energy if profile.endswith(".toml")},
    }
    for what, path in named.items():
        if path is not None:
            found[what] = _hash(path)
    return found


def _hash(path: Path) -> str:
    if not path.is_file():
        return "missing"  # the run will say so
    state = path.stat()
    return _digest(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _digest(path: Path, changed: int, size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
