"""What an adapter is: the framework's importer, and the few lines that make it follow our neuron."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import nir
from torch import Tensor, nn

#: Requirements of a file that an adapter fulfils unless it says otherwise.
HONOURED = frozenset({"reset=subtract", "spike_cmp=ge", "v_init", "nir_type_check=off", "per_neuron_threshold"})
#: The nodes between input and output that every importer knows.
NODES = (nir.Affine, nir.Conv2d, nir.Flatten, nir.IF, nir.SumPool2d)


class Adapter(ABC):
    """Base of the adapters. Its methods need the framework; importing the class does not.

    The networks of :meth:`importer` and :meth:`load` take the input of one step and the state after the step before
    (None at first). They return output and state. Their neurons are submodules, named as in the graph.

    ``requirement``: the release the adapter was tested with. ``batch_axis``: whether the framework counts a batch axis
    that the importer's Flatten skips. ``honours``: the entries of a file's ``requires`` that the adapter fulfils.
    """

    framework: ClassVar[str]
    requirement: ClassVar[str]
    batch_axis: ClassVar[bool] = False
    honours: ClassVar[frozenset[str]] = HONOURED

    @abstractmethod
    def importer(self, graph: nir.NIRGraph) -> nn.Module:
        """The network as the framework imports it, unadjusted."""

    @abstractmethod
    def load(self, graph: nir.NIRGraph) -> nn.Module:
        """The network with neurons that subtract the threshold and fire at most once in a step."""

    @abstractmethod
    def set_membrane(self, neuron: nn.Module, membrane: Tensor) -> None:
        """Make ``neuron`` start the next image at ``membrane`` (its shape, with a batch axis if there is one)."""
