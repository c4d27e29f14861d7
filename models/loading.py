"""Weights in files: safetensors, and PyTorch's own format without running code from the file."""

from __future__ import annotations

import json
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from spikec.arguments import file_path
from spikec.errors import DataError
from spikec.models.checkpoints import Fit, fit, holds, read_checkpoint
from spikec.models.checkpoints.fitting import dense
from spikec.models.checkpoints.lazy import settle
from spikec.models.checkpoints.names import some
from spikec.models.checkpoints.reading import METADATA_KEY, read_info
from spikec.training import ClipFloorShift
from spikec.whole_files import writing

#: Levels that float32 tells apart.
LEVELS_MOST = 2**24


def save_weights(module: nn.Module, path: str | Path, info: dict[str, Any]) -> None:
    """Write the state of ``module`` as safetensors with ``info`` (JSON) in the header. Never leaves half a file.

    Raises :class:`ToolchainError` where ``path`` cannot be written."""
    # Copies, since safetensors refuses two names of one tensor.
    state = {name: dense(value.detach().cpu()).clone().contiguous() for name, value in module.state_dict().items()}
    with writing(file_path(path, "a file of weights")) as temporary:
        # Not save_file: its files can be read by their owner only.
        temporary.write_bytes(save(state, {METADATA_KEY: json.dumps(info, sort_keys=True)}))


def load_weights(module: nn.Module, path: str | Path, *, levels: int | None = None, entry: str | None = None) -> None:
    """Load weights into ``module`` and put it into eval mode.

    Reads ``.safetensors``, the index of several such files, and what ``torch.save`` writes, of which nothing is run: a
    state dictionary, bare or anywhere inside a training checkpoint, behind any common prefix, with the names that
    ``torch.compile`` and distributed training add. ``entry`` chooses where several fit and differ
    (``state_dict_ema``). A warning names tensors beside the network, such as those of a loss, that are left out.
    Every :class:`ClipFloorShift` gets ``levels`` (0: trained clipping); if that is None, the number that
    ``spikec train`` recorded. Raises a single :class:`DataError` that lists what is missing, unexpected or of another
    shape; ``module`` is then unchanged.
    """
    path = file_path(path, "a file of weights")
    checkpoint = read_checkpoint(path)
    found = fit(module, checkpoint, entry)
    _fill(module, found, path)
    if found.left_out:
        warnings.warn(f"{path}: left out, as no part of the network: {some(found.left_out)}", stacklevel=2)
    chosen = checkpoint.info.get("levels") if levels is None else levels
    if chosen is not None and (type(chosen) is not int or not 0 <= chosen <= LEVELS_MOST):
        raise DataError(f"{path}: its header says {chosen!r} levels: give the number with levels=, or train again")
    for activation in module.modules():
        if isinstance(activation, ClipFloorShift) and chosen is not None:
            activation.levels = int(chosen) or None
    module.eval()


def _fill(module: nn.Module, found: Fit, path: Path) -> None:
    state = {key: dense(value) if isinstance(value, Tensor) else value for key, value in found.state.items()}
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    broken = [
        key
        for key, value in state.items()
        if key in parameters and value.is_floating_point() and not torch.isfinite(value).all()
    ]
    if broken:
        raise DataError(f"{path}: infinite or no numbers in {some(broken)}; the training that wrote it had diverged")
    try:
        module.load_state_dict(_versioned(module, state))
    except Exception as error:  # modules may load in their own way
        raise DataError(f"{path} does not fit the network: {' '.join(str(error).split())}") from error
    settle(module)


def _versioned(module: nn.Module, state: dict[str, Any]) -> OrderedDict[str, Any]:
    """With the versions of the network's own modules, by which quantised ones know their own format."""
    whole: Any = OrderedDict(state)
    whole._metadata = getattr(module.state_dict(), "_metadata", {})
    return whole  # type: ignore[no-any-return]


def fits(module: nn.Module, path: str | Path, entry: str | None = None) -> bool:
    """Whether :func:`load_weights` would take the file. Raises :class:`DataError` for a file that holds no weights."""
    checkpoint = read_checkpoint(file_path(path, "a file of weights"))
    try:
        fit(module, checkpoint, entry)
    except DataError:
        return False
    return True


def read_header(path: Path) -> dict[str, Any]:
    """The ``info`` of :func:`save_weights`, empty for other files. Reads no tensors. Raises :class:`DataError`."""
    return read_info(path)


def holds_thresholds(path: Path) -> bool:
    """Whether the weights hold the thresholds of :class:`ClipFloorShift`, as those that ``spikec train`` writes.

    Raises :class:`DataError` for a file that holds no weights.
    """
    return holds(read_checkpoint(path), "threshold")
