"""The trained network beside its deployment on the same inputs, by any measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spikec.evidence.measures.base import Float64, Interval, Measure, Targets, Whole
from spikec.evidence.measures.choosing import Wanted
from spikec.evidence.remedies import advice, remedies
from spikec.ir.graph import IntegerGraph
from spikec.ir.measured import STAGES, Measured, digests

if TYPE_CHECKING:
    from spikec.training.images import Images

_BATCH = 64


@dataclass(frozen=True)
class Comparison:
    """A measure of the trained ``network`` and of the ``spiking`` one on the same ``images``, and the 95 % ``interval``
    of how much more the spiking one has; None: too few images.

    ``steps``: how much each cause adds on all ``measured`` images of the export, in order; empty where it is not known,
    or was measured on another graph. ``data``: name of the data; ``remedies``: what would reduce a loss, by cause.
    """

    measure: Measure
    title: str
    data: str
    images: int
    network: float
    spiking: float
    interval: Interval | None
    measured: int = 0
    steps: Mapping[str, float] = field(default_factory=dict)
    remedies: Mapping[str, str] = field(default_factory=dict)

    @property
    def change(self) -> float:
        return self.spiking - self.network

    @property
    def sentences(self) -> list[str]:
        """What ``run`` and the report say."""
        told, change = self.measure.written, self.measure.change
        spread = "" if self.interval is None else (
            f" (95 % interval {change(self.interval[0])} to {change(self.interval[1])})"
        )  # fmt: skip
        lines = [
            f"{self.title}: network {told(self.network)}, spiking {told(self.spiking)}, {change(self.change)} on the "
            f"same {self.images} inputs{spread}"
        ]
        if self.steps:
            listed = ", ".join(f"{name} {change(value)}" for name, value in self.steps.items())
            lines.append(f"by cause, on the {self.measured} inputs of {self.data} measured at export: {listed}")
        return lines + [f"to reduce it: {line}" for line in self.advice]

    @property
    def advice(self) -> list[str]:
        """Remedies of the causes that cost most; none where the difference may be chance."""
        better = 1 if self.measure.higher_is_better else -1
        if self.interval is None or max(better * end for end in self.interval) >= 0:
            return []
        return advice({name: -better * value for name, value in self.steps.items()}, self.remedies)

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "data": self.data,
            "images": self.images,
            "network": self.network,
            "spiking": self.spiking,
            "change": self.change,
            "interval": None if self.interval is None else list(self.interval),
            "measured_at_export": self.measured,
            "causes": dict(self.steps),
            "advice": self.advice,
        }


def compared(graph: IntegerGraph, data: Images, wanted: Wanted, spiking: Float64) -> Comparison | None:
    """The trained network beside the deployment on those inputs of ``data`` that the network was measured on at export,
    by the same measure; None where there are none. ``spiking``: the numbers of the first inputs, [n, k]."""
    measured = graph.measured
    scores = None if measured is None else measured.scores(wanted.key)
    if measured is None or scores is None or scores.network.shape[1] != spiking.shape[1]:
        return None
    place = {digest: i for i, digest in enumerate(measured.images)}
    here, there = [], []
    for first in range(0, len(spiking), _BATCH):
        part = slice(first, min(first + _BATCH, len(spiking)))
        for i, digest in enumerate(digests(data.images(part), data.targets(part)), first):
            at = place.pop(digest, None)
            if at is not None:
                here.append(i)
                there.append(at)
    return _comparison(
        wanted,
        measured.data,
        scores.network[there],
        spiking[here],
        measured=len(measured.images),
        steps=_steps(graph, measured, scores.values),
        remedies=remedies(graph),
    )


def beside(wanted: Wanted, data: str, network: Float64, spiking: Float64, targets: Targets) -> Comparison | None:
    """The outputs of the trained ``network`` beside those of the deployment, both [N, *shape], on all inputs of
    the data called ``data``; None where either defines no value."""
    measure = wanted.measure
    numbers = [measure.statistics(each, targets) for each in (network, spiking)]
    if numbers[0] is not None and numbers[1] is not None:
        return _comparison(wanted, data, numbers[0], numbers[1])
    assert isinstance(measure, Whole)
    values = [measure.of_all(each, targets).value for each in (network, spiking)]
    spread = measure.difference_of_all(network, spiking, targets)
    if values[0] is None or values[1] is None:
        return None
    return Comparison(measure, wanted.title, data, len(targets), values[0], values[1], spread)


def _comparison(wanted: Wanted, data: str, network: Float64, spiking: Float64, **about: Any) -> Comparison | None:
    if not len(network):
        return None
    measure = wanted.measure
    before, after = measure.value(network), measure.value(spiking)
    if before is None or after is None:
        return None
    spread = measure.difference(network, spiking)
    return Comparison(measure, wanted.title, data, len(network), before, after, spread, **about)


def _steps(graph: IntegerGraph, measured: Measured, values: Mapping[str, float]) -> dict[str, float]:
    if not measured.of(graph) or not set(STAGES) <= values.keys():
        return {}
    each = [values[stage] for stage in STAGES]
    names = (*STAGES[1:-1], "unevenness")
    return {name: after - before for name, before, after in zip(names, each, each[1:], strict=False)}


__all__ = ["Comparison", "beside", "compared"]
