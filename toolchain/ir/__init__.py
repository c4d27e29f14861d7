"""The intermediate representation: integer NIR, its verifier, and the integer graph that everything computes with."""

import spikec.ir.profile.shown  # noqa: F401  (graphs show themselves)
from spikec.ir.coding import InputNode, InputRange
from spikec.ir.graph import Delayed, IntegerGraph, Node, Population, Readout
from spikec.ir.kinds import Kind, Timing
from spikec.ir.leak import Leak
from spikec.ir.operations import Affine, Convolution, Flatten, Linear, MaxPool, Operation, SumPool, Synapse, Unflatten
from spikec.ir.profile.build import build
from spikec.ir.profile.decode import as_integer, decode
from spikec.ir.profile.diff import diff
from spikec.ir.profile.files import load, save
from spikec.ir.profile.listing import text
from spikec.ir.profile.verify import Problem, verify
from spikec.ir.types import MEMBRANE_MAX, Int64, Schedule, Shape

__all__ = [
    "MEMBRANE_MAX",
    "Affine",
    "Convolution",
    "Delayed",
    "Flatten",
    "InputNode",
    "InputRange",
    "Int64",
    "IntegerGraph",
    "Kind",
    "Leak",
    "Linear",
    "MaxPool",
    "Node",
    "Operation",
    "Population",
    "Problem",
    "Readout",
    "Schedule",
    "Shape",
    "SumPool",
    "Synapse",
    "Timing",
    "Unflatten",
    "as_integer",
    "build",
    "decode",
    "diff",
    "load",
    "save",
    "text",
    "verify",
]
