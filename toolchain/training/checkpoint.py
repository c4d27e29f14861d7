"""A training run on disk: everything needed to continue it to the same result.

A safetensors file: tensors by number, and in its header the rest as JSON, in which they stand by their number. So it
holds nothing that could run. Files of earlier versions, which ``torch.save`` wrote, are read as any such file is, by
:mod:`spikec.guarded.torch_files`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from spikec.errors import DataError
from spikec.guarded import open_regular, parse_json, reading
from spikec.guarded.files import reason
from spikec.guarded.torch_files import read_torch_file
from spikec.training.config import FitConfig
from spikec.whole_files import replacing
from spikec.words import option

FORMAT = "spikec-training/1"

#: What :func:`spikec.training.fit` puts into a checkpoint beside format, configuration and identity.
KEYS = frozenset(
    ("model", "averaged", "optimizer", "best", "best_epoch", "history", "sigma", "generator", "global_generator")
)
_HEADER = "spikec-training"
#: How a container or tensor stands in JSON, which has lists and texts as keys only.
_TENSOR, _DICT, _TUPLE = "tensor", "dict", "tuple"


def save_checkpoint(path: Path, config: FitConfig, identity: Mapping[str, Any], state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and containers of them; the file appears whole or not at all."""
    tensors: list[Tensor] = []
    document = _coded({"format": FORMAT, "config": asdict(config), "identity": dict(identity), **state}, tensors)
    # Copies, since safetensors refuses tensors that share their memory.
    numbered = {str(n): tensor.detach().cpu().clone().contiguous() for n, tensor in enumerate(tensors)}
    content = save(numbered, {_HEADER: json.dumps(document)})
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def load_checkpoint(path: Path, config: FitConfig, identity: Mapping[str, Any]) -> dict[str, Any]:
    """The state saved by a run with the same configuration and identity. Raises :class:`DataError` if the file cannot
    be used, or configuration or identity differ; files of earlier versions hold no identity to compare."""
    try:
        state = read_state(path)
    except DataError as error:
        raise DataError(f"cannot resume from {path}: it is damaged or no checkpoint ({error})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT or not {"config", *KEYS} <= state.keys():
        raise DataError(f"{path} is no checkpoint of a training run; train without {option('resume')}")
    if not isinstance(state["config"], dict) or not isinstance(state.get("identity", {}), dict):
        raise DataError(f"{path} is damaged: it does not say what run it is of; train without {option('resume')}")
    # Settings that are newer than the file count as their defaults.
    now, then = asdict(config), {**asdict(FitConfig()), **state["config"]}
    if "identity" in state:
        now, then = {**now, **identity}, {**then, **state["identity"]}
    changed = [f"{k} was {then.get(k)!r}, is {now.get(k)!r}" for k in {**now, **then} if then.get(k) != now.get(k)]
    if changed:
        raise DataError(f"{path} belongs to another run ({'; '.join(changed)}); train without {option('resume')}")
    return state


def damaged(path: Path, error: Exception) -> DataError:
    """What to raise where a state was read and the run cannot take it."""
    return DataError(f"cannot resume from {path}: it is damaged ({reason(error)}); train without {option('resume')}")


def read_state(path: Path) -> Any:
    """What a checkpoint holds, unchecked. Raises :class:`DataError`."""
    with open_regular(path) as file:
        start = file.read(9)
    if start[8:] != b"{":
        return read_torch_file(path)
    with reading(path, "safetensors"), safe_open(path, framework="pt") as file:
        # A loss in the history may have been infinite.
        document = parse_json((file.metadata() or {}).get(_HEADER, "null"), "its header", finite=False)
        # Copies, since the tensors of an open file die with it where somebody overwrites it.
        return _decoded(document, {name: file.get_tensor(name).clone() for name in file.keys()})  # noqa: SIM118


def _coded(value: Any, tensors: list[Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors.append(value)
        return {_TENSOR: str(len(tensors) - 1)}
    if isinstance(value, Mapping):
        return {_DICT: [[_coded(key, tensors), _coded(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {_TUPLE: [_coded(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_coded(item, tensors) for item in value]
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _decoded(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decoded(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == _TENSOR:
        return tensors[content]
    if kind == _TUPLE:
        return tuple(_decoded(item, tensors) for item in content)
    if kind == _DICT:
        return {_decoded(key, tensors): _decoded(item, tensors) for key, item in content}
    raise ValueError(f"its header has {kind!r}")
