"""The cost of a network in C: memory, operations, traffic and cycles, as a value, a text and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from spikec.ir import as_integer
from spikec.simulation.trace import Trace
from spikec.targets.c.code import Choices, Source, generate
from spikec.targets.c.cost.compiled import Compiled, compiled
from spikec.targets.c.cost.cycles import CycleModel, cycle_model
from spikec.targets.c.cost.sections import Sections, sections
from spikec.targets.c.cost.work import Work, totals, work

if TYPE_CHECKING:
    import nir

    from spikec.ir.graph import IntegerGraph


@dataclass(frozen=True)
class Cost:
    """``code``: what a compiler made of it for speed and for size, empty where there is none. ``work``: per image, node
    by node; of ``images`` of a trace on average, or of the worst image (None). ``asked``: whether a compiler was looked
    for."""

    sections: Sections
    code: tuple[Compiled, ...]
    work: tuple[Work, ...]
    images: int | None
    model: CycleModel
    asked: bool = True

    @property
    def flash(self) -> int:
        """Bytes of constants, and of instructions where they are known: those of the fastest code."""
        return self.sections.flash + (self.code[0].instructions if self.code else 0)

    @property
    def ram(self) -> int:
        """Bytes of the state, and of the stack where it is known."""
        return self.sections.ram + (self.code[0].stack if self.code else 0)

    @property
    def cycles(self) -> tuple[float, float]:
        """Cycles of one image, lowest and highest by the model."""
        ends = [self.model.cycles(each) for each in self.work]
        return sum(low for low, _ in ends), sum(high for _, high in ends)

    def to_json(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "flash": {"constants": dict(self.sections.constants), "total": self.flash},
            "ram": {
                "state": dict(self.sections.state),
                "used_in_turns": self.sections.turns,
                "taking_turns": dict(self.sections.sharing),
                "total": self.ram,
            },
            "compiled": [asdict(each) for each in self.code],
            "images": self.images,
            "per_image": dict(totals(self.work)),
            "nodes": [{**asdict(each), "cycles": list(self.model.cycles(each))} for each in self.work],
            "cycles": {
                "low": self.cycles[0],
                "high": self.cycles[1],
                "model": self.model.title,
                "source": self.model.source,
                "left_out": self.model.left_out,
            },
        }

    def text(self, clock: int | None = None) -> str:
        """For a terminal. ``clock`` in Hz gives times beside cycles."""
        from spikec.targets.c.cost.text import text

        return text(self, clock)

    def __str__(self) -> str:
        return self.text()


def cost(
    graph: nir.NIRGraph | IntegerGraph,
    trace: Trace | None = None,
    *,
    source: Source | None = None,
    choices: Choices | None = None,
    compile: bool = True,
) -> Cost:
    """What the generated C of ``graph`` costs a Cortex-M4.

    ``trace``: of images whose operations are counted, made with ``simulate(..., counts=True)``; without one the worst
    image is taken. ``source``: the code, if it is there; ``choices``: as it is to be written. ``compile=False`` asks no
    compiler. Raises ``DataError`` for a trace of another network, ``ToolchainError`` for a graph that has no form in C.
    """
    net = as_integer(graph)
    made = generate(net, "net", choices) if source is None else source
    found = work(net, made, trace)
    images = None if trace is None else trace.images
    code = [compiled(made, words=words) for words in (("-O2",), ("-Os",))] if compile else []
    known = tuple(each for each in code if each is not None)
    return Cost(sections(made.memory), known, found, images, cycle_model(), compile)
