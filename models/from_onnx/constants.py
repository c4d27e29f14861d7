"""What a file says without an image: stored tensors, and nodes that compute with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from spikec.models.from_onnx.bounds import check_result
from spikec.models.from_onnx.file import Model, onnx_package
from spikec.models.from_onnx.module import Fixed


class Evaluator:
    """Computes single nodes with ONNX's reference implementation."""

    def __init__(self, model: Model) -> None:
        self._onnx, self._model = onnx_package(), model

    def stored(self) -> dict[str, np.ndarray[Any, Any]]:
        tensors = self._model.proto.graph.initializer
        return {tensor.name: self._onnx.numpy_helper.to_array(tensor) for tensor in tensors}

    def node(self, proto: Any, known: dict[str, np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        check_result(proto, known, self.attributes(proto))
        helper = self._onnx.helper
        inputs = [name for name in dict.fromkeys(proto.input) if name]
        types = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(known[name].dtype), known[name].shape)
            for name in inputs
        ]
        outputs = [self._onnx.ValueInfoProto(name=name) for name in proto.output if name]
        graph = helper.make_graph([proto], "one", types, outputs)
        made = helper.make_model(graph, opset_imports=list(self._model.proto.opset_import))
        found = iter(self._onnx.reference.ReferenceEvaluator(made).run(None, {name: known[name] for name in inputs}))
        return [np.asarray(next(found)) if name else np.empty(0) for name in proto.output]

    @staticmethod
    def attributes(proto: Any) -> dict[str, Any]:
        onnx = onnx_package()
        found = {each.name: onnx.helper.get_attribute_value(each) for each in proto.attribute}
        return {
            name: list(v) if not isinstance(v, int | float | bytes) and hasattr(v, "__iter__") else v
            for name, v in found.items()
        }


_NONNEGATIVE = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Hardsigmoid, nn.Softmax)
_KEEPING = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.Identity, nn.Flatten)


def nonnegative(module: nn.Module, inputs: bool) -> bool:
    """Whether all that the module gives is at least 0; ``inputs``: whether all that it takes is."""
    if isinstance(module, nn.Hardtanh):
        return module.min_val >= 0
    if isinstance(module, Fixed) and module.settings.get("min") is not None:
        return bool(module.settings["min"] >= 0)
    return isinstance(module, _NONNEGATIVE) or (inputs and isinstance(module, _KEEPING))
