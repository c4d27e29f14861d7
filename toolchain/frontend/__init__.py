"""PyTorch front end: trace a module, rewrite it to a closed list of operations, fold, or refuse with a reason."""

from spikec.frontend.canonical import canonicalize, is_activation
from spikec.frontend.max_pool import replace_max_pool
from spikec.frontend.modules import (
    AveragePool,
    ChannelAffine,
    Convolution,
    Dense,
    FlattenAll,
    Lift,
    Rectifier,
)
from spikec.frontend.obstacles import Obstacle

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
