"""PyTorch front end: trace a module, rewrite it to a closed list of operations, fold, or refuse with a reason."""

from spikec.frontend.canonical import canonicalize
from spikec.frontend.max_places import measure_lifts
from spikec.frontend.max_pool import replace_max_pool
from spikec.frontend.modules import (
    AveragePool,
    ChannelAffine,
    Convolution,
    Dense,
    FlattenAll,
    Lift,
    MaxPool,
    Rectifier,
)
from spikec.frontend.nodes import is_activation, module_of
from spikec.frontend.obstacles import Obstacle

__all__ = [
    "AveragePool",
    "ChannelAffine",
    "Convolution",
    "Dense",
    "FlattenAll",
    "Lift",
    "MaxPool",
    "Obstacle",
    "Rectifier",
    "canonicalize",
    "is_activation",
    "measure_lifts",
    "module_of",
    "replace_max_pool",
]
