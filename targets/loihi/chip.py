"""Loihi 1 and Loihi 2 as chips of the registry: all they differ in is data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from spikec.analysis.formats import NumberFormat
from spikec.analysis.violations import Violation
from spikec.targets.chips import Limit
from spikec.targets.chips import Placement as AnyPlacement
from spikec.targets.loihi.limits import load_limits
from spikec.targets.loihi.placement import Placement, place
from spikec.targets.loihi.rules import check

if TYPE_CHECKING:
    import nir

    from spikec.ir.graph import IntegerGraph


class Loihi:
    """A chip of the family, by its ``name``; its numbers lie in the TOML files beside this one."""

    name: ClassVar[str]

    @property
    def title(self) -> str:
        return load_limits(self.name).title

    @property
    def form(self) -> NumberFormat:
        return load_limits(self.name).form

    @property
    def limits(self) -> Mapping[str, Limit]:
        return load_limits(self.name).limits

    @property
    def profile(self) -> str:
        return self.name

    def check(self, graph: nir.NIRGraph | IntegerGraph, *, placement: AnyPlacement | None = None) -> list[Violation]:
        """All violations of ``graph``, errors first; empty when nothing is wrong."""
        return check(graph, self.name, placement=placement)

    def place(self, graph: nir.NIRGraph | IntegerGraph, *, shared: bool = True) -> Placement:
        """Split ``graph`` over cores; ``shared=False`` stores every synapse of a convolution by itself."""
        return place(graph, self.name, shared=shared)


class Loihi1(Loihi):
    """Loihi 1."""

    name = "loihi1"


class Loihi2(Loihi):
    """Loihi 2."""

    name = "loihi2"
