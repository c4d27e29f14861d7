"""The intermediate representation: integer NIR, its verifier, and the integer graph that everything computes with."""

from toolchain.ir.build import build
from toolchain.ir.decode import as_integer, decode
from toolchain.ir.diff import diff
from toolchain.ir.files import load, save
from toolchain.ir.integer import (
    MEMBRANE_MAX,
    Affine,
    Convolution,
    Flatten,
    InputNode,
    IntegerGraph,
    Linear,
    Node,
    Population,
    Readout,
    SumPool,
    Synapse,
)
from toolchain.ir.text import text
from toolchain.ir.verify import Problem, verify

__all__ = [
    "MEMBRANE_MAX",
    "Affine",
    "Convolution",
    "Flatten",
    "InputNode",
    "IntegerGraph",
    "Linear",
    "Node",
    "Population",
    "Problem",
    "Readout",
    "SumPool",
    "Synapse",
    "as_integer",
    "build",
    "decode",
    "diff",
    "load",
    "save",
    "text",
    "verify",
]
