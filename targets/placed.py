"""How placements of all chips show themselves: a line for each layer; a frame has one for each core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spikec.display import Column, Shown, Table, count, share
from spikec.words import plural

if TYPE_CHECKING:
    from spikec.ir.types import Int64
    from spikec.targets.chips import Core


class Placed(Protocol):
    """What :func:`by_layer` reads of a placement."""

    @property
    def cores(self) -> Sequence[Core]: ...

    @property
    def core_of(self) -> Mapping[str, Int64]: ...


@dataclass(frozen=True)
class LayerCores:
    """``most``: neurons on one core, at most; ``load``: largest share of any resource on the fullest of its ``cores``,
    which is that of ``resource``."""

    layer: str
    neurons: int
    cores: int
    most: int
    load: float
    resource: str


def by_layer(placement: Placed) -> list[LayerCores]:
    """What each layer takes."""
    fullest = [max((used / limit, key) for key, (used, limit) in core.usage.items()) for core in placement.cores]
    found = []
    for layer, home in placement.core_of.items():
        held, number = np.unique(home, return_counts=True)
        load, resource = max(fullest[core] for core in held)
        found.append(LayerCores(layer, home.size, len(held), int(number.max()), load, resource))
    return found


class ShownPlacement(Shown):
    """Base of the placements of chips."""

    if TYPE_CHECKING:

        @property
        def target(self) -> str: ...

        @property
        def cores(self) -> Sequence[Core]: ...

        @property
        def chips(self) -> int: ...

        @property
        def lower_bound(self) -> int: ...

        @property
        def assumptions(self) -> Sequence[str]: ...

        @property
        def core_of(self) -> Mapping[str, Int64]: ...

    def _headline(self) -> str:
        fullest = max((core.load for core in self.cores), default=0.0)
        return (
            f"{plural(len(self.cores), 'core')} on {plural(self.chips, 'chip')} of {self.target}, the fullest "
            f"{share(fullest)} full; no placement takes fewer than {self.lower_bound}"
        )

    def _table(self) -> Table:
        columns = (
            Column("layer", "layer", left=True),
            Column("neurons", "neurons", count),
            Column("cores", "cores", count),
            Column("neurons_per_core", "neurons on one, at most", count),
            Column("load", "fullest core", share),
            Column("resource", "filled by", left=True),
        )
        rows = [(x.layer, x.neurons, x.cores, x.most, x.load, x.resource) for x in by_layer(self)]
        notes = tuple(f"assumed: {each}" for each in self.assumptions)
        return Table(self._headline(), columns, tuple(rows), notes)

    def _frame(self) -> Table:
        """A row for each core: its layers, and (used, limit) of each resource in two columns."""
        resources = list(dict.fromkeys(resource for core in self.cores for resource in core.usage))
        named = ("core", "chip", "layers", "load", *(f"{r}_{what}" for r in resources for what in ("used", "limit")))
        rows = []
        for core in self.cores:
            layers = ", ".join(dict.fromkeys(each.layer for each in core.slices))
            usage = (number for resource in resources for number in core.usage.get(resource, (None, None)))
            rows.append((core.index, core.chip, layers, core.load, *usage))
        return Table(self._headline(), tuple(Column(name, name) for name in named), tuple(rows))
