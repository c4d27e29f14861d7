"""What the workers of counting tools share: cases read from a folder, layers of torch. Imports nothing of spikec."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Case = dict[str, Any]
Count = Callable[[Case, Any], dict[str, float]]


def work(count: Count) -> None:
    """``count(case, arrays)`` of every case of the folder on the command line, into ``results.json``."""
    folder = Path(sys.argv[1])
    plan = json.loads((folder / "plan.json").read_text())
    results = [count(case, np.load(folder / f"{index}.npz")) for index, case in enumerate(plan)]
    (folder / "results.json").write_text(json.dumps(results))


def layer_of(description: Case, arrays: Any, *, bias: bool, double: bool = True) -> Any:
    """A torch layer with the weights of the case; with its bias where it is not zero and ``bias`` asks for it."""
    import torch
    from torch import nn

    weight, offset = (arrays[f"{description['name']}/{part}"] for part in ("weight", "bias"))
    bias = bias and bool(offset.any())
    if description["kind"] == "affine":
        layer: nn.Module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    else:
        geometry = {key: tuple(description[key]) for key in ("stride", "padding", "dilation")}
        groups = description["groups"]
        layer = nn.Conv2d(
            weight.shape[1] * groups, weight.shape[0], weight.shape[2:], groups=groups, bias=bias, **geometry
        )
    kind = torch.float64 if double else torch.float32
    layer.weight = nn.Parameter(torch.from_numpy(weight).to(kind))
    if bias:
        layer.bias = nn.Parameter(torch.from_numpy(offset).to(kind))
    return layer
