"""The integer golden model as a target: runs everywhere, never wraps, is what all others are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from toolchain.ir import IntegerGraph, as_integer
from toolchain.simulation import Trace, simulate

if TYPE_CHECKING:
    import nir


@dataclass(frozen=True)
class GoldenProgram:
    """A decoded graph; ``run`` takes the options of :func:`toolchain.simulation.simulate`."""

    graph: IntegerGraph

    def run(self, images: npt.ArrayLike, *, record: str | None = None, **options: Any) -> Trace:
        """Run float images [N, *input shape], as the ANN takes them; ``record="spikes"`` keeps the rasters."""
        return simulate(self.graph, images, record=record, **options)


class GoldenTarget:
    """Always available; has no limits, so every graph of the profile compiles."""

    name: ClassVar[str] = "golden"

    @classmethod
    def available(cls) -> str | None:
        """None: needs nothing beyond the core packages."""
        return None

    def compile(self, graph: nir.NIRGraph | IntegerGraph) -> GoldenProgram:
        """Verify and decode ``graph``; raises ``GraphError``."""
        return GoldenProgram(as_integer(graph))
