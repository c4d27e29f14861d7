"""What a run of the user's module executed: ATen operators on numbered values, each with its place in the code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from spikec.frontend.obstacles import Obstacle

#: What users call operators that ATen names otherwise.
_SPOKEN = {
    "convolution": "conv",
    "addmm": "linear",
    "mm": "linear",
    "native_batch_norm": "batch_norm",
    "_native_batch_norm_legit_no_training": "batch_norm",
    "max_pool2d_with_indices": "max_pool2d",
    "clip_floor_shift": "activation",
    "view": "flatten",
    "_unsafe_view": "flatten",
    "clamp_min": "clamp",
    "clamp_max": "clamp",
    "_local_scalar_dense": "item",
    "_prelu_kernel": "prelu",
    "log_sigmoid_forward": "logsigmoid",
}


def spoken(operator: str) -> str:
    """The name of an ATen operator as users know it."""
    return _SPOKEN.get(operator, operator.removeprefix("native_").strip("_"))


@dataclass(frozen=True)
class Ref:
    """A value that depends on the image: the number of the operator's result."""

    number: int


@dataclass(frozen=True)
class Place:
    """Where an operator stands: the user's line, the module that runs it, and what it is called there.

    ``module``: dotted name of the innermost module, "" for the network itself. ``kind``: its class. ``leaf``: whether
    the operator is what the module is for, so that it carries the module's name.
    """

    line: str
    module: str
    kind: type | None
    leaf: bool

    def named(self, operator: str) -> str:
        """'file.py:12 (layer1.conv)': the line, as far as it is known, and the layer or the operator."""
        name = self.module if self.leaf and self.module else spoken(operator)
        return f"{self.line} ({name})" if self.line else f"layer {name}"


@dataclass
class Step:
    """One operator that was executed. ``arguments``: by the names of its schema, :class:`Ref` for values that depend on
    the image, tensors and plain values as they are. ``results``: numbers of what it gave, None for what is no tensor.
    """

    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any]
    results: list[int | None]
    place: Place
    random: bool = False

    def refs(self) -> Iterator[int]:
        """Numbers of the values it reads."""
        return (each.number for each in tree_flatten(self.arguments)[0] if isinstance(each, Ref))


@dataclass
class Recording:
    """``steps`` in order; ``shapes`` and ``dtypes`` by number of value, batch axis included; ``image``: number of the
    input; ``output``: what the network returned, with :class:`Ref` in place of tensors; ``state``: parameters and
    buffers by name. ``values``: the tensors themselves where they were kept.
    """

    batch: int
    image: int
    steps: list[Step] = field(default_factory=list)
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    dtypes: dict[int, torch.dtype] = field(default_factory=dict)
    obstacles: list[Obstacle] = field(default_factory=list)
    output: Any = None
    state: Mapping[str, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)

    def live(self) -> list[Step]:
        """The steps that the output depends on."""
        wanted = {each.number for each in tree_flatten(self.output)[0] if isinstance(each, Ref)}
        found = []
        for step in reversed(self.steps):
            if wanted.intersection(step.results):
                wanted.update(step.refs())
                found.append(step)
        return found[::-1]
