"""NumPy arrays in a pickle, built from their bytes: the pickle only says type, shape and order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.guarded.pickles import Allowed, Refused

_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_KINDS = "biuf"


class _Array:
    """``numpy.ndarray`` before its state: version, shape, type, whether by columns, bytes."""

    def take_state(self, state: Sequence[Any]) -> npt.NDArray[Any]:
        _, shape, dtype, by_column, content = state
        if not isinstance(dtype, _Type) or not isinstance(content, bytes):
            raise ValueError("an array has no type or no bytes")
        if math.prod(shape) * dtype.dtype.itemsize != len(content):
            raise ValueError(f"an array of {'x'.join(map(str, shape))} has {len(content)} bytes")
        return np.frombuffer(content, dtype.dtype).reshape(shape, order="F" if by_column else "C")


class _Type:
    """``numpy.dtype`` before its state: version, byte order, and what structured types have."""

    def __init__(self, name: Any) -> None:
        self.dtype = np.dtype(name.decode("ascii") if isinstance(name, bytes) else name)
        if self.dtype.kind not in _KINDS:
            raise Refused(f"holds an array of {self.dtype}")

    def take_state(self, state: Sequence[Any]) -> _Type:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order == ">":
            self.dtype = self.dtype.newbyteorder(">")
        return self


def _latin1(text: Any, *_: Any) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else bytes(text)


def numpy_names(module: str, name: str) -> Any:
    """Names in a pickle of arrays, for :func:`spikec.guarded.pickles.read_pickle`."""
    if module in _MULTIARRAY and name == "_reconstruct":
        return Allowed(lambda *_: _Array())
    if (module, name) == ("numpy", "ndarray"):
        return None  # what _reconstruct is told to make
    if (module, name) == ("numpy", "dtype"):
        return Allowed(lambda name, *_: _Type(name))
    if (module, name) == ("_codecs", "encode"):  # bytes, as protocols of Python 2 write them
        return Allowed(_latin1)
    raise Refused(f"names {module}.{name}")
