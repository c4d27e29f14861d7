"""Turns the name that a user gives as MODEL into a module."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from spikec.errors import DataError
from spikec.guarded import regular_file
from spikec.models.recipes import default_recipe
from spikec.models.zoo import REGISTRY
from spikec.words import did_you_mean, nearest, reason


def resolve(
    spec: str,
    *,
    num_classes: int = 10,
    in_channels: int | None = None,
    activation: Callable[[], nn.Module] | None = None,
    image_shape: Sequence[int] | None = None,
) -> nn.Module:
    """A module for a zoo name (untrained), ``package.module:callable``, ``file.py:callable`` or ``file.onnx``.

    ``num_classes``, ``in_channels`` (default: the architecture's) and ``activation`` (default: its recipe's) apply to
    zoo names only; ``image_shape``, that of one image, to ONNX files that leave sizes open. A callable is called
    without arguments and returns the module; a module instance is taken as it is, but with parameters in float32,
    which is what images are in.
    Raises :class:`DataError`, and for ONNX files :class:`UnsupportedOperation`.
    """
    if not isinstance(spec, str):
        raise DataError(f"a network is given by its name, not by {type(spec).__name__}; write package.module:callable")
    if spec in REGISTRY:
        entry = REGISTRY[spec]
        channels = entry.input_shape[0] if in_channels is None else in_channels
        return entry.build(num_classes, channels, activation or default_recipe(spec).activation)
    if Path(spec).suffix.lower() == ".onnx":
        from spikec.models.from_onnx import read_onnx

        return read_onnx(Path(spec), image_shape)
    other = other_file(spec)
    if other is not None:
        raise DataError(other)
    place, colon, name = spec.rpartition(":")
    if not colon or not place or not name:
        if Path(spec).suffix == ".py" and os.path.isfile(spec):
            raise DataError(f"{spec} is a file of Python: say what in it makes the network, {_offered(spec)}")
        hint = did_you_mean(spec, REGISTRY)
        forms = "package.module:callable, file.py:callable or file.onnx"
        raise DataError(f"no network called {spec!r}; {hint}; or write {forms}")
    return _module(spec, imported(place, name)).float()


def imported(place: str, name: str) -> Any:
    """What ``place``, ``package.module`` or ``file.py``, calls ``name``. Raises :class:`DataError`."""
    module = _import(place)
    found = getattr(module, name, None)
    if found is None:
        close = nearest(name, _own(module))
        raise DataError(f"{place} has no {name!r}, " + (f"did you mean {place}:{close}?" if close else _offered(place)))
    return found


def _own(module: ModuleType) -> list[str]:
    """Names of the classes, functions and networks that a module defines itself."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (isinstance(value, nn.Module) or (callable(value) and getattr(value, "__module__", "") == module.__name__))
    ]


def _offered(place: str) -> str:
    """``such as net.py:make; it has make and Net``."""
    names = _own(_import(place))
    if not names:
        return f"such as {place}:make; it has no function, class or network of its own"
    return f"such as {place}:{names[-1]}; it has {', '.join(names)}"


_TF2ONNX = (
    "is a network of {kind}, which comes in as ONNX: {first}pip install tf2onnx; python -m tf2onnx.convert {option} "
    "--output network.onnx; then give network.onnx as MODEL"
)
_WEIGHTS = (
    "is a file of weights, which say nothing of how layers are connected: give it with --weights, and as MODEL the "
    "network as file.py:callable"
)
#: What files of other kinds are, by their suffix: a sentence after the name.
_OTHER_FILES = {
    **dict.fromkeys(
        (".h5", ".hdf5", ".keras"),
        _TF2ONNX.format(kind="Keras", first="call model.export('folder'), then ", option="--saved-model folder"),
    ),
    ".tflite": _TF2ONNX.format(kind="TensorFlow Lite", first="", option="--tflite file.tflite"),
    ".pb": _TF2ONNX.format(kind="TensorFlow", first="", option="--saved-model folder"),
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".th"), _WEIGHTS),
    ".pt2": "is an exported program, which holds code: give the network it was made from, as file.py:callable",
    ".ort": "is an ONNX file made for one runtime: give the .onnx file that it was made from",
}


def other_file(spec: str) -> str | None:
    """What a file that is no network here is, and the way out; None for all else."""
    said = _OTHER_FILES.get(Path(spec).suffix.lower())
    if said is None and os.path.isfile(os.path.join(spec, "saved_model.pb")):  # also for what no file can be called
        said = _OTHER_FILES[".pb"]
    return None if said is None else f"{spec} {said}"


def _import(place: str) -> ModuleType:
    try:
        if place.endswith(".py"):
            return _import_file(Path(place))
        if "" not in sys.path:
            _find_modules_in(Path.cwd())  # as python -m does
        return importlib.import_module(place)
    except DataError:
        raise
    except SystemExit as error:
        raise DataError(
            f"importing {place} ends the program (exit code {error.code}): put what it runs as a script under "
            'if __name__ == "__main__":'
        ) from error
    except Exception as error:  # the user's code may raise anything
        raise DataError(f"cannot import {place}: {reason(error)}") from error


def _find_modules_in(folder: Path) -> None:
    """Add ``folder`` at the end of the import path, so that no file in it hides an installed module."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _import_file(path: Path) -> ModuleType:
    regular_file(path)
    # A name of its own, so that a file called torch.py hides nothing.
    spec = importlib.util.spec_from_file_location(f"spikec_model_{path.stem}", path.resolve())
    if spec is None or spec.loader is None:
        raise DataError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    _find_modules_in(path.resolve().parent)  # as python file.py does
    sys.modules[spec.name] = module  # dataclasses and fx look the module up
    spec.loader.exec_module(module)
    return module


def _module(spec: str, found: Any) -> nn.Module:
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise DataError(
            f"{spec} is no callable but of type {type(found).__name__}; expected one that returns a torch.nn.Module"
        )
    try:
        made = found()
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise DataError(f"calling {spec} failed: {reason(error)}") from error
    if not isinstance(made, nn.Module):
        raise DataError(f"{spec} returned a {type(made).__name__}; expected a torch.nn.Module")
    return made
