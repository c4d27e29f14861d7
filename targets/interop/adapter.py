"""What an adapter is: the framework's importer, and the one to three lines that make it keep our neuron."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import nir
from torch import Tensor, nn

#: What a deployment may require of every adapter: all of them subtract, take a start, and agree on ties.
HONOURED = frozenset({"reset=subtract", "spike_cmp=ge", "v_init", "nir_type_check=off", "per_neuron_threshold"})
#: What all importers know between input and output.
NODES = (nir.Affine, nir.Conv2d, nir.Flatten, nir.IF, nir.SumPool2d)


class Adapter(ABC):
    """Base of the adapters. Importing the class needs no framework, its methods do.

    Both networks take the input of one step and the state after the last one (None at first) and return output and
    state; their neurons are submodules under the names of the graph.

    ``requirement``: the release the adapter was tested with. ``batch_axis``: whether the framework counts a batch axis
    that the importer's Flatten skips. ``honours``: entries of a file's ``requires`` that the adapter keeps to.
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
        """Let ``neuron`` start the next image at ``membrane`` (its shape, with a batch axis where there is one)."""
