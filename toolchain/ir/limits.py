"""The range of every whole number in a deployment file: one table, which rules, schema and documentation read.

Bounds are far beyond networks that anyone runs, and so small that no sum or product of such numbers leaves int64.
Fields of a neuron kind have theirs where the kind declares them (``spikec.ir.kinds.stored``);
:func:`spikec.ir.profile.published.all_limits` puts the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from spikec.ir.types import TIMESTEPS_MAX

#: Where a file holds a number: in a field of the NIR node, in the profile's metadata, or as an axis of an array.
Place = Literal["field", "metadata", "shape"]

#: The largest whole number that float32 holds with all smaller ones.
FLOAT32_EXACT = 2**24
INT32_MAX = 2**31 - 1
#: Most values a node may send in a step.
VALUES_MAX = 2**27
#: Most positions along an axis of an image, and the most that a window may skip.
_AXIS_MAX = 2**15
_CHANNELS_MAX = 2**20


@dataclass(frozen=True)
class Limit:
    """Lowest and highest value, both allowed."""

    low: int
    high: int
    place: Place = "metadata"

    def holds(self, value: Any) -> bool:
        """Whether all numbers of an integer array, or one number, are within it."""
        array = np.asarray(value)
        ends = array.reshape(-1).tolist() if array.size <= 4 else (int(array.min()), int(array.max()))
        return all(self.low <= end <= self.high for end in ends)

    def __str__(self) -> str:
        return f"between {self.low} and {self.high}"


_WEIGHT_EXP = Limit(0, 16)
_WEIGHT_INT = Limit(-(2**7), 2**7 - 1)
_BIAS = Limit(-FLOAT32_EXACT, FLOAT32_EXACT)
_FLAG = Limit(0, 1)
_STATE = Limit(-INT32_MAX - 1, INT32_MAX)
_THETA = Limit(1, FLOAT32_EXACT)

#: By NIR node ("graph": the graph itself) and name.
LIMITS: dict[str, dict[str, Limit]] = {
    "graph": {
        "timesteps": Limit(1, TIMESTEPS_MAX),
        "drain": Limit(0, TIMESTEPS_MAX),
        "delays": Limit(0, TIMESTEPS_MAX),
    },
    "Input": {
        "shape": Limit(1, VALUES_MAX, "field"),
        "limit": Limit(1, 255),
    },
    "Output": {"signal": _FLAG},
    "Conv2d": {
        "input_shape": Limit(1, _AXIS_MAX, "field"),
        "stride": Limit(1, _AXIS_MAX, "field"),
        "padding": Limit(0, 2**12, "field"),
        "dilation": Limit(1, _AXIS_MAX, "field"),
        "kernel": Limit(1, 2**12, "shape"),
        "weight_int": _WEIGHT_INT,
        "weight_exp": _WEIGHT_EXP,
        "bias_int": _BIAS,
        "groups": Limit(1, _CHANNELS_MAX),
        "margin": Limit(0, 2**12),
    },
    "Affine": {"weight_int": _WEIGHT_INT, "weight_exp": _WEIGHT_EXP, "bias_int": _BIAS, "sparse": _FLAG},
    "SumPool2d": {
        "kernel_size": Limit(1, _AXIS_MAX, "field"),
        "stride": Limit(1, _AXIS_MAX, "field"),
        "padding": Limit(0, 2**12, "field"),
        "output_size": Limit(1, _AXIS_MAX),
        "dilation": Limit(1, _AXIS_MAX),
        "adaptive": _FLAG,
        "folded_divisor": Limit(1, _AXIS_MAX**2),
    },
    "Flatten": {"output_size": Limit(1, VALUES_MAX)},
    "IF": {"v_threshold_int": _THETA, "v_init_int": _STATE},
    # In units of 64: the threshold of the node holds 64 times as much.
    "CubaLIF": {"v_threshold_int": Limit(1, FLOAT32_EXACT // 64), "v_init_int": _STATE},
    "I": {"v_init_int": _STATE},
    "CubaLI": {"v_init_int": _STATE},
}
