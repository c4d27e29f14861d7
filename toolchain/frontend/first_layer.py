"""What images a network takes, as far as its first layer says so."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import fx, nn

from spikec.errors import ToolchainError
from spikec.frontend.tracing import own_copy, symbolic

#: Heights and widths that are tried, the usual ones first.
_SIZES = (32, 28, 224, 64, 96, 128, 16, 8, 48, 112, 256, 299)


@dataclass(frozen=True)
class FirstLayer:
    """``numbers``: the channels that a convolution reads, or the numbers that a linear layer reads of each image.
    ``reshaped``: something brings the image into another shape before it."""

    name: str
    image: bool
    numbers: int
    reshaped: bool

    @property
    def wanted(self) -> str:
        if self.image:
            return f"images of {self.numbers} channel{'s' if self.numbers > 1 else ''}"
        return f"{'images' if self.reshaped else 'vectors'} of {self.numbers} numbers"

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether images of ``shape``, (C, H, W) or (F,), may be meant for it; their height and width are not known."""
        if self.image:
            return self.reshaped or (len(shape) == 3 and shape[0] == self.numbers)
        return math.prod(shape) == self.numbers if self.reshaped else shape[-1] == self.numbers


def first_layer(model: nn.Module) -> FirstLayer | None:
    """The first layer with weights that reads the image; None where tracing fails or the network starts otherwise."""
    try:
        graph = symbolic(own_copy(model).eval())
    except ToolchainError:
        return None
    images: set[fx.Node] = set()
    reshaped: set[fx.Node] = set()
    for node in graph.graph.nodes:
        if node.op == "placeholder" and not node.args and not images:
            images.add(node)
        if node not in images and not images & set(node.all_input_nodes):
            continue
        images.add(node)
        if reshaped & set(node.all_input_nodes) or _reshapes(graph, node):
            reshaped.add(node)
        module = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, nn.Conv2d):
            return FirstLayer(str(node.target), True, module.in_channels, node in reshaped)
        if isinstance(module, nn.Linear):
            return FirstLayer(str(node.target), False, module.in_features, node in reshaped)
        if isinstance(module, nn.Conv1d):
            return None
    return None


def _reshapes(graph: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        module = graph.get_submodule(str(node.target))
        return not isinstance(
            module, nn.Conv2d | nn.Linear | nn.Dropout | nn.Identity | nn.BatchNorm1d | nn.BatchNorm2d
        )
    named = node.target if node.op == "call_method" else getattr(node.target, "__name__", "")
    return node.op != "placeholder" and named not in ("add", "sub", "mul", "truediv", "div", "subtract", "float", "to")


def image_shape(model: nn.Module) -> tuple[int, ...] | None:
    """(C, H, W) of images that the network runs on: channels of its first layer, and the first usual size that works;
    None where that layer is no convolution of the image or no size works."""
    found = first_layer(model)
    if found is None or not found.image or found.reshaped:
        return None
    for size in _SIZES:
        try:
            with torch.no_grad():
                own_copy(model).eval()(torch.zeros(2, found.numbers, size, size))
        except Exception:  # the user's code may raise anything
            continue
        return found.numbers, size, size
    return None
