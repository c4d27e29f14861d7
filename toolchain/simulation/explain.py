"""Which way the golden model takes through a network, and why no faster one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spikec.calls import named_arguments
from spikec.display import Column, ShownTuple, Table, count
from spikec.errors import DataError
from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, IntegerGraph
from spikec.ir.profile.decode import as_integer
from spikec.simulation.golden import GoldenModel
from spikec.simulation.paths import Path, Reason
from spikec.simulation.registers import Overflow, registers
from spikec.words import columns, plural

if TYPE_CHECKING:
    import nir

    from spikec.analysis.formats import NumberFormat


class Explanation(ShownTuple[Path]):
    """The :class:`~spikec.simulation.paths.Path` of every node that computes, in network order, a tuple that
    shows itself as a table.

    ``engine``: ``counts`` (the fast path) or ``general``. ``why``: all that keeps the graph from the fast path, each
    with the bound and its limit where numbers decided. ``order``: in which the nodes are computed. ``images``: how many
    at once.
    """

    engine: str
    why: tuple[Reason, ...]
    order: str
    images: int

    def _headline(self) -> str:
        return f"{self.engine} path, {self.order}, {plural(self.images, 'image')} at once"

    def _table(self) -> Table:
        columns = (
            Column("node", "node", left=True),
            Column("kernel", "kernel", left=True),
            Column("dtype", "numbers", left=True),
            Column("bound", "bound", count),
            Column("limit", "below", count),
            Column("why", "because", left=True),
        )
        rows = []
        for path in self:
            why = path.why or Reason("")
            rows.append((path.node, path.kernel.value, path.dtype, why.bound, why.limit, why.text))
        return Table(self._headline(), columns, tuple(rows), tuple(map(str, self.why)))

    @property
    def lines(self) -> list[str]:
        """All of it in words, nothing left out."""
        found = [self._headline(), *(f"not the fast path: {reason}" for reason in self.why)]
        return [*found, *columns([_cells(path) for path in self])]

    def to_json(self) -> dict[str, Any]:
        """``engine``, ``order``, ``images``, ``why`` and ``nodes``."""
        return {
            "engine": self.engine,
            "order": self.order,
            "images": self.images,
            "why": [asdict(reason) for reason in self.why],
            "nodes": [asdict(path) | {"kernel": path.kernel.value} for path in self],
        }


def _cells(path: Path) -> tuple[str, ...]:
    return path.node, path.kernel.value, path.dtype, "" if path.why is None else str(path.why)


@named_arguments
def explain(
    graph: nir.NIRGraph | IntegerGraph,
    *,
    images: int | None = None,
    record: str | None = None,
    measure: bool = False,
    batch: int | None = None,
    memory: str | int = "1GB",
    overflow: Overflow = "exact",
    format: NumberFormat | str | None = None,
    early_exit: str | float | None = None,
    device: str = "cpu",
) -> Explanation:
    """How :func:`simulate` with the same options computes each layer of ``graph``: by which kernel, in which numbers,
    and which bound kept it from a faster one. Nothing is run; weights and kernels are prepared as for a run.

    ``images``: how many there are (default: as many as go into one chunk); few run layer after layer.

    Raises what :func:`simulate` raises for its options and graph.

    >>> how = tc.explain(graph)
    >>> how.engine, how.images
    ('counts', 128)
    >>> how[-1].kernel.value
    'readout'
    """
    if images is not None and images < 1:
        raise DataError(f"images={images!r} is not possible; use a whole number, at least 1")
    integer = as_integer(graph)
    chosen = registers(overflow, format, integer)
    model = GoldenModel(integer, measure=measure or record == "membranes", registers=chosen, device=device)
    return explained(model, images, record=record, batch=batch, memory=memory, early_exit=early_exit)


def explained(
    model: GoldenModel,
    images: int | None,
    *,
    record: str | None = None,
    batch: int | None = None,
    memory: str | int = "1GB",
    early_exit: str | float | None = None,
) -> Explanation:
    """The same of a model that is made."""
    may_stop = early_exit is not None
    size = model.chunk(record is not None or may_stop, batch, memory)
    at_once = size if images is None else min(images, size)
    engine, graph = model.engine, model.graph
    computed = (node for node in graph if not isinstance(node, InputNode | Delayed))
    found = Explanation(engine.path(node, at_once, may_stop) for node in computed)
    found.engine, found.why = "general" if model.kept_general else "counts", model.kept_general
    found.order, found.images = engine.order(at_once, may_stop), at_once
    return found
