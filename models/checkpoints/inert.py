"""Reads PyTorch files that hold more than tensors, without running anything that stands in them.

``torch.load(weights_only=True)`` refuses a training checkpoint for one NumPy number or one ``argparse.Namespace``
beside the weights. Here such values of known, harmless packages become :class:`Unread`: a mark that takes any content
and does nothing. Everything else is refused by name.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from spikec.errors import DataError

#: Packages of settings, numbers and records that training scripts keep beside their weights.
_HARMLESS = {
    *("addict", "argparse", "collections", "datetime", "easydict", "enum", "fastcore", "lightning", "lightning_fabric"),
    *("lightning_utilities", "ml_collections", "numpy", "omegaconf", "pathlib", "pytorch_lightning", "uuid", "yacs"),
}
_REBUILD = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_qtensor", "_rebuild_sparse_tensor")
_VALUES = (torch.dtype, torch.layout, torch.qscheme)


class Unread:
    """The place of a value that was not read."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    def extend(self, items: Any) -> None:
        pass

    def add(self, item: Any) -> None:
        pass

    def __hash__(self) -> int:
        return 0


class _Callable:
    """A function that a file may call and do nothing else with: pickle can set attributes of what it names."""

    __slots__ = ("_function",)
    _function: Any

    def __init__(self, function: Any) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("a file may not change functions")

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a file may not change functions")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in _REBUILD:
            return _Callable(getattr(torch._utils, name))
        if module == "torch" and name in ("Size", "device"):
            return _Callable(getattr(torch, name))
        if module == "torch" and isinstance(value := getattr(torch, name, None), _VALUES):
            return value
        if module.partition(".")[0] in _HARMLESS:
            return Unread
        if (module, name) == ("_codecs", "encode"):  # bytes, as old protocols write them
            return Unread
        raise pickle.UnpicklingError(f"it names {module}.{name}")


class _Pickle:
    """What ``torch.load`` needs of a pickle module."""

    Unpickler = _Unpickler
    UnpicklingError = pickle.UnpicklingError

    @staticmethod
    def load(file: Any, **options: Any) -> Any:
        return _Unpickler(file, **options).load()


def read_inert(path: Path) -> Any:
    """The content of a file that :func:`spikec.models.checkpoints.formats.file_format` calls ``torch``.

    Raises :class:`DataError` that names what it refuses.
    """
    try:
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=False, pickle_module=_Pickle)
    except pickle.UnpicklingError as error:
        raise DataError(_refusal(path, str(error))) from error
    except Exception as error:  # bytes that are no pickle can make its reader fail in any way
        raise DataError(f"cannot read {path} as PyTorch weights: {type(error).__name__}: {error}") from error


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
