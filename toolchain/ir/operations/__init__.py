"""Operations between neurons, one file each. ``docs/extending.md`` says how to add one."""

from spikec.ir.operations.affine import Affine
from spikec.ir.operations.base import OPERATIONS, Linear, Operation, Synapse, operation_of, register
from spikec.ir.operations.convolution import Convolution
from spikec.ir.operations.flatten import Flatten
from spikec.ir.operations.groups import expand_groups
from spikec.ir.operations.max_pool import MaxPool
from spikec.ir.operations.sum_pool import SumPool
from spikec.ir.operations.unflatten import Unflatten

__all__ = [
    "OPERATIONS",
    "Affine",
    "Convolution",
    "Flatten",
    "Linear",
    "MaxPool",
    "Operation",
    "SumPool",
    "Synapse",
    "Unflatten",
    "expand_groups",
    "operation_of",
    "register",
]
