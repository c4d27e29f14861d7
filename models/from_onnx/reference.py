"""Operators for ONNX's reference implementation where that of ``onnx`` 1.23 has mistakes, in plain NumPy.

Its batch norm of opsets 9 to 13 computes in training mode; its pools with rounding up keep windows that lie in the
padding alone, which PyTorch and runtimes drop, and give other sizes for some strides.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]


def corrected(onnx: Any) -> list[Any]:
    """Classes to give a ``ReferenceEvaluator`` as ``new_ops``."""
    base = onnx.reference.op_run.OpRun
    return [type(name, (base,), {"op_domain": "", "_run": run}) for name, run in _OPERATORS.items()]


def _batch_norm(
    self: Any, x: _Array, scale: _Array, bias: _Array, mean: _Array, var: _Array, **about: Any
) -> tuple[_Array]:
    places = (1, -1, *[1] * (x.ndim - 2))
    factor = scale / np.sqrt(var + about["epsilon"])
    return ((x * factor.reshape(places) + (bias - mean * factor).reshape(places)).astype(x.dtype),)


def _max_pool(self: Any, x: _Array, **about: Any) -> tuple[_Array]:
    return (_pooled(x, about, -np.inf, np.maximum).astype(x.dtype),)


def _average_pool(self: Any, x: _Array, **about: Any) -> tuple[_Array]:
    counted = bool(about["count_include_pad"])
    counts = _pooled(np.ones_like(x), about, 0.0, np.add, padding=1.0 if counted else 0.0)
    return ((_pooled(x, about, 0.0, np.add) / counts).astype(x.dtype),)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "BatchNormalization": _batch_norm,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
}


def _pooled(
    x: _Array, about: dict[str, Any], beside: float, join: Callable[..., _Array], padding: float | None = None
) -> _Array:
    """``join`` over each window, with ``padding`` (default ``beside``) around the image and ``beside`` beyond that,
    where rounding up reaches."""
    kernel = about["kernel_shape"]
    rank = len(kernel)
    strides, dilations = about.get("strides") or [1] * rank, about.get("dilations") or [1] * rank
    sides = [_sides(x.shape[2 + i], kernel[i], strides[i], dilations[i], i, rank, about) for i in range(rank)]
    around = [(0, 0), (0, 0), *((begin, end) for begin, end, _, _ in sides)]
    x = np.pad(x, around, constant_values=beside if padding is None else padding)
    x = np.pad(x, [(0, 0), (0, 0), *((0, more) for _, _, more, _ in sides)], constant_values=beside)
    result = np.full((*x.shape[:2], *(size for *_, size in sides)), beside)
    for place in itertools.product(*map(range, kernel)):
        cut = (
            slice(at * d, at * d + (size - 1) * s + 1, s)
            for at, d, s, (*_, size) in zip(place, dilations, strides, sides, strict=True)
        )
        where = (slice(None), slice(None), *cut)
        result = join(result, x[where])
    return result


def _sides(
    length: int, kernel: int, stride: int, dilation: int, axis: int, rank: int, about: dict[str, Any]
) -> tuple[int, int, int, int]:
    """Padding before and after one dimension, what rounding up adds behind it, and the size of the result."""
    reach, automatic = (kernel - 1) * dilation + 1, about.get("auto_pad") or "NOTSET"
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        total = max((math.ceil(length / stride) - 1) * stride + reach - length, 0)
        small = total // 2
        begin, end = (small, total - small) if automatic == "SAME_UPPER" else (total - small, small)
    else:
        pads: Sequence[int] = (about.get("pads") if automatic == "NOTSET" else None) or [0] * (2 * rank)
        begin, end = pads[axis], pads[axis + rank]
    room = length + begin + end - reach
    size = room // stride + 1
    if about.get("ceil_mode"):
        size = math.ceil(room / stride) + 1
        size -= (size - 1) * stride >= length + begin
    return begin, end, max((size - 1) * stride + reach - (length + begin + end), 0), size
