"""JSON."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikec.cli.output import as_json


@dataclass
class _Pair:
    a: int
    b: float


def test_json_holds_plain_values():
    document = {
        "array": np.arange(3),
        "scalar": np.float32(0.5),
        "nan": float("nan"),
        "inf": [np.inf],
        "path": Path("x"),
        "pair": _Pair(1, 2.0),
        1: (1, 2),
    }
    assert json.loads(as_json(document)) == {
        "array": [0, 1, 2],
        "scalar": 0.5,
        "nan": None,
        "inf": [None],
        "path": "x",
        "pair": {"a": 1, "b": 2.0},
        "1": [1, 2],
    }
