"""Which function makes the module of an ONNX operator. One function an operator, or a family of the same form."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from spikec.models.from_onnx.node import Node

#: The module; with a module before it where PyTorch needs two, such as a padding.
Built = nn.Module | tuple[nn.Module, nn.Module]
Builder = Callable[[Node], Built]

OPERATORS: dict[str, Builder] = {}

_QUANTISED = "it computes with quantised numbers; export the network in floating point, spikec quantises it itself"
_UNSTEADY = "it runs other nodes depending on a value; export the network with fixed sizes, in evaluation mode"
#: What to say of operators that have no module for a reason of their own.
NEVER = {
    **dict.fromkeys(("If", "Loop", "Scan", "SequenceMap"), _UNSTEADY),
    **dict.fromkeys(
        (
            *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"),
            *("ConvInteger", "MatMulInteger"),
        ),
        _QUANTISED,
    ),
    **dict.fromkeys(
        (*("LayerNormalization", "InstanceNormalization", "GroupNormalization", "LRN"), "MeanVarianceNormalization"),
        "it normalises by statistics of each image, which no spiking layer has; train with batch norm in its place",
    ),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), "recurrent networks come in as NIR files (docs/sequences.md)"),
    **dict.fromkeys(
        ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"),
        "it draws random numbers; export the network in evaluation mode",
    ),
}


def builds(*operators: str) -> Callable[[Builder], Builder]:
    def add(builder: Builder) -> Builder:
        OPERATORS.update(dict.fromkeys(operators, builder))
        return builder

    return add
