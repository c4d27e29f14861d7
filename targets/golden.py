"""The integer golden model as a target: runs everywhere, wraps only if asked to, is the reference for all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from spikec.targets.options import Option, Options, early_exit

if TYPE_CHECKING:
    import nir

    from spikec.analysis.formats import NumberFormat
    from spikec.ir import IntegerGraph
    from spikec.simulation import GoldenModel, Trace
    from spikec.simulation.registers import Overflow


def _memory(text: str) -> str:
    from spikec.simulation.golden import parse_memory  # here, since listing the options should not import torch

    parse_memory(text)
    return text


@dataclass(frozen=True)
class GoldenProgram:
    """A prepared graph; ``run`` takes the options of :func:`spikec.simulation.simulate`."""

    graph: IntegerGraph
    model: GoldenModel

    def run(self, images: npt.ArrayLike, *, record: str | None = None, **options: Any) -> Trace:
        """Run float images [N, *input shape], as the ANN takes them; ``record="spikes"`` keeps the rasters."""
        return self.model.run(images, record=record, **options)


@dataclass(frozen=True)
class GoldenSequences:
    """A graph whose runs are as long as their sequences; ``settings``: options of :func:`spikec.simulation.simulate`
    that were given to ``compile``."""

    graph: IntegerGraph
    settings: dict[str, Any]

    def run(self, sequences: npt.ArrayLike, *, record: str | None = None, **options: Any) -> Trace:
        """Run numbers [N, steps, *input shape], or a list of sequences of different lengths."""
        from spikec.simulation import simulate

        return simulate(self.graph, sequences, record=record, **self.settings, **options)


class GoldenTarget:
    """Always available. It has no limits, so every graph of the profile compiles."""

    name: ClassVar[str] = "golden"
    images_at_once: ClassVar[int] = 256
    options: ClassVar[Options] = Options(
        "options of the golden model",
        (
            Option(
                "memory",
                "bounds the working set of a batch, e.g. 2GB (default 1GB)",
                at="run",
                parse=_memory,
                metavar="SIZE",
            ),
            Option("threads", "torch threads (default: torch's choice)", at="run", least=1, metavar="N"),
            early_exit(at="run"),
        ),
    )

    @classmethod
    def available(cls) -> str | None:
        """Always None: the core packages are enough."""
        return None

    def compile(
        self,
        graph: nir.NIRGraph | IntegerGraph,
        *,
        measure: bool = False,
        overflow: Overflow = "exact",
        format: NumberFormat | str | None = None,
        device: str = "cpu",
    ) -> GoldenProgram | GoldenSequences:
        """Verify and prepare ``graph``. Raises ``GraphError``.

        ``measure``: also watch membranes that are proven to fit. ``overflow``, ``format`` and ``device``: as for
        ``tc.simulate``.
        """
        from spikec.ir import as_integer
        from spikec.simulation import GoldenModel
        from spikec.simulation.registers import registers

        integer = as_integer(graph)
        if integer.sequences:
            settings = {"measure": measure, "overflow": overflow, "format": format, "device": device}
            return GoldenSequences(integer, settings)
        chosen = registers(overflow, format, integer)
        return GoldenProgram(integer, GoldenModel(integer, measure=measure, registers=chosen, device=device))
