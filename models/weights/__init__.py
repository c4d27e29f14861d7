"""The shipped weights. ``index.json`` in the same folder says how each was made and how accurate it is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from torch import nn

from spikec.errors import DataError
from spikec.models.loading import load_weights
from spikec.models.resolving import resolve
from spikec.words import did_you_mean

FOLDER = Path(__file__).parent


def index() -> dict[str, dict[str, Any]]:
    """Per network: file, sha256, model, data, levels, recipe, seed, test accuracy with its 95 % Wilson interval."""
    table: dict[str, dict[str, Any]] = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
    return table


def weights_path(name: str) -> Path:
    """The weights file of a shipped network. Raises :class:`DataError` if there is none or its SHA-256 is wrong."""
    table = index()
    if name not in table:
        hint = did_you_mean(name, table, "shipped: {}")
        raise DataError(f"no shipped weights for {name!r}; {hint}")
    path = FOLDER / str(table[name]["file"])
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(
            f"the shipped weights {path.name} cannot be read: {error.strerror}; reinstall spikec"
        ) from error
    if digest != table[name]["sha256"]:
        raise DataError(f"the shipped weights {path.name} are damaged (SHA-256 {digest[:12]}...); reinstall spikec")
    return path


def pretrained(name: str) -> nn.Module:
    """The shipped network ``name`` with its weights, in eval mode."""
    path = weights_path(name)
    module = resolve(index()[name]["model"])
    load_weights(module, path)
    return module
