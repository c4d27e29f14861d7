"""What a conversion method is: a frozen dataclass that says which neuron replaces an activation."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, cast, get_args

from spikec.arguments import whole_number
from spikec.calls import named_fields
from spikec.conversion.neurons import NeuronSpec
from spikec.conversion.per_layer import number_for, unmatched
from spikec.errors import ConversionError
from spikec.installed import entry_points
from spikec.ir.kinds import Kind
from spikec.ir.types import TIMESTEPS_MAX, Schedule

#: ``static``: mean matching, layer after layer; ``tuned``: then gradient descent on the output.
Offsets = Literal["static", "tuned"]

#: Methods by their command-line name; filled by :func:`register` as modules are imported.
METHODS: dict[str, type[Method]] = {}

#: ``reason`` of methods whose neurons fire only after all their input has arrived.
GATHERS = "a layer needs all that the one before it sends, before it can send its own level"


@dataclass(frozen=True)
class Method:
    """Base of all methods: ``timesteps`` T >= 1 and a schedule.

    A subclass states as class attributes:

    - ``name`` on the command line and ``source``, where it was published;
    - ``schedules`` it runs in; if there is only one, ``reason`` says why the other makes no sense;
    - ``training``: the training method whose networks it converts ("qcfs", "residual-error" or "error-free"); there is
      no default, see :func:`training_of`;
    - ``unsaid``: options that files and reports name only if they differ from the default, because they are newer than
      files without them;
    - ``by_layer``: options that may differ by layer, held as :mod:`spikec.conversion.per_layer` writes them;
    - ``trains_spikes``: the neuron kind that ``spikec train --through-spikes`` trains for it, None where it cannot.
    """

    timesteps: int
    schedule: Schedule = "pipelined"

    name: ClassVar[str] = ""
    source: ClassVar[str] = ""
    schedules: ClassVar[tuple[Schedule, ...]] = ("pipelined", "layerwise")
    reason: ClassVar[str] = ""
    training: ClassVar[str]
    unsaid: ClassVar[tuple[str, ...]] = ()
    by_layer: ClassVar[tuple[str, ...]] = ()
    trains_spikes: ClassVar[type[Kind] | None] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "timesteps", whole_number("timesteps", self.timesteps, 1, TIMESTEPS_MAX))
        if not isinstance(self.schedule, str) or self.schedule not in self.schedules:
            allowed = " or ".join(repr(s) for s in self.schedules)
            known = isinstance(self.schedule, str) and self.schedule in get_args(Schedule)
            why = f": {self.reason}" if known and self.reason else ""
            raise ConversionError(f"{type(self).__name__} runs with schedule {allowed}, not {self.schedule!r}{why}")

    @classmethod
    def for_levels(cls, levels: int) -> Method:
        """The method with the T at which its neurons distinguish ``levels`` >= 1 levels."""
        return cls(timesteps=levels)

    def drain_steps(self) -> int:
        """Extra steps with the input and the biases off."""
        return 0

    def calibrated_offsets(self) -> Offsets | None:
        """Whether and how calibration images give every neuron an initial membrane of its own."""
        return None

    def at(self, names: Iterable[str]) -> Method:
        """This method as it is for one layer: options that differ by layer have the number for it. ``names``: of the
        layers whose weights lead into its neurons, and of the neurons."""
        known = list(names)
        found: dict[str, Any] = {
            each.name: number_for(getattr(self, each.name), known, cast(int, each.default))
            for each in fields(self)
            if each.name in self.by_layer and isinstance(getattr(self, each.name), str)
        }
        return replace(self, **found) if found else self

    def check_layers(self, names: Mapping[str, Iterable[str]]) -> None:
        """Raise :class:`ConversionError` for a pattern that is the name of no layer. ``names``: of every layer, as for
        :meth:`at`, by that of its neurons."""
        known = list(dict.fromkeys(name for several in names.values() for name in several))
        for option in self.by_layer:
            for pattern in unmatched(getattr(self, option), known):
                raise ConversionError(f"{option} {pattern!r} is the name of no layer; layers: {', '.join(known)}")

    def neuron(self, levels: int | None) -> NeuronSpec:
        """The neuron for an activation trained with ``levels`` quantisation levels (None: plain ReLU)."""
        raise NotImplementedError

    def resolution(self, levels: int | None) -> int:
        """Levels the converted neuron distinguishes: what a calibrated threshold is optimised for."""
        return neuron_of(self, levels).kind.reach(self.timesteps)

    def said(self) -> dict[str, Any]:
        """The fields by name, without those of ``unsaid`` that have their default value."""
        usual = {each.name: each.default for each in fields(self) if each.name in self.unsaid}
        return {name: x for name, x in vars(self).items() if not (name in usual and x == usual[name])}

    def settings(self) -> dict[str, str]:
        """The method and its fields, as stored in files and reports."""
        return {"method": self.name, **{name: str(value) for name, value in self.said().items()}}


def neuron_of(method: Method, levels: int | None) -> NeuronSpec:
    """``method.neuron(levels)``, checked: a method of another package may return anything. Raises
    :class:`ConversionError` for a neuron that no network can use."""
    who = f"the method {type(method).__name__}"
    try:
        spec = method.neuron(levels)
    except NotImplementedError as error:
        raise ConversionError(f"{who} names no neuron: override neuron(levels) to return a NeuronSpec") from error
    if not isinstance(spec, NeuronSpec):
        raise ConversionError(f"{who} must return a NeuronSpec from neuron(levels), not {spec!r}")
    spec.check(who, method.timesteps, method.schedule)
    return spec


def training_of(method: type[Method]) -> str:
    """``method.training``. Raises :class:`ConversionError` for a method that does not state it."""
    stated = getattr(method, "training", None)
    if not isinstance(stated, str):
        raise ConversionError(
            f"the method {method.name} does not say which training it needs: give {method.__name__} a class attribute "
            "training, such as 'qcfs'"
        )
    return stated


def register(cls: type[Method]) -> type[Method]:
    """Class decorator: make a method available under its ``name``.

    The command line finds methods of other packages through entry points in the group ``spikec.methods``, whose values
    are decorated classes.
    """
    if not isinstance(cls, type) or not issubclass(cls, Method) or not cls.name:
        raise ConversionError(f"register decorates subclasses of Method that have a name, not {cls!r}")
    METHODS[cls.name] = cls
    return named_fields(cls)


def default_timesteps(method: type[Method]) -> int:
    """T where the user names none: 4, or 1 for methods that run in one step."""
    return 1 if any(field.name == "timesteps" and field.default == 1 for field in fields(method)) else 4


def methods() -> dict[str, type[Method]]:
    """All methods by name, those of installed packages included; warns of each that cannot be imported."""
    for entry in entry_points(group="spikec.methods"):
        try:
            entry.load()  # importing it registers it
        except Exception as error:  # code of another package may raise anything
            reason = f"{type(error).__name__}: {error}"
            warnings.warn(f"the method {entry.name} ({entry.value}) cannot be imported: {reason}", stacklevel=2)
    return METHODS


__all__ = [
    "METHODS",
    "Method",
    "NeuronSpec",
    "Offsets",
    "default_timesteps",
    "methods",
    "neuron_of",
    "register",
    "training_of",
]
