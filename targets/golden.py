"""The integer golden model as a target: runs everywhere, never wraps unasked, is what all others are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from toolchain.ir import IntegerGraph, as_integer
from toolchain.simulation import GoldenModel, Trace
from toolchain.simulation.registers import Overflow, registers

if TYPE_CHECKING:
    import nir

    from toolchain.quantization.formats import NumberFormat


@dataclass(frozen=True)
class GoldenProgram:
    """A prepared graph; ``run`` takes the options of :func:`toolchain.simulation.simulate`."""

    graph: IntegerGraph
    model: GoldenModel

    def run(self, images: npt.ArrayLike, *, record: str | None = None, **options: Any) -> Trace:
        """Run float images [N, *input shape], as the ANN takes them; ``record="spikes"`` keeps the rasters."""
        return self.model.run(images, record=record, **options)


class GoldenTarget:
    """Always available; has no limits, so every graph of the profile compiles."""

    name: ClassVar[str] = "golden"

    @classmethod
    def available(cls) -> str | None:
        """None: needs nothing beyond the core packages."""
        return None

    def compile(
        self,
        graph: nir.NIRGraph | IntegerGraph,
        *,
        measure: bool = False,
        overflow: Overflow = "exact",
        format: NumberFormat | str | None = None,
        device: str = "cpu",
    ) -> GoldenProgram:
        """Verify and prepare ``graph``; ``measure`` watches membranes also where they are proven to fit, ``overflow``,
        ``format`` and ``device`` are those of ``tc.simulate``.

        Raises ``GraphError``.
        """
        integer = as_integer(graph)
        chosen = registers(overflow, format, integer)
        return GoldenProgram(integer, GoldenModel(integer, measure=measure, registers=chosen, device=device))
