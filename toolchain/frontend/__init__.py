"""PyTorch front end: trace a module, rewrite it to a closed list of operations, fold, or refuse with a reason."""

from spikec.frontend.canonical import canonicalize
from spikec.frontend.final import dropped, dropped_by_output
from spikec.frontend.first_layer import first_layer, image_shape
from spikec.frontend.layers import with_layers
from spikec.frontend.max_places import measure_lifts, take_lifts
from spikec.frontend.max_pool import replace_max_pool
from spikec.frontend.modules import (
    AveragePool,
    ChannelAffine,
    Convolution,
    Dense,
    FlattenAll,
    Lift,
    LinearMap,
    Lower,
    MaxPool,
    Rectifier,
    Staircase,
)
from spikec.frontend.nodes import is_activation, module_of
from spikec.frontend.obstacles import Obstacle
from spikec.frontend.outputs import has_classes, only_output, output_nodes

__all__ = [
    "AveragePool",
    "ChannelAffine",
    "Convolution",
    "Dense",
    "FlattenAll",
    "Lift",
    "LinearMap",
    "Lower",
    "MaxPool",
    "Obstacle",
    "Rectifier",
    "Staircase",
    "canonicalize",
    "dropped",
    "dropped_by_output",
    "first_layer",
    "has_classes",
    "image_shape",
    "is_activation",
    "measure_lifts",
    "module_of",
    "only_output",
    "output_nodes",
    "replace_max_pool",
    "take_lifts",
    "with_layers",
]
