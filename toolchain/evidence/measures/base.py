"""What a measure of quality is: numbers for each input that add up, and the value that their sums give."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.evidence.intervals import paired_difference, wilson
from spikec.evidence.measures.resampling import Float64, Interval, bootstrap

Targets = npt.NDArray[Any]


@dataclass(frozen=True)
class Quality:
    """A measure on ``inputs`` images or sequences: ``value``, None where they define none, and its 95 % ``interval``,
    None where they are too few for one. ``count``: how many are right, where it is a proportion."""

    measure: Measure
    inputs: int
    value: float | None
    interval: Interval | None
    count: int | None = None

    @property
    def text(self) -> str:
        """``0.1234 (95 % interval 0.1200 to 0.1270; lower is better)``."""
        if self.value is None:
            return f"not defined: {self.measure.undefined}"
        told = self.measure.written
        better = f"{'higher' if self.measure.higher_is_better else 'lower'} is better"
        if self.interval is None:
            return f"{told(self.value)} (no interval, {better})"
        low, high = map(told, self.interval)
        return f"{told(self.value)} (95 % interval {low} to {high}; {better})"

    def to_json(self) -> dict[str, Any]:
        """JSON types, with what the measure is."""
        return {
            **self.measure.to_json(),
            "images": self.inputs,
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "count": self.count,
        }


class Measure(ABC):
    """A measure of outputs float64 [N, *shape], in the units of the trained network, against targets [N, ...].

    ``name``: as ``--metric`` takes it; ``title``: in words; ``percent``: it is a share, written in percent;
    ``proportion``: of inputs that are simply right or wrong; ``unit``: behind other values; ``undefined``: why inputs
    may define no value.
    """

    name: str
    title: str
    higher_is_better: bool
    percent = False
    proportion = False
    unit = ""
    undefined = "too few inputs"

    @property
    def key(self) -> str:
        """Under what files hold it; that of a user's function changes with its source."""
        return self.name

    @abstractmethod
    def check(self, shape: tuple[int, ...], targets: Targets) -> None:
        """Raise ``DataError`` where ``targets`` [N, ...] cannot be compared with outputs [N, *``shape``]."""

    def by_order(self, shape: tuple[int, ...]) -> bool:
        """Whether only the order of outputs [N, *``shape``] along their channels counts, not their size."""
        return False

    @abstractmethod
    def statistics(self, outputs: Float64, targets: Targets) -> Float64 | None:
        """Numbers of each input, [N, k], whose sums over the inputs give the value. None: there are none, and
        :class:`Whole` says what takes their place."""

    @abstractmethod
    def of_sums(self, sums: Float64, inputs: int) -> Float64:
        """The value that sums [..., k] over ``inputs`` inputs give, [...]; NaN where they define none."""

    def value(self, statistics: Float64) -> float | None:
        """The value of all inputs, from their numbers [N, k]; None where they define none."""
        found = float(self.of_sums(statistics.sum(axis=0), len(statistics)))
        return found if np.isfinite(found) else None

    def quality(self, statistics: Float64) -> Quality:
        """Value and interval of all inputs, from their numbers [N, k]."""
        number, value = len(statistics), self.value(statistics)
        if value is None:
            return Quality(self, number, None, None)
        if self.proportion:
            right = int(statistics.sum())
            return Quality(self, number, value, wilson(right, number), right)
        return Quality(self, number, value, bootstrap(statistics, lambda sums: self.of_sums(sums, number)))

    def difference(self, network: Float64, spiking: Float64) -> Interval | None:
        """95 % interval of how much more ``spiking`` has than ``network``: paired, since the numbers [N, k] of both
        are of the same inputs."""
        number, k = spiking.shape
        if self.proportion:
            gained, lost = int(((spiking == 1) & (network == 0)).sum()), int(((network == 1) & (spiking == 0)).sum())
            return paired_difference(gained, lost, number)
        both = np.concatenate([spiking, network], axis=1)
        return bootstrap(both, lambda sums: self.of_sums(sums[..., :k], number) - self.of_sums(sums[..., k:], number))

    def written(self, value: float) -> str:
        """``80.40 %``, or four significant digits with the unit."""
        return f"{100 * value:.2f} %" if self.percent else f"{value:.4g}{self._unit}"

    def change(self, value: float) -> str:
        """A difference of two values: ``-0.40 points``, or four significant digits with the unit."""
        return f"{100 * value:+.2f} points" if self.percent else f"{value:+.4g}{self._unit}"

    @property
    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""

    def to_json(self) -> dict[str, Any]:
        """What a document says of the measure itself."""
        return {
            "measure": self.name,
            "title": self.title,
            "higher_is_better": self.higher_is_better,
            "percent": self.percent,
            "unit": self.unit,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Measure) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"<measure {self.name}>"


class Whole(Measure):
    """A measure that may take all inputs together and has no numbers of each: what stands in their place."""

    @abstractmethod
    def of_all(self, outputs: Float64, targets: Targets) -> Quality:
        """Value and interval of all outputs [N, *shape]."""

    @abstractmethod
    def difference_of_all(self, network: Float64, spiking: Float64, targets: Targets) -> Interval | None:
        """95 % interval of how much more the outputs ``spiking`` have than ``network``, both [N, *shape]."""


__all__ = ["Float64", "Interval", "Measure", "Quality", "Targets", "Whole"]
