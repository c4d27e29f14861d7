"""What a neuron kind is: a frozen dataclass that holds its own fields and states its facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from spikec.errors import MissingImplementation
from spikec.ir.kinds.stored import Stored
from spikec.ir.timing import Timing
from spikec.ir.types import Int64, Schedule

#: What every kind has to state as a class attribute, and as a property or method.
FACTS = ("name", "schedules", "timesteps", "alone", "drains", "extends", "constant_once", "one_number", "requirement")
METHODS = ("emission", "rehearsal", "place_value", "least", "lossless")


@dataclass(frozen=True)
class Kind:
    """Base of all neuron kinds. A subclass states every fact below; one that forgets some cannot be registered.

    - ``name``: in files and reports;
    - ``schedules`` it runs in, and the lowest and highest T (``timesteps``);
    - ``alone``: it cannot be mixed with other kinds, since it codes numbers in its own way;
    - ``drains``: it can go on running after T with image and biases off;
    - ``extends``: a run of more steps begins with exactly the run of fewer steps;
    - ``constant_once``: image and biases enter once for all steps, instead of at every step;
    - ``one_number``: its emissions of T steps together code one number, which the next layers receive as a whole;
    - ``spikes_first``: layerwise, all spikes of a neuron come before its pauses (False unless stated);
    - ``quantises``: its emissions write a level of a quantised activation (True unless stated);
    - ``inflation``: how many times larger than a membrane, and than what arrives, the numbers inside an update may be
      (1 unless stated);
    - ``requirement``: what a reader of the file must know (an item of ``requires``), None for nothing.
    """

    name: ClassVar[str]
    schedules: ClassVar[tuple[Schedule, ...]]
    timesteps: ClassVar[tuple[int, int]]
    alone: ClassVar[bool]
    drains: ClassVar[bool]
    extends: ClassVar[bool]
    constant_once: ClassVar[bool]
    one_number: ClassVar[bool]
    spikes_first: ClassVar[bool] = False
    quantises: ClassVar[bool] = True
    inflation: ClassVar[int] = 1
    requirement: ClassVar[str | None]

    @property
    def emission(self) -> tuple[int, int]:
        """Lowest and highest number one emission can be."""
        raise self._lacks("emission")

    @property
    def rehearsal(self) -> int:
        """Steps run over the same input before the first emission that counts."""
        raise self._lacks("rehearsal")

    def place_value(self, step: int, timesteps: int) -> int:
        """The number that an emission of 1 at ``step`` (from 0) stands for; a whole number of at least 1."""
        raise self._lacks("place_value")

    def least(self, timesteps: int) -> int:
        """Smallest number that the emissions of T steps convey."""
        raise self._lacks("least")

    def lossless(self, timing: Timing, depth: int) -> str:
        """The reason why counts equal the levels of the quantised network for every image; empty where theory gives
        none.

        ``depth``: populations on the longest path of a network of this kind.
        """
        raise self._lacks("lossless")

    def _lacks(self, fact: str) -> MissingImplementation:
        return MissingImplementation(f"the neuron kind {type(self).__name__} does not state {fact}")

    # What follows from the facts.

    def reach(self, timesteps: int) -> int:
        """Largest number that the emissions of T steps convey."""
        return self.emission[1] * sum(self.place_value(step, timesteps) for step in range(timesteps))

    @property
    def weighted(self) -> bool:
        """Whether emissions of different steps stand for different numbers. Only T from 2 to 4 are tried."""
        most = min(4, self.timesteps[1])
        return any(len({self.place_value(step, t) for step in range(t)}) > 1 for t in range(2, most + 1))

    @property
    def subtracts(self) -> bool:
        """Whether a spike takes the threshold off the membrane (True unless stated), rather than setting it to 0."""
        return True

    @property
    def binary(self) -> bool:
        """Whether an emission is a spike or none."""
        return self.emission == (0, 1)

    @property
    def signed(self) -> bool:
        """Whether an emission can be negative."""
        return self.emission[0] < 0

    @property
    def multiplied(self) -> bool:
        """Whether an emission can be beyond -1, 0 and 1, so that a synapse has to multiply."""
        return max(self.emission[1], -self.emission[0]) > 1

    @property
    def payload_bits(self) -> int:
        """Bits of one message besides its address: those of the number if it can exceed 1, and one for a sign."""
        low, high = self.emission
        largest = max(high, -low)
        return (largest.bit_length() if largest > 1 else 0) + (low < 0)

    @property
    def emission_type(self) -> np.dtype[Any]:
        """Smallest integer type that holds every emission."""
        low, high = self.emission
        return np.min_scalar_type(min(low, -high - 1))

    def lowered(self, theta: Int64, negative: float) -> Kind:
        """The kind with its fields set for the thresholds ``theta``, where they depend on them. ``negative``: negative
        threshold as a fraction of the threshold."""
        return self

    def single(self) -> Kind:
        """The form of this kind that emits at most 1 in a step. Raises ``MissingImplementation`` where a kind with
        larger emissions does not define it."""
        if self.multiplied:
            raise MissingImplementation(f"{self.name} has no single-spike form: write ``single`` in its own file")
        return self

    def given_fields(self) -> dict[str, Any]:
        """Values of the stored fields by name. Left out are those that are None, and those of a whole population that
        equal their default."""
        found = {name: getattr(self, name) for name in self.stored_fields()}
        means = {name: about.default for name, about in self.stored_fields().items() if about.per == "population"}
        return {name: x for name, x in found.items() if x is not None and not (name in means and x == means[name])}

    def requirements(self) -> set[str]:
        """Items of ``requires`` that a file with these neurons has."""
        items = {self.requirement, *(self.stored_fields()[name].requirement for name in self.given_fields())}
        return {item for item in items if item is not None}

    @classmethod
    def known_requirements(cls) -> set[str]:
        """Items of ``requires`` that files with neurons of this kind may have."""
        items = {f"kind={cls.name}", cls.requirement, *(about.requirement for about in cls.stored_fields().values())}
        return {item for item in items if item is not None}

    @classmethod
    def stored_fields(cls) -> dict[str, Stored]:
        """Fields that files hold, by name."""
        return {each.name: each.metadata["stored"] for each in fields(cls) if "stored" in each.metadata}

    @classmethod
    def widest(cls) -> Kind:
        """The kind with the largest value that files may hold in each field that has no default. It serves statements
        about a kind as such."""
        needed = {name: about for name, about in cls.stored_fields().items() if about.default is None}
        return cls(**{name: about.high for name, about in needed.items()})

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields, one phrase each."""
        for name, about in self.stored_fields().items():
            value = getattr(self, name)
            if value is None and about.per == "neuron" and about.default is not None:
                continue
            if problem := about.problem(value):
                yield problem
