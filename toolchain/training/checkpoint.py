"""A training run on disk: everything needed to continue it to the same result."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from spikec.errors import DataError
from spikec.training.config import FitConfig
from spikec.whole_files import replacing

FORMAT = "spikec-training/1"

#: What :func:`spikec.training.fit` puts into a checkpoint beside format, configuration and identity.
KEYS = frozenset(
    ("model", "averaged", "optimizer", "best", "best_epoch", "history", "sigma", "generator", "global_generator")
)


def save_checkpoint(path: Path, config: FitConfig, identity: Mapping[str, Any], state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and containers of them; the file appears whole or not at all."""
    content = io.BytesIO()  # in memory first: torch reports a full disk as an unexpected position
    torch.save({"format": FORMAT, "config": asdict(config), "identity": dict(identity), **state}, content)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def load_checkpoint(path: Path, config: FitConfig, identity: Mapping[str, Any]) -> dict[str, Any]:
    """The state saved by a run with the same configuration and identity. Raises :class:`DataError` if the file cannot
    be used, or configuration or identity differ; files of earlier versions hold no identity to compare."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, pickle.UnpicklingError) as error:
        reason = str(error).split(". ")[0] or type(error).__name__
        raise DataError(f"cannot resume from {path}: it is damaged or no checkpoint ({reason})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT or not {"config", *KEYS} <= state.keys():
        raise DataError(f"{path} is no checkpoint of a training run; train without --resume")
    # Settings that are newer than the file count as their defaults.
    now, then = asdict(config), {**asdict(FitConfig()), **state["config"]}
    if "identity" in state:
        now, then = {**now, **identity}, {**then, **state["identity"]}
    changed = [f"{k} was {then.get(k)!r}, is {now.get(k)!r}" for k in {**now, **then} if then.get(k) != now.get(k)]
    if changed:
        raise DataError(f"{path} belongs to another run ({'; '.join(changed)}); train without --resume")
    return state
