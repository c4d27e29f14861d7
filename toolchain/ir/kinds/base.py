"""What a neuron kind is: a frozen dataclass that holds its own fields and states its facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.metadata import entry_points
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np

from spikec.errors import GraphError, MissingImplementation
from spikec.ir.types import Int64, Schedule

#: Largest whole number a field of a kind may hold.
LARGEST = 2**15 - 1


@dataclass(frozen=True)
class Timing:
    """How long the layers of a network run: T = ``timesteps``, then ``drain`` steps with image and biases off.

    ``rehearsal``: steps that some layer runs before it decides where to start; all layers then emit as many.
    """

    timesteps: int
    schedule: Schedule
    drain: int = 0
    rehearsal: int = 0

    @property
    def counted_steps(self) -> int:
        """Steps that counts and readout take: T + drain."""
        return self.timesteps + self.drain

    @property
    def emission_steps(self) -> int:
        """Steps every population emits: T + drain, or the rehearsal where that is longer."""
        return max(self.counted_steps, self.rehearsal)

    @property
    def driven_steps(self) -> int:
        """Steps in which image and biases are on."""
        return self.emission_steps - self.drain


@dataclass(frozen=True)
class Stored:
    """Where files keep a field of a kind, and what it may hold.

    ``key`` in the metadata of the NIR node, ``netx`` in a lava-dl file, ``title`` in messages and listings.
    ``per``: one whole number for the population, or one for every neuron. Values lie between ``low`` and ``high``.
    ``default``: what a file means that leaves the field out; None: it may not.
    """

    key: str
    netx: str
    title: str
    per: Literal["population", "neuron"]
    low: int
    high: int | None = None
    default: int | None = None

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, as a phrase."""
        array = np.asarray(value)
        if array.size and int(array.min()) >= self.low and (self.high is None or int(array.max()) <= self.high):
            return None
        if self.per == "neuron":
            return f"{self.title} must be at least {self.low}"
        return f"{self.title} is {value}, it must be between {self.low} and {self.high}"


def stored(
    key: str,
    *,
    netx: str,
    title: str,
    per: Literal["population", "neuron"] = "population",
    low: int = 1,
    high: int | None = None,
    default: int | None = None,
) -> Any:
    """A dataclass field that files hold; see :class:`Stored`. A field that may be absent is None where it is."""
    about = Stored(key, netx, title, per, low, high, default)
    return field(metadata={"stored": about}) if default is None else field(default=None, metadata={"stored": about})


#: What every kind has to state as a class attribute.
_FACTS = ("name", "schedules", "timesteps", "alone", "drains", "extends", "constant_once", "one_number", "requirement")


@dataclass(frozen=True)
class Kind:
    """Base of all neuron kinds. A subclass states every fact below; one that forgets some cannot be registered.

    - ``name``: in files and reports;
    - ``schedules`` it runs in, and the lowest and highest T (``timesteps``);
    - ``alone``: it fills a network by itself, since it codes numbers in its own way;
    - ``drains``: it can run on after T with its input off;
    - ``extends``: a run of more steps is the same run, gone on with;
    - ``constant_once``: image and biases enter once for all steps, instead of at every step;
    - ``one_number``: its emissions of T steps write one number, which layers receive whole;
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
        """What an emission at ``step`` (from 0) stands for, in units of an emission that stands for 1."""
        raise self._lacks("place_value")

    def lossless(self, timing: Timing, depth: int) -> str:
        """Why counts equal the levels of the quantised network for every image, where theory says so; else empty.

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
        """Whether emissions of different steps stand for different numbers."""
        return self.place_value(0, 2) != self.place_value(1, 2)

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
        """Bits of one message beside its address: the number where it can exceed 1, and a sign where it has one."""
        low, high = self.emission
        largest = max(high, -low)
        return (largest.bit_length() if largest > 1 else 0) + (low < 0)

    def lowered(self, theta: Int64, negative: float) -> Kind:
        """The kind with thresholds ``theta`` known, where fields depend on them; ``negative``: negative threshold as a
        fraction of the threshold."""
        return self

    def single(self) -> Kind:
        """The kind that emits at most 1 in a step. Raises ``MissingImplementation`` where a kind of larger emissions
        does not say."""
        if self.multiplied:
            raise MissingImplementation(f"{self.name} has no single-spike form: write ``single`` in its own file")
        return self

    @classmethod
    def stored_fields(cls) -> dict[str, Stored]:
        """Fields that files hold, by name."""
        return {each.name: each.metadata["stored"] for each in fields(cls) if "stored" in each.metadata}

    @classmethod
    def widest(cls) -> Kind:
        """The kind with every field as large as files may hold it, for what is said of a kind whatever its fields."""
        needed = {name: about for name, about in cls.stored_fields().items() if about.default is None}
        return cls(**{name: about.low if about.high is None else about.high for name, about in needed.items()})

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields, a phrase each."""
        for name, about in self.stored_fields().items():
            value = getattr(self, name)
            whole = isinstance(value, int | np.integer | np.ndarray) and not isinstance(value, bool)
            if value is None and about.default is not None:
                continue
            if not whole:
                yield f"{about.title} must be a whole number between {about.low} and {about.high}, not {value!r}"
            elif problem := about.problem(value):
                yield problem


#: Kinds by name, filled by :func:`register`; see :func:`kinds`.
_KINDS: dict[str, type[Kind]] = {}
K = TypeVar("K", bound="type[Kind]")


def register(cls: K) -> K:
    """Class decorator: makes a kind known by its name.

    Kinds of other packages are found through entry points in the group ``spikec.kinds``, whose values are decorated
    classes. Raises ``TypeError`` for a class that does not state all facts.
    """
    missing = [name for name in _FACTS if not hasattr(cls, name)]
    missing += [
        name
        for name in ("emission", "rehearsal", "place_value", "lossless")
        if getattr(cls, name) is getattr(Kind, name)
    ]
    if missing:
        raise TypeError(f"the neuron kind {cls.__name__} does not state {', '.join(missing)}")
    if cls.constant_once and "pipelined" in cls.schedules:
        raise TypeError(f"the neuron kind {cls.__name__} takes its constant input once, so it cannot run pipelined")
    _KINDS[cls.name] = cls
    return cls


def forget(cls: type[Kind]) -> None:
    """Undo :func:`register`."""
    _KINDS.pop(cls.name, None)


@cache  # it looks at every installed package, which takes milliseconds
def _load_packages() -> None:
    for entry in entry_points(group="spikec.kinds"):
        entry.load()  # importing it registers it


def kinds() -> dict[str, type[Kind]]:
    """All kinds by name, those of installed packages included."""
    _load_packages()
    return dict(_KINDS)


def kind_named(name: str) -> type[Kind]:
    """The kind called ``name``. Raises :class:`GraphError` for an unknown one."""
    found = _KINDS.get(name) or kinds().get(name)
    if found is None:
        raise GraphError(f"neuron kind {name!r} is none of {', '.join(kinds())}")
    return found
