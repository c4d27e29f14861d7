"""What all that writes C shares: the graph, the names, the tables, the state and the text of the functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikec.ir.graph import IntegerGraph
from spikec.ir.types import Shape
from spikec.targets.c.code.bounds import Bounds
from spikec.targets.c.code.choices import Choices
from spikec.targets.c.code.memory import State
from spikec.targets.c.code.tables import Tables
from spikec.targets.c.code.text import Identifiers, Text


def stepped(graph: IntegerGraph) -> bool:
    """Whether all layers run step by step together."""
    return graph.schedule == "pipelined" and not graph.timing.rehearsal


@dataclass(frozen=True)
class Sink:
    """Sums that a function adds to: an array of the code's own order, with a C expression that points to its first
    number, and its type."""

    at: str
    ctype: str
    shape: Shape


class Context:
    """One file while it is written. ``functions``: the text of its functions; ``kept``: constants
    that several of them read; ``packed``: in how few bits some weights are."""

    def __init__(self, graph: IntegerGraph, prefix: str, choices: Choices) -> None:
        self.graph, self.prefix, self.choices = graph, prefix, choices
        #: Whether what is read is taken in at every step: the frames of a sequence, or an image that is not kept in
        #: sums (``small``).
        self.every_step = graph.sequences or (choices.small and stepped(graph))
        self.bounds = Bounds(graph, self.every_step)
        #: Most steps of a run: of a sequence, or those in which populations emit.
        self.longest = graph.emission_steps
        self.ids = Identifiers(graph.nodes)
        self.tables, self.functions, self.state = Tables(prefix), Text(), State(prefix)
        self.packed: set[int] = set()
        self.kept: dict[tuple[object, ...], Any] = {}
        self._functions: dict[tuple[object, ...], str] = {}

    def name(self, *parts: str) -> str:
        """A name at file level: the prefix and these parts."""
        return "_".join((self.prefix, *parts))

    def once(self, key: tuple[object, ...], wanted: str) -> tuple[str, bool]:
        """A function name for what ``key`` says, and whether it is to be written now: equal ones are written once."""
        if key in self._functions:
            return self._functions[key], False
        taken, chosen, number = set(self._functions.values()), self.name(wanted), 1
        while chosen in taken:
            number += 1
            chosen = f"{self.name(wanted)}_{number}"
        self._functions[key] = chosen
        return chosen, True
