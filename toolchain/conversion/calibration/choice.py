"""What calibration does to a converted network: one value, also written as a text such as ``full,per=layer``."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from spikec.arguments import real_number, switch
from spikec.calls import named_fields
from spikec.errors import ConversionError
from spikec.words import option, unknown

Rule = Literal["least-squares", "max", "percentile", "inference-scale", "moments"]
Shifts = Literal["none", "channel", "neuron"]


@named_fields
@dataclass(frozen=True)
class Calibration:
    """Ingredients of calibration; the defaults only choose one threshold per ReLU layer.

    ``thresholds``: rule for plain ReLU layers (:mod:`spikec.conversion.thresholds`), ``per`` layer or channel;
    ``percentile`` is that of the rule of this name. ``shifts``: initial membranes, one shift per channel or neuron.
    ``scales``: the value of an emission, one per channel. ``weights``: weights and biases are fitted again to the
    inputs they really get. The last three go layer after layer from the input
    (:mod:`spikec.conversion.calibration.layers`).

    >>> str(tc.Calibration(per="channel"))
    'thresholds,per=channel'
    """

    thresholds: Rule = "least-squares"
    per: Literal["layer", "channel"] = "layer"
    percentile: float = 99.9
    shifts: Shifts = "none"
    scales: bool = False
    weights: bool = False

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            value, allowed = getattr(self, name), get_args(kind)
            if allowed and not (isinstance(value, str) and value in allowed):
                raise ConversionError(f"calibration: {name} is one of {', '.join(allowed)}, not {value!r}")
            if kind is bool:
                object.__setattr__(self, name, switch(f"calibration: {name}", value))
        object.__setattr__(self, "percentile", real_number("calibration: percentile", self.percentile))
        if not 0 < self.percentile <= 100:
            raise ConversionError(f"calibration: percentile must lie in (0, 100], it is {self.percentile}")

    @property
    def layer_after_layer(self) -> bool:
        """Whether the exact and the spiking network run side by side."""
        return self.shifts != "none" or self.scales or self.weights

    def __str__(self) -> str:
        """The text that :func:`calibration_of` reads: the nearest preset, then what differs from it."""
        mine = vars(self)

        def differing(base: Calibration) -> list[str]:
            return [f"{name}={_word(mine[name])}" for name, value in vars(base).items() if mine[name] != value]

        name = min(PRESETS, key=lambda each: len(differing(PRESETS[each])))
        return ",".join([name, *differing(PRESETS[name])])


#: Combinations with a name. ``light`` changes no weight.
PRESETS = {
    "thresholds": Calibration(),
    "light": Calibration(per="channel", shifts="channel"),
    "full": Calibration(per="channel", shifts="channel", weights=True),
}


def calibration_of(given: Any) -> Calibration:
    """The calibration that ``given`` stands for: one, a text such as ``full,per=layer``, or None for the thresholds
    alone. Raises :class:`ConversionError`."""
    if given is None:
        return Calibration()
    if isinstance(given, Calibration):
        return given
    if not isinstance(given, str):
        raise ConversionError(f"calibrate is a text such as 'full', or a Calibration, not {given!r}")
    preset, *changes = [part.strip() for part in given.split(",")]
    if preset not in PRESETS:
        raise ConversionError(f"{option('calibrate')}: {unknown(preset, PRESETS)}")
    known = [each.name for each in fields(Calibration)]
    values: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or name not in known:
            raise ConversionError(f"{option('calibrate')}: {unknown(name, known)}; write NAME=VALUE")
        values[name] = _value(name, text)
    return replace(PRESETS[preset], **values)


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _value(name: str, text: str) -> Any:
    kind = get_type_hints(Calibration)[name]
    if kind is bool:
        if text not in ("yes", "no"):
            raise ConversionError(f"calibrate: {name} is yes or no, not {text!r}")
        return text == "yes"
    if kind is float:
        try:
            return float(text)
        except ValueError as error:
            raise ConversionError(f"calibrate: {name} is a number, not {text!r}") from error
    return text
