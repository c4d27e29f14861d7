"""Weights in files: safetensors, and PyTorch's own format without running code from the file."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from spikec.errors import DataError
from spikec.training import ClipFloorShift
from spikec.whole_files import replacing

_METADATA_KEY = "spikec"
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES = ("module.", "model.")


def save_weights(module: nn.Module, path: str | Path, info: dict[str, Any]) -> None:
    """Write the state of ``module`` as safetensors with ``info`` (JSON) in the header. Never leaves half a file."""
    state = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    with replacing(Path(path)) as temporary:
        # Not save_file: its files can be read by their owner only.
        temporary.write_bytes(save(state, {_METADATA_KEY: json.dumps(info, sort_keys=True)}))


def load_weights(module: nn.Module, path: str | Path, *, levels: int | None = None) -> None:
    """Load weights into ``module`` and put it into eval mode.

    Reads ``.safetensors`` and what ``torch.load(weights_only=True)`` accepts: a state dictionary, bare or under a usual
    key such as ``state_dict``, with or without a ``module.`` or ``model.`` prefix. Every :class:`ClipFloorShift` gets
    ``levels`` (0: trained clipping); if that is None, the number that ``spikec train`` recorded. Raises a single
    :class:`DataError` that lists what is missing, unexpected or of another shape; ``module`` is then unchanged.
    """
    path = Path(path)
    state, info = read_weights(path)
    own = module.state_dict()
    state = _without_prefix(state, own)
    problems = _differences(own, state)
    if problems:
        raise DataError(f"{path} does not fit the network: {'; '.join(problems)}")
    module.load_state_dict(state)
    chosen = info.get("levels") if levels is None else levels
    for activation in module.modules():
        if isinstance(activation, ClipFloorShift) and chosen is not None:
            activation.levels = int(chosen) or None
    module.eval()


def fits(module: nn.Module, path: str | Path) -> bool:
    """Whether :func:`load_weights` would take the file. Raises :class:`DataError` for a file that holds no weights."""
    own = module.state_dict()
    return not _differences(own, _without_prefix(read_weights(Path(path))[0], own))


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state dictionary and the ``info`` of :func:`save_weights` (else empty). Raises :class:`DataError`."""
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} contains more than tensors and is not loaded, since that could run code; "
            "save model.state_dict() instead of the model"
        ) from error
    except Exception as error:  # bytes that are no pickle can make its reader fail in any way
        raise DataError(f"cannot read {path} as PyTorch weights: {type(error).__name__}: {error}") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}, not a state dictionary")
    strangers = [str(k) for k, v in content.items() if not isinstance(v, Tensor)]
    if not content:
        raise DataError(f"{path} holds an empty state dictionary")
    if strangers:
        raise DataError(f"{path} is no state dictionary: these entries are no tensors: {_some(strangers)}")
    return {str(k): v for k, v in content.items()}, {}


def read_header(path: Path) -> dict[str, Any]:
    """The ``info`` of :func:`save_weights`, empty for other files. Reads no tensors. Raises :class:`DataError`."""
    if path.suffix != ".safetensors":
        return {}
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    with _safetensors(path) as file:
        return _info(file)


def holds_thresholds(path: Path) -> bool:
    """Whether the weights hold the thresholds of :class:`ClipFloorShift`, as those that ``spikec train`` writes.

    Raises :class:`DataError` for a file that holds no weights.
    """
    return any(name.rpartition(".")[2] == "threshold" for name in read_weights(path)[0])


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with _safetensors(path) as file:
        info = _info(file)
        return {name: file.get_tensor(name) for name in file.keys()}, info  # noqa: SIM118 (not a dictionary)


@contextmanager
def _safetensors(path: Path) -> Iterator[Any]:
    """The open file. Raises :class:`DataError` if opening it fails, or reading it inside the ``with`` block."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError, ValueError) as error:
        raise DataError(f"cannot read {path} as safetensors: {error}") from error


def _info(file: Any) -> dict[str, Any]:
    info: dict[str, Any] = json.loads((file.metadata() or {}).get(_METADATA_KEY, "{}"))
    return info


def _without_prefix(state: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Strip each prefix that a wrapper put on every key, unless keys of the network itself start with it."""
    for prefix in _PREFIXES:
        if all(k.startswith(prefix) for k in state) and not any(k.startswith(prefix) for k in own):
            state = {k.removeprefix(prefix): v for k, v in state.items()}
    # Counters of batch norm are absent from weights saved before PyTorch 0.4.1 and mean nothing in eval mode.
    return {**{k: v for k, v in own.items() if k.endswith(".num_batches_tracked")}, **state}


def _differences(own: dict[str, Tensor], state: dict[str, Tensor]) -> list[str]:
    missing = [k for k in own if k not in state]
    unexpected = [k for k in state if k not in own]
    shapes = [
        f"{k} {list(state[k].shape)} for {list(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    lists = (("missing", missing), ("unexpected", unexpected), ("other shape", shapes))
    return [f"{title}: {_some(names)}" for title, names in lists if names]


def _some(names: list[str], most: int = 20) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
