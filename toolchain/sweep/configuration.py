"""One run of a sweep as a value, and its identity: a hash of everything that decides its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

#: Where the data set's files lie differs between machines and changes no result.
_NO_IDENTITY = ("data_root",)
_ID_DIGITS = 12


@dataclass(frozen=True)
class Configuration:
    """What ``spikec export`` and ``spikec run`` would be told, defaults filled in.

    ``options``: the method's fields beside T and schedule. ``limit``: test images (None: all). ``energy``: profiles to
    estimate. ``files``: SHA-256 of the files named (weights, a model's Python file, an archive of images, a format, a
    profile), so that a file that changes is another configuration. ``as_trained``: weights keep the units they were
    fine-tuned with. ``schedule`` is None only where the method refused.
    """

    model: str
    weights: str | None
    data: str
    data_root: str | None
    max_pool: str | None
    method: str
    options: Mapping[str, Any]
    timesteps: int
    schedule: str | None
    per: str
    bits: int
    override: Mapping[str, int]
    scale: str
    format: str
    limit: int | None
    calibration: int
    seed: int
    energy: tuple[str, ...] = ()
    as_trained: bool = False
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """12 hexadecimal digits, the same on every machine."""
        return identity(self.to_json())

    @property
    def label(self) -> str:
        """``digits-cnn qcfs T=4 pipelined int8/layer``: for a line of progress, not unique."""
        method = " ".join([self.method, *(f"{name}={value}" for name, value in own(self.method, self.options).items())])
        schedule = f" {self.schedule}" if self.schedule else ""
        return f"{self.model} {method} T={self.timesteps}{schedule} int{self.bits}/{self.per}"

    def to_json(self) -> dict[str, Any]:
        """JSON types only."""
        return {**asdict(self), "energy": list(self.energy)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Configuration:
        return cls(**{**data, "energy": tuple(data["energy"])})


def own(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are not the method's defaults, for people to read."""
    from toolchain.conversion import methods

    kind = methods().get(method)
    usual = {} if kind is None else {each.name: each.default for each in fields(kind)}
    return {name: value for name, value in options.items() if name not in usual or usual[name] != value}


def identity(data: Mapping[str, Any]) -> str:
    """The id of a configuration given as JSON."""
    relevant = {key: _normal(value) for key, value in data.items() if key not in _NO_IDENTITY}
    return sha256(relevant)[:_ID_DIGITS]


def sha256(document: Any) -> str:
    """Hash of a JSON document, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _normal(value: Any) -> Any:
    """1.0 and 1 are one setting."""
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
