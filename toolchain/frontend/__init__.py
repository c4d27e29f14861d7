"""PyTorch in: trace a module, bring it to a closed list of operations, fold, and refuse with a reason."""

from toolchain.frontend.canonical import canonicalize, is_activation
from toolchain.frontend.max_pool import replace_max_pool
from toolchain.frontend.modules import (
    AveragePool,
    ChannelAffine,
    Convolution,
    Dense,
    FlattenAll,
    Lift,
    Rectifier,
)
from toolchain.frontend.obstacles import Obstacle

__all__ = [
    "AveragePool",
    "ChannelAffine",
    "Convolution",
    "Dense",
    "FlattenAll",
    "Lift",
    "Obstacle",
    "Rectifier",
    "canonicalize",
    "is_activation",
    "replace_max_pool",
]
