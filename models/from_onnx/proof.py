"""Whether a module computes what its ONNX file means, by the reference implementation that comes with ``onnx``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from spikec.errors import DataError
from spikec.models.from_onnx.file import Model, onnx_package
from spikec.models.from_onnx.module import OnnxNetwork
from spikec.models.from_onnx.reference import corrected

_TOLERANCE = 1e-4
#: Where all values are smaller than this, they may be what rounding leaves of larger ones.
_SMALLEST = 1e-3
#: Files with numbers of half the bits are computed in them by the reference, and in float32 here.
_HALF_TOLERANCE = 2e-2


def compare_with_onnx(model: Model, network: OnnxNetwork, shape: tuple[int, ...], last: bool) -> None:
    """Raises :class:`DataError` that names the first node whose values differ on random images, or where a file mixes
    its images. The reference gets one image after another, or as many as the file is made for, the module all at once.
    """
    generator = torch.Generator().manual_seed(1)
    group = model.batch or 1
    images = torch.randn((2 * group, *shape), generator=generator)
    with torch.no_grad():
        found = network(images)
    mine = list(found.values()) if isinstance(found, dict) else [found]
    if _difference(mine, _reference(model, model.proto, images, group, last)) <= _limit(model):
        return
    raise DataError(f"{model.path}: {_first(model, network, images, group, last)}")


def _limit(model: Model) -> float:
    return _HALF_TOLERANCE if model.half else _TOLERANCE


def _reference(model: Model, proto: Any, images: torch.Tensor, group: int, last: bool) -> list[np.ndarray[Any, Any]]:
    onnx = onnx_package()
    given = (images.permute(0, 2, 3, 1) if last else images).contiguous().numpy()
    about = next(value for value in proto.graph.input if value.name == model.input).type.tensor_type
    given = given.astype(onnx.helper.tensor_dtype_to_np_dtype(about.elem_type))
    try:
        evaluator = onnx.reference.ReferenceEvaluator(proto, new_ops=corrected(onnx))
        parts = [
            evaluator.run(None, {model.input: given[start : start + group]}) for start in range(0, len(given), group)
        ]
    except Exception as error:  # whatever an operator of the reference raises
        raise DataError(
            f"{model.path} cannot be checked, since ONNX's reference fails: {' '.join(str(error).split())[:300]}"
        ) from error
    return [np.concatenate(each).astype(np.float64) for each in zip(*parts, strict=True)]


def _difference(mine: list[torch.Tensor], theirs: list[np.ndarray[Any, Any]]) -> float:
    """The largest difference, in parts of the largest value; infinite where shapes differ."""
    worst = 0.0
    for a, b in zip(mine, theirs, strict=True):
        if tuple(a.shape) != b.shape:
            return float("inf")
        finite = np.isfinite(b)
        values = a.double().numpy()
        if not np.array_equal(np.isfinite(values), finite):
            return float("inf")
        scale = max(_SMALLEST, float(np.abs(b[finite]).max(initial=0)))
        worst = max(worst, float(np.abs(values - b)[finite].max(initial=0)) / scale)
    return worst


def _first(model: Model, network: OnnxNetwork, images: torch.Tensor, group: int, last: bool) -> str:
    """The first node that differs, in words."""
    onnx = onnx_package()
    values: dict[str, Any] = {network.source: images}
    with torch.no_grad():
        for step, results in network.run(values):
            values.update(zip(step.outputs, results, strict=False))
    proto = type(model.proto)()
    proto.CopyFrom(model.proto)
    nodes = [node for node in proto.graph.node if node.output and node.output[0] in values]
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in nodes)
    reference = _reference(model, proto, images, group, last)
    for node, theirs in zip(nodes, reference, strict=True):
        difference = _difference([values[node.output[0]]], [theirs])
        if difference > _limit(model):
            name = node.name or node.output[0]
            return (
                f"its node {name} ({node.op_type}) gives other values here than ONNX says, by {difference:.2g}; "
                "replace this node, or report it with the file"
            )
    return "it mixes the images of a batch, or computes something else for each of them"
