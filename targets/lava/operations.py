"""The Lava process of every operation. It sends at each step what it computed the step before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import DoesNotFit
from spikec.implementations import Implementations
from spikec.ir.operations import Affine, Convolution, Flatten, MaxPool, Operation, SumPool, Unflatten
from spikec.targets.lava.paths import CONV, DENSE, MAX_POOL, SUM_POOL

Array = npt.NDArray[Any]

_INT8 = 127


@dataclass(frozen=True)
class Part:
    """What makes a Lava process: its path (``module:class``), scalar parameters, arrays in Lava's layout.

    ``follows``: it follows what is sent in each window, and gets the settings for that.
    """

    path: str
    parameters: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    follows: bool = False


@dataclass(frozen=True)
class Reading:
    """No process: whatever reads the operation reads its sources. ``view``: as values of this shape, in C, H, W order;
    None: as they are."""

    view: tuple[int, ...] | None


#: What an operation becomes in Lava. Used for operations that spikes reach. May raise ``DoesNotFit``.
LAVA_OPERATIONS: Implementations[Callable[[Any], Part | Reading]] = Implementations(
    "Lava process", "spikec.targets.lava.operations.LAVA_OPERATIONS", of=Operation
)


@LAVA_OPERATIONS.register(Flatten)
def _flatten(node: Flatten) -> Reading:
    return Reading(node.output_shape if len(node.input_shape) > 1 else None)


@LAVA_OPERATIONS.register(Unflatten)
def _unflatten(node: Unflatten) -> Reading:
    return Reading(node.output_shape)


@LAVA_OPERATIONS.register(SumPool)
def _sum_pool(node: SumPool) -> Part:
    settings = {
        "input_shape": node.input_shape[::-1],
        "output_shape": node.output_shape[::-1],
        "kernel": node.kernel[::-1],
        "stride": node.stride[::-1],
    }
    return Part(SUM_POOL, settings)


@LAVA_OPERATIONS.register(MaxPool)
def _max_pool(node: MaxPool) -> Part:
    rows, columns = node.places
    settings = {"input_shape": node.input_shape[::-1], "output_shape": node.output_shape[::-1]}
    return Part(MAX_POOL, settings, {"columns": columns, "rows": rows}, follows=True)


@LAVA_OPERATIONS.register(Affine)
def _affine(node: Affine) -> Part:
    """Lava's 8-bit signed ``Dense`` keeps only even weights: so double the weights, and lower the exponent by 1."""
    factor = 2**node.weight_exp
    mantissa = node.weight // factor
    if (mantissa * factor != node.weight).any() or mantissa.min() < -128 or mantissa.max() > _INT8:
        raise DoesNotFit(f"{node.name}: its weights are not 8-bit integers times 2**{node.weight_exp}")
    return Part(DENSE, {"weight_exp": node.weight_exp - 1}, {"weights": 2 * mantissa})


@LAVA_OPERATIONS.register(Convolution)
def _convolution(node: Convolution) -> Part:
    """Lava's ``Conv``: weights (O, W, H, I), kernel flipped, W before H. It holds its parameters in 8 bits."""
    weight, groups = _few_groups(node.weight, node.groups)
    settings = {
        "input_shape": node.input_shape[::-1],
        "stride": node.stride[::-1],
        "padding": node.padding[::-1],
        "dilation": node.dilation[::-1],
        "groups": groups,
    }
    for name, values in (("kernel size", weight.shape[2:]), ("stride", node.stride), ("padding", node.padding)):
        if max(values) > _INT8:
            raise DoesNotFit(f"{node.name}: {name} {max(values)} does not fit Lava's Conv, which holds at most {_INT8}")
    if max(node.dilation) > _INT8:
        raise DoesNotFit(f"{node.name}: dilation {max(node.dilation)} does not fit Lava's Conv (at most {_INT8})")
    flipped = np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1))
    return Part(CONV, settings, {"weight": flipped})


def _few_groups(weight: Array, groups: int) -> tuple[Array, int]:
    """The same convolution with at most 127 groups: neighbouring groups become one, block-diagonal."""
    if groups <= _INT8:
        return weight, groups
    fewer = max(n for n in range(1, _INT8 + 1) if groups % n == 0)
    merged = groups // fewer
    out, channels, *size = weight.shape
    blocks = weight.reshape(fewer, merged, out // groups, channels, *size)
    wide = np.zeros((fewer, merged, out // groups, merged, channels, *size), weight.dtype)
    for m in range(merged):
        wide[:, m, :, m] = blocks[:, m]
    return wide.reshape(out, merged * channels, *size), fewer
