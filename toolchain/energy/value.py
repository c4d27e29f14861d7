"""The estimate as a value: counts, items with intervals, time, and every constant behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from spikec.display import Column, Shown, Table
from spikec.energy import render
from spikec.energy.counts import Counts, PopulationCounts, SynapseCounts
from spikec.energy.profile import Constant
from spikec.energy.sampling import Quantiles


@dataclass(frozen=True)
class EnergyItem:
    """One term of the bill, joule per image; ``basis`` is the weakest evidence of the constants in it."""

    name: str
    joules: Quantiles
    basis: str

    @property
    def p5(self) -> float:
        return self.joules.p5

    @property
    def p50(self) -> float:
        return self.joules.p50

    @property
    def p95(self) -> float:
        return self.joules.p95


@dataclass(frozen=True)
class Routing:
    """What the spikes of one layer cause between cores, per image: messages, borders of tiles and of chips crossed."""

    messages: float
    hops_east_west: float
    hops_north_south: float
    crossings: float

    @property
    def hops(self) -> float:
        """Borders of tiles in both directions."""
        return self.hops_east_west + self.hops_north_south


@dataclass(frozen=True)
class Sensitivity:
    """Total, joule per image, with one constant at the low or the high end of its interval, all others nominal."""

    constant: str
    low: float
    high: float

    @property
    def swing(self) -> float:
        return abs(self.high - self.low)


@dataclass(frozen=True)
class ReferencePoint:
    """The quantised network when every value it fetches serves ``reuse`` operations: joule per image.

    ``ratio``: spiking over quantised network; ``s_star``: spikes per synapse and inference at which both cost the same,
    negative where no number is few enough, None where no spike meets a synapse.
    """

    reuse: int
    joules: Quantiles
    ratio: Quantiles
    s_star: Quantiles | None


@dataclass(frozen=True)
class BreakEven:
    """Spikes per synapse and inference at which both networks cost the same at that ``reuse``; negative: never."""

    reuse: int
    s_star: Quantiles


@dataclass(frozen=True)
class Reference:
    """One pass of the quantised network, with ``bits``-bit activations, on the same memories.

    ``spikes_per_synapse`` was measured, first layer left out. ``points``: the reuses that the profile assumes;
    ``curve``: break-even for reuse 1 to 256 in powers of two, empty where no spike meets a synapse.
    """

    bits: int
    weight_bits: int
    spikes_per_synapse: float
    points: tuple[ReferencePoint, ...]
    curve: tuple[BreakEven, ...] = ()


@dataclass(frozen=True, repr=False)
class Estimate(Shown):
    """What running one image costs. Intervals are p5, p50, p95 over ``draws`` joint samples of constants and images.

    ``evidence``: estimate, or "calibrated on one run"; never a measurement. A non-empty ``unpriced`` makes ``total`` a
    lower bound. ``nominal``: the total with every constant at its nominal value, from which ``sensitivities`` start;
    not the median if intervals are asymmetric. ``step_seconds`` and ``inference_seconds`` (one image per ``steps``
    steps, pipeline full) are None for profiles without a time model; ``latency_seconds`` is from first input to the
    answer. ``cores``: those that hold part of each layer, and one may hold several; ``total_cores``: each counted once,
    0 for profiles without cores. ``reference``: the quantised network for comparison, None for profiles that price only
    the spiking one. ``neurobench``: the benchmark's metrics by its names, see
    :func:`spikec.energy.conventions.neurobench`.
    """

    profile: str
    title: str
    book: str
    evidence: str
    counts: Counts
    first_layer: str
    total: Quantiles
    nominal: float
    items: tuple[EnergyItem, ...]
    sensitivities: tuple[Sensitivity, ...]
    step_seconds: Quantiles | None
    inference_seconds: Quantiles | None
    latency_seconds: Quantiles | None
    bound_by: str
    cores: dict[str, int]
    total_cores: int
    chips: int
    mapping_assumed: bool
    routing: dict[str, Routing]
    assumed: tuple[str, ...]
    unpriced: tuple[str, ...]
    warnings: tuple[str, ...]
    constants: tuple[Constant, ...]
    draws: int
    seed: int
    content_sha256: str = ""
    deployment_sha256: str = ""
    reference: Reference | None = None
    neurobench: dict[str, float] = field(default_factory=dict)

    @property
    def synapses(self) -> dict[str, SynapseCounts]:
        """Exact counts per Convolution or Affine node, totals over images and steps."""
        return self.counts.synapses

    @property
    def populations(self) -> dict[str, PopulationCounts]:
        return self.counts.populations

    @property
    def synops(self) -> int:
        return self.counts.synops

    @property
    def synops_nonzero(self) -> int:
        return self.counts.synops_nonzero

    @property
    def lower_bound(self) -> bool:
        return bool(self.unpriced)

    def item(self, name: str) -> EnergyItem:
        """The item called ``name``; ``KeyError`` when there is none."""
        return {item.name: item for item in self.items}[name]

    def to_json(self) -> dict[str, Any]:
        """JSON types only; schema ``energy-report/1``."""
        return render.document(self)

    def text(self) -> str:
        """Summary for a terminal, joules and seconds to two significant digits."""
        return render.text(self)

    def __str__(self) -> str:
        return self.text()

    def _headline(self) -> str:
        least = "at least " if self.lower_bound else ""
        return f"{least}{render.interval(self.total, 'J')} per image on {self.title}, {self.counts.images:,} images"

    def _table(self) -> Table:
        columns = (
            Column("item", "energy per image", left=True),
            Column("p50_joule", "median", _joules),
            Column("p5_joule", "5 %", _joules),
            Column("p95_joule", "95 %", _joules),
            Column("basis", "weakest evidence", left=True),
        )
        items = sorted(self.items, key=lambda item: -item.p50)
        rows = tuple((item.name, item.p50, item.p5, item.p95, item.basis) for item in items)
        return Table(f"Energy: {self._headline()}; {self.evidence}", columns, rows, self._remarks())

    def _remarks(self) -> tuple[str, ...]:
        synops, spikes = (render.amount(n / self.counts.images) for n in (self.synops, self.counts.spikes))
        counted = f"per image: {synops} SynOps, {spikes} spikes"
        time = self.inference_seconds
        timed = f"; one image in {render.interval(time, 's')}, bound by {self.bound_by}" if time else ""
        unpriced = tuple(f"not priced: {each}" for each in self.unpriced)
        return (f"{counted}{timed}", *unpriced, *(f"warning: {each}" for each in self.warnings))


def _joules(value: float) -> str:
    return render.si(value, "J")
