"""Builds the module of an ONNX file, node by node, on two numbers of images at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikec.errors import DataError, UnsupportedOperation
from spikec.guarded import reading
from spikec.models.from_onnx import arranging, layers, pointwise  # noqa: F401 (they register their operators)
from spikec.models.from_onnx.constants import Evaluator, nonnegative
from spikec.models.from_onnx.file import Model, by, open_onnx, opset_of
from spikec.models.from_onnx.module import Fixed, OnnxNetwork, Step
from spikec.models.from_onnx.names import Paths
from spikec.models.from_onnx.node import Node, Pair, Refused
from spikec.models.from_onnx.proof import compare_with_onnx
from spikec.models.from_onnx.registry import NEVER, OPERATORS

#: Operators that look at the shape of a value alone.
_OF_SIZE = ("Shape", "Size")
#: Operators that may make stored weights, which is exact, but no activations.
_QUANTISING = ("QuantizeLinear", "DequantizeLinear")
#: Two numbers of images: what differs between them depends on the number.
_IMAGES = (2, 3)


def read_onnx(path: Path, image_shape: Sequence[int] | None = None) -> OnnxNetwork:
    """The network of an ONNX file, float32, in eval mode, for any number of images at once.

    ``image_shape``: of one image, for sizes that the file leaves open; images [C, H, W] are also given to files that
    take [H, W, C]. Modules have the names of the nodes, ``/`` as ``.``. Its outputs equal those of ONNX's reference
    implementation on random images within 1e-4.
    Raises :class:`DataError` for the file, :class:`UnsupportedOperation` with all nodes that have no counterpart here.
    """
    with reading(path, "ONNX"):  # onnx's own check lets names that are no text pass, and values that are cut off
        model = open_onnx(path)
        shape, last = _shape(model, image_shape)
        network = _Builder(model, shape, last).build()
        compare_with_onnx(model, network, shape, last)
    return network


def _shape(model: Model, image: Sequence[int] | None) -> tuple[tuple[int, ...], bool]:
    """The shape of one image as the module takes it, and whether the file wants channels last."""
    known = model.shape
    if image is not None:
        if _agrees(known, image):
            return tuple(image), False
        if len(image) == 3 and _agrees(known, (*image[1:], image[0])):
            return tuple(image), True
        raise DataError(
            f"{model.path} takes images of {by(known)}, the data have {by(image)}: give the data set it was trained on "
            "with --data, in its size"
        )
    if None in known:
        raise DataError(f"{model.path} leaves the size of images open ({by(known)}): give images, or export it fixed")
    return tuple(size for size in known if size is not None), False


def _agrees(known: Sequence[int | None], image: Sequence[int]) -> bool:
    return len(known) == len(image) and all(k in (None, size) for k, size in zip(known, image, strict=True))


@dataclass
class _Builder:
    model: Model
    shape: tuple[int, ...]
    last: bool
    #: What is known of each value of the graph: a constant, sizes, or an example for each number of images.
    constants: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    sizes: dict[str, Pair] = field(default_factory=dict)
    examples: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    #: Values that cannot be computed here, since a node before them was refused.
    unknown: set[str] = field(default_factory=set)
    same_as: dict[str, str] = field(default_factory=dict)
    nonnegative: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    modules: dict[str, nn.Module] = field(default_factory=dict)
    refused: dict[str, list[str]] = field(default_factory=dict)

    def build(self) -> OnnxNetwork:
        graph = self.model.proto.graph
        evaluate, paths = Evaluator(self.model), Paths()
        self.constants = evaluate.stored()
        self._start()
        for number, proto in enumerate(graph.node):
            names = [name for name in proto.input if name]
            if any(name in self.unknown for name in names):
                self._skip(proto)
            elif any(name in self.examples for name in names) and proto.op_type not in _OF_SIZE:
                self._add(proto, paths.of(proto, number))
            else:
                self._compute(proto, evaluate)
        if self.refused:
            raise self._obstacles()
        outputs = [self.same_as.get(value.name, value.name) for value in graph.output]
        still = [name for name in outputs if name not in self.examples]
        if still:
            raise DataError(f"{self.model.path}: its output {', '.join(still)} does not depend on the image")
        network = OnnxNetwork(self.model.input, *_needed(self.steps, self.modules, outputs), outputs)
        return network.eval()

    def _start(self) -> None:
        generator = torch.Generator().manual_seed(0)
        images = tuple(torch.rand((n, *self.shape), generator=generator) for n in _IMAGES)
        name = self.model.input
        self.examples[name] = (images[0], images[1])
        if self.last:
            self.modules["channels_last"] = Fixed(torch.permute, dims=(0, 2, 3, 1))
            self.steps.append(Step("channels_last", (name,), (_LAST,)))
            self.same_as[name] = _LAST
            self.examples[_LAST] = (images[0].permute(0, 2, 3, 1), images[1].permute(0, 2, 3, 1))

    def _source(self, name: str) -> str:
        return self.same_as.get(name, name)

    def _compute(self, proto: Any, evaluate: Evaluator) -> None:
        """A node that no image reaches, or that asks for a shape only."""
        if proto.op_type in NEVER and proto.op_type not in _QUANTISING:
            self._refuse(proto, NEVER[proto.op_type])
            return
        pairs = []
        try:
            for i in range(2):
                known = {n: v[i] for n, v in self.sizes.items()} | self.constants
                shaped = {n: self.examples[self._source(n)][i].numpy() for n in proto.input if n in self.examples}
                pairs.append(evaluate.node(proto, known | shaped))
        except Exception as error:  # whatever the reference implementation raises
            self._refuse(proto, f"it cannot be computed: {' '.join(str(error).split())[:200]}")
            return
        for name, first, second in zip(proto.output, *pairs, strict=False):
            if name and first.shape == second.shape and np.array_equal(first, second):
                self.constants[name] = first
            elif name:
                self.sizes[name] = (first, second)

    def _add(self, proto: Any, path: str) -> None:
        taken = [self._source(name) for name in proto.input]
        if self._is_back(proto, taken):
            self.same_as[proto.output[0]] = self.model.input
            self.examples[proto.output[0]] = self.examples[self.model.input]
            return
        if proto.domain not in ("", "ai.onnx"):
            self._refuse(proto, f"it belongs to {proto.domain}, not to ONNX; export without optimising for a runtime")
            return
        builder = OPERATORS.get(proto.op_type)
        if builder is None:
            self._refuse(proto, NEVER.get(proto.op_type, "it has no counterpart here; write it with other operators"))
            return
        places = {i: name for i, name in enumerate(taken) if name}
        node = Node(
            proto,
            Evaluator.attributes(proto),
            {i: self.constants[name] for i, name in places.items() if name in self.constants},
            {i: self.sizes[name] for i, name in places.items() if name in self.sizes},
            {i: self.examples[name] for i, name in places.items() if name in self.examples},
            opset_of(self.model.proto),
            self.model.batch,
            taken[0] in self.nonnegative,
        )
        inputs = tuple(name for name in places.values() if name in self.examples)
        try:
            made = builder(node)
            node.check_all_read()
            chain = made if isinstance(made, tuple) else (made,)
            results = self._tried(chain, inputs)
        except Refused as error:
            self._refuse(proto, str(error))
            return
        except Exception as error:  # sizes or settings that PyTorch refuses
            self._refuse(proto, f"PyTorch refuses it: {' '.join(str(error).split())[:200]}")
            return
        outputs = tuple(proto.output)
        if len(chain) == 2:
            between = f"{outputs[0]} padded"
            self._step(f"{path}_padding", chain[0], inputs, (between,))
            inputs = (between,)
        self._step(path, chain[-1], inputs, outputs)
        for name, first, second in zip(outputs, *results, strict=False):
            self.examples[name] = (first, second)
        if nonnegative(chain[-1], all(name in self.nonnegative for name in inputs)):
            self.nonnegative |= set(outputs)

    def _step(self, path: str, module: nn.Module, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        self.modules[path] = module.eval()
        self.steps.append(Step(path, inputs, outputs))

    def _tried(self, chain: Sequence[nn.Module], inputs: tuple[str, ...]) -> list[tuple[Tensor, ...]]:
        results = []
        with torch.no_grad():
            for i, images in enumerate(_IMAGES):
                found: Any = tuple(self.examples[name][i] for name in inputs)
                for module in chain:
                    found = module.eval()(*found)
                    found = found if isinstance(found, tuple) else (found,)
                if any(each.ndim == 0 or each.shape[0] != images for each in found):
                    raise Refused("it mixes images: its output has other than one part for each image")
                results.append(found)
        return results

    def _is_back(self, proto: Any, taken: list[str]) -> bool:
        """Whether the node turns channels-last images into the images that were given."""
        order = Evaluator.attributes(proto).get("perm")
        return proto.op_type == "Transpose" and taken[:1] == [_LAST] and order == [0, 3, 1, 2]

    def _refuse(self, proto: Any, reason: str) -> None:
        name = proto.name or next(iter(proto.output), "")
        self.refused.setdefault(f"{proto.op_type}: {reason}", []).append(name)
        self.unknown |= set(proto.output)

    def _skip(self, proto: Any) -> None:
        """Behind a refused node only what can never be taken is added to the list."""
        if proto.op_type in NEVER or (proto.op_type not in OPERATORS and not self._of_sizes(proto)):
            self._refuse(proto, NEVER.get(proto.op_type, "it has no counterpart here; write it with other operators"))
        self.unknown |= set(proto.output)

    @staticmethod
    def _of_sizes(proto: Any) -> bool:
        return proto.op_type in (*_OF_SIZE, "ConstantOfShape", "Range", "Where", "Equal")

    def _obstacles(self) -> UnsupportedOperation:
        from spikec.models.checkpoints.names import some

        lines = [f"{reason} (at {some(names, 5)})" for reason, names in self.refused.items()]
        return UnsupportedOperation.listing(str(self.model.path), lines)


#: The name of images with channels last; no value of a file has a space in front.
_LAST = " channels last"


def _needed(
    steps: list[Step], modules: dict[str, nn.Module], outputs: list[str]
) -> tuple[list[Step], dict[str, nn.Module]]:
    """What the outputs need; each step says which values nothing reads after it."""
    read, kept = set(outputs), list[Step]()
    for step in reversed(steps):
        if read & set(step.outputs):
            spent = tuple(dict.fromkeys(n for n in (*step.inputs, *step.outputs) if n not in read))
            read |= set(step.inputs)
            kept.append(replace(step, spent=tuple(name for name in spent if name)))
    kept.reverse()
    return kept, {step.path: modules[step.path] for step in kept}
