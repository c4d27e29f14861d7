"""A training run on disk: everything needed to continue it to the same result."""

from __future__ import annotations

import os
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from toolchain.errors import DataError
from toolchain.training.config import FitConfig

FORMAT = "spikec-training/1"


def save_checkpoint(path: Path, config: FitConfig, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and containers of them; the file appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save({"format": FORMAT, "config": asdict(config), **state}, temporary)
    os.replace(temporary, path)


def load_checkpoint(path: Path, config: FitConfig) -> dict[str, Any]:
    """The state saved under the same configuration. Raises :class:`DataError` where file or configuration differ."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise DataError(f"cannot resume from {path}: {error}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise DataError(f"{path} is no checkpoint of a training run")
    now, then = asdict(config), state["config"]
    changed = [f"{k} was {then.get(k)!r}, is {now[k]!r}" for k in now if then.get(k) != now[k]]
    if changed:
        raise DataError(f"{path} belongs to another run ({'; '.join(changed)}); train without --resume")
    return state
