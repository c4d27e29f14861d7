"""Reads PyTorch files that may hold more than tensors: runs nothing that stands in them, and says what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikec.errors import DataError
from spikec.guarded.pickles import Refused
from spikec.guarded.torch_files import read_torch_file


def read_inert(path: Path) -> Any:
    """The content of a file that :func:`spikec.models.checkpoints.formats.file_format` calls ``torch``, by the rule of
    :mod:`spikec.guarded.torch_files`: numbers and records of known packages beside the weights are not read.

    Raises :class:`DataError` that names what it refuses.
    """
    try:
        return read_torch_file(path)
    except Refused as error:
        raise DataError(_refusal(path, f"it {error}")) from error


def _refusal(path: Path, reason: str) -> str:
    if "torchao." in reason:
        return (
            f"{path} holds weights that torchao quantised ({reason}), and is not loaded: save the state dictionary "
            "after dequantising each of them: {k: v.dequantize() if hasattr(v, 'dequantize') else v for k, v in "
            "model.state_dict().items()}"
        )
    if reason.startswith("it names torch.nn."):
        return (
            f"{path} holds a whole network, whose loading runs code ({reason}), and is not loaded: save the state "
            'dictionary, where the network can be loaded: torch.save(model.state_dict(), "weights.pt")'
        )
    return (
        f"{path} holds more than tensors ({reason}), and is not loaded, since that could run code; save the weights "
        'alone, where the network can be loaded: torch.save(model.state_dict(), "weights.pt")'
    )
