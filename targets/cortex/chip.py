"""The microcontroller as a chip of the registry: its numbers lie in the TOML files beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from spikec.analysis.formats import NumberFormat, load_format
from spikec.analysis.violations import Violation
from spikec.ir import as_integer
from spikec.targets.chips import Limit
from spikec.targets.chips import Placement as AnyPlacement
from spikec.targets.cortex.limits import load_limits
from spikec.targets.cortex.placement import Placement, place
from spikec.targets.cortex.rules import check

if TYPE_CHECKING:
    import nir

    from spikec.ir.graph import IntegerGraph


class CortexM4:
    """An ARM Cortex-M4 with the memories of a common part. No energy is known of it: ``profile`` is None."""

    name: ClassVar[str] = "cortex-m4"
    profile: ClassVar[None] = None

    @property
    def title(self) -> str:
        return load_limits(self.name).title

    @property
    def form(self) -> NumberFormat:
        return load_format(self.name)

    @property
    def limits(self) -> Mapping[str, Limit]:
        return load_limits(self.name).limits

    def check(self, graph: nir.NIRGraph | IntegerGraph, *, placement: AnyPlacement | None = None) -> list[Violation]:
        """All violations of ``graph``, errors first; empty when nothing is wrong."""
        return check(as_integer(graph), load_limits(self.name), self.form, placement)

    def place(self, graph: nir.NIRGraph | IntegerGraph, *, shared: bool = True) -> Placement:
        """Everything on the one core. ``shared=False`` changes nothing: kernels are always stored once."""
        return place(as_integer(graph), load_limits(self.name))
