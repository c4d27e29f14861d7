"""What a placement on the cores of a chip tells: where neurons are, and how far their messages go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from spikec.ir.types import Int64


class Hops(Protocol):
    """Tile and chip borders the messages of one spike of each neuron cross."""

    @property
    def east_west(self) -> Int64: ...

    @property
    def north_south(self) -> Int64: ...

    @property
    def crossings(self) -> Int64: ...


class Placement(Protocol):
    """Which core computes which neurons, as far as counts and estimates need it; ``tc.place`` makes one."""

    @property
    def cores(self) -> Sequence[object]: ...

    @property
    def chips(self) -> int: ...

    @property
    def cores_of(self) -> Mapping[str, int]: ...

    @property
    def core_of(self) -> Mapping[str, Int64]:
        """Core of every neuron, by layer."""
        ...

    @property
    def places(self) -> Int64:
        """Chip, column and row of every core's tile, int64 [cores, 3]."""
        ...

    def messages(self, layer: str) -> Int64:
        """Cores a spike of each neuron goes to, of the layer's shape."""
        ...

    def hops(self, layer: str) -> Hops: ...

    def messages_into(self, layer: str, spikes: Int64) -> Int64:
        """Messages every core receives, int64 [cores], if the neurons of ``layer`` spike that often."""
        ...

    def routes(self, layer: str, spikes: Int64) -> Int64:
        """Messages from core to core, int64 [pairs, 3], if the neurons of ``layer`` spike that often."""
        ...
