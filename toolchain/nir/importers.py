"""What known importers do with a graph: ``importers.toml``, asked for the properties of one graph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from spikec.data_files import read_toml
from spikec.nir.graph import RawNode
from spikec.nir.nodes import GRAPH, nodes
from spikec.nir.traits import NAMES, traits
from spikec.words import listed


@dataclass(frozen=True)
class Behaviour:
    """What one importer does. ``effect``: "fails", or "differs" (it computes something else). ``grade``: "run",
    "code" or "issue", how that is known. ``nodes``: where, in one phrase; empty in the table itself."""

    importer: str
    effect: Literal["fails", "differs"]
    grade: Literal["run", "code", "issue"]
    says: str
    when: tuple[str, ...]
    nodes: str = ""

    def __str__(self) -> str:
        where = f" ({self.nodes})" if self.nodes else ""
        return f"{self.importer} {self.effect}: {self.says}{where} [{self.grade}]"


@lru_cache(maxsize=1)
def table() -> tuple[Behaviour, ...]:
    """Every entry. Raises ``ValueError`` for a property that no graph can have."""
    known = {*NAMES, *nodes(), GRAPH}
    found = []
    for importer in read_toml(Path(__file__).with_name("importers.toml"), "table of NIR importers")["importer"]:
        for entry in importer["entry"]:
            unknown = set(entry["when"]) - known
            if unknown:
                raise ValueError(f"{importer['name']}: no graph has the properties {sorted(unknown)}")
            one = Behaviour(importer["name"], entry["effect"], entry["grade"], entry["says"], tuple(entry["when"]))
            found.append(one)
    return tuple(found)


def behaviours(graph: RawNode, version: str) -> tuple[Behaviour, ...]:
    """The entries that apply to ``graph`` and to the graphs inside it; ``version``: of nir, that wrote it."""
    has: dict[str, list[str]] = {}
    for prefix, inner in graph.graphs():
        for name, where in traits(inner, version).items():
            has.setdefault(name, []).extend(f"{prefix}.{one}" if prefix else one for one in where)
    applying = [entry for entry in table() if all(one in has for one in entry.when)]
    return tuple(Behaviour(e.importer, e.effect, e.grade, e.says, e.when, listed(has[e.when[0]], 3)) for e in applying)
