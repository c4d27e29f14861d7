"""Units and integers: which real value one membrane unit stands for, and how weights are rounded to it.

With unit D (real value of one integer unit of the membrane), weights become round(W / D), biases round(b / D) and the
threshold round(lambda / D). D follows from the weights and their bits. It is then adjusted slightly, so that the number
used most has no rounding error: the threshold, which every spike subtracts, or the weight of an identity skip, which is
the same for all its spikes.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from spikec import defaults
from spikec.arguments import whole_number
from spikec.calls import named_fields
from spikec.errors import ConversionError
from spikec.ir.operations.weights import narrow, row_blocks
from spikec.ir.types import Int64
from spikec.quantization.kernels import Float64
from spikec.words import among

Scale = Literal["max", "power_of_two", "spikes"]
Rounding = Literal["nearest", "gptq"]

#: Largest threshold a choice of unit leads to: leaves a 24-bit membrane room for several thresholds.
_THRESHOLD_CEILING = 2**21
#: Weights that are rounded at a time.
_ROUNDED = 2**16
#: How far from an integer a trained weight may be, in units: float32 does not hold it exactly.
_OFF_GRID = 0.01
#: How many mantissas of an identity skip, from the largest down, are tried for a threshold that rounds well.
_SKIP_CHOICES = 8


@runtime_checkable
class Precision(Protocol):
    """What :func:`spikec.lower` needs to know about the rounding of weights. ``names``: that of a population (or the
    readout), and those of the layers of the network whose weights lead into it."""

    @property
    def per(self) -> Literal["layer", "channel"]: ...

    @property
    def scale(self) -> Scale: ...

    def bits_of(self, *names: str) -> int: ...

    def settings(self) -> dict[str, str]: ...


@named_fields
@dataclass(frozen=True)
class Int8:
    """8-bit weights, one unit ``per`` layer or per output channel; the readout has one unit always.

    ``bits`` (2 to 8) narrows the weights to [-(2**(bits-1) - 1), 2**(bits-1) - 1]. ``overrides`` maps patterns of
    names, such as ``"features.*"``, to other widths; a pattern matches the name of the layer that has the weights or of
    the neurons they lead into, and the last match wins. ``scale``: how the unit is chosen:

    - ``max``: the largest weight just fits; the unit is adjusted so that threshold or skip is an exact integer;
    - ``power_of_two``: the unit is instead rounded up to a power of two; thresholds are rounded;
    - ``spikes``: the largest weights may be clipped; the clip that changes fewest spike counts on the network's
      example images wins.

    ``rounding``: every weight to the ``nearest`` integer, or ``gptq``: chosen on the network's example images so that
    the sums of a layer change least (:mod:`spikec.quantization.rounding`).

    ``units`` gives the units directly: for every population and the readout, one per output channel. They are those
    that :func:`spikec.finetune_quantised` trained the weights with.

    >>> tc.Int8(bits=4, overrides={"features.0": 8}).bits_of("features.0")
    8
    """

    per: Literal["layer", "channel"] = defaults.PER
    bits: int = defaults.BITS
    scale: Scale = defaults.SCALE
    overrides: Mapping[str, int] = field(default_factory=dict, hash=False)
    units: Mapping[str, Sequence[float]] = field(default_factory=dict, hash=False)
    rounding: Rounding = defaults.ROUNDING

    def __post_init__(self) -> None:
        if not among(self.per, ("layer", "channel")):
            raise ConversionError(f"per must be 'layer' or 'channel', not {self.per!r}")
        if not among(self.scale, get_args(Scale)):
            raise ConversionError(f"scale must be one of {', '.join(get_args(Scale))}, not {self.scale!r}")
        if not among(self.rounding, get_args(Rounding)):
            raise ConversionError(f"rounding must be one of {', '.join(get_args(Rounding))}, not {self.rounding!r}")
        for name in ("overrides", "units"):
            if not isinstance(getattr(self, name), Mapping):
                raise ConversionError(f"{name} gives values by the name of a layer, not {getattr(self, name)!r:.80}")
        if self.units and self.rounding != "nearest":
            raise ConversionError("weights that were trained with their units are rounded to the nearest integer")
        object.__setattr__(self, "bits", whole_number("bits", self.bits, 2, 8))
        widths = {name: whole_number(f"override {name}: bits", bits, 2, 8) for name, bits in self.overrides.items()}
        object.__setattr__(self, "overrides", widths)

    def bits_of(self, *names: str) -> int:
        """Width of the weights that lead into the population with one of these ``names``."""
        return [self.bits, *(bits for pattern, bits in self.overrides.items() if fnmatch.filter(names, pattern))][-1]

    def check_names(self, names: Sequence[str]) -> None:
        """Raise ``ConversionError`` for an override that matches none of these names."""
        for pattern in self.overrides:
            if not fnmatch.filter(names, pattern):
                raise ConversionError(f"override {pattern!r} is the name of no layer; layers: {', '.join(names)}")

    def settings(self) -> dict[str, str]:
        """The choice in words, as stored in files and reports."""
        special = "".join(f", {pattern}: int{bits}" for pattern, bits in self.overrides.items())
        scale = "trained" if self.units else self.scale
        rounding = "" if self.rounding == "nearest" else f", rounding {self.rounding}"
        return {"weights": f"int{self.bits} per {self.per}, scale {scale}{special}{rounding}"}


@dataclass(frozen=True)
class Request:
    """What the units of a population depend on.

    ``branches``: real weights, output channel first; of a matrix that makes images all outputs of a channel, one after
    the other. ``threshold``: real, [O]; None for the readout. ``bias_floor``:
    the smallest unit [O] in which its bias fits. ``weight_max``, ``threshold_max``, ``exponent_max``: largest mantissa,
    threshold and exponent. ``per`` and ``scale``: those of the precision. ``coarser``: how many times larger than these
    ask for the unit has to be, since a membrane would overflow.
    """

    branches: Sequence[Float64]
    threshold: Float64 | None
    bias_floor: Float64
    weight_max: int
    threshold_max: int
    exponent_max: int
    per: Literal["layer", "channel"]
    scale: Scale
    coarser: float = 1.0

    @property
    def channels(self) -> int:
        return len(self.bias_floor)


@dataclass(frozen=True)
class Units:
    """``unit`` [O]: real value of one membrane unit per output channel; ``theta`` [O] integers (None: readout);
    ``exponents``: per branch, weights are mantissa * 2**exponent."""

    unit: Float64
    theta: Int64 | None
    exponents: tuple[int, ...]
    weight_max: int

    def weights(self, branch: int, real: Float64) -> Int64:
        """``clip(round(real / (unit * 2**e))) * 2**e`` of a branch, int64, its rows as in :class:`Request`."""
        return self.narrow_weights(branch, real).astype(np.int64)

    def narrow_weights(self, branch: int, real: Float64) -> npt.NDArray[Any]:
        """The same in the narrowest integers that hold them, made some rows at a time."""
        exponent, largest = self.exponents[branch], float(self.weight_max)
        steps = rows(self.unit * 2.0**exponent, real)
        made = np.empty(real.shape, narrow(np.array([self.weight_max << exponent])).dtype)
        for block in row_blocks(real.shape, _ROUNDED):
            scaled = real[block] / steps[block]
            np.rint(scaled, out=scaled)
            np.minimum(scaled, largest, out=scaled)
            np.maximum(scaled, -largest, out=scaled)
            made[block] = scaled.astype(np.int64) << exponent
        return made


def rows(values: Float64, weight: Float64) -> Float64:
    """One of ``values`` [O] for each row of ``weight``, shaped to multiply it."""
    return np.repeat(values, len(weight) // len(values)).reshape(-1, *[1] * (weight.ndim - 1))


def choose_units(request: Request, shrink: float | Float64 = 1.0) -> Units:
    """Units of a population.

    The branch with the smallest weights sets the unit; branches with larger ones (identity skips, typically) get a
    power-of-two exponent, so that each keeps the full width of its mantissa. ``shrink`` <= 1, a number or one per
    output channel, makes the unit finer and clips the largest weights.
    """
    peaks = _peaks(request)
    bias_floor = request.bias_floor if request.per == "channel" else request.bias_floor.max()
    unit = np.maximum(np.asarray(shrink) * _finest(peaks, request), bias_floor)
    if request.threshold is None:
        unit = np.full(request.channels, unit.max() * request.coarser)
        if request.scale == "power_of_two":
            unit = _power_of_two(unit)
        return Units(unit, None, _exponents(peaks * shrink, unit, request.weight_max), request.weight_max)
    unit = np.maximum(unit, request.threshold / min(request.threshold_max, _THRESHOLD_CEILING)) * request.coarser
    if request.scale == "power_of_two":
        unit = _power_of_two(unit)
        theta = np.maximum(np.rint(request.threshold / unit), 1)
    else:
        skip = _skip(request, peaks)
        exponents = _exponents(peaks * shrink, unit, request.weight_max)
        theta, unit = (
            _exact_threshold(request.threshold, unit)
            if skip is None
            else _exact_skip(request.threshold, unit, peaks[skip], 2.0 ** exponents[skip])
        )
    exponents = _exponents(peaks * shrink, unit, request.weight_max)
    return Units(unit, theta.astype(np.int64), exponents, request.weight_max)


def tighter(units: Units, request: Request) -> Units:
    """Units of single channels made as small as the exponents of all channels allow.

    An exponent belongs to a branch, a unit to a channel: where branches differ in size from channel to channel,
    :func:`choose_units` leaves the mantissas of most channels half empty or worse. Thresholds are exact.
    """
    several = len(request.branches) > 1 and request.per == "channel" and request.scale != "power_of_two"
    if units.theta is None or request.threshold is None or not several:
        return units
    reached = (_peaks(request) / 2.0 ** np.array(units.exponents)[:, None]).max(axis=0) / request.weight_max
    held = request.threshold / min(request.threshold_max, _THRESHOLD_CEILING)
    theta, unit = _exact_threshold(request.threshold, np.maximum.reduce([reached, held, request.bias_floor]))
    return replace(units, unit=unit, theta=theta.astype(np.int64))


def _peaks(request: Request) -> Float64:
    """Largest weight [branches, O]."""
    return np.array([_largest(w.reshape(request.channels, -1)) for w in request.branches])


def _largest(weight: Float64) -> Float64:
    """The largest magnitude of each row."""
    largest: Float64 = np.maximum(weight.max(axis=1), -weight.min(axis=1))
    return largest


def given_units(request: Request, name: str, given: Mapping[str, Sequence[float]]) -> Units:
    """The units that the weights of a population were trained with; thresholds are rounded to them."""
    unit = np.asarray(given.get(name, ()), dtype=np.float64)
    if unit.shape != (request.channels,) or not (np.isfinite(unit).all() and (unit > 0).all()):
        raise ConversionError(
            f"{name}: the weights were trained with units for {unit.size} channels, the layer has {request.channels}: "
            "convert the network that was fine-tuned, by the same method"
        )
    theta = None if request.threshold is None else np.maximum(np.rint(request.threshold / unit), 1).astype(np.int64)
    peaks = _peaks(request)
    units = Units(unit, theta, _exponents(peaks, unit, request.weight_max), request.weight_max)
    skip = _skip(request, peaks)
    for branch, real in enumerate(request.branches):
        scaled = real / rows(unit * 2.0 ** units.exponents[branch], real)
        if branch != skip and np.abs(scaled - np.rint(scaled)).max(initial=0) > _OFF_GRID:
            raise ConversionError(
                f"{name}: its weights are no whole multiples of the units they were trained with: they were "
                "changed since, or converted by another method or from other input"
            )
    return units


def _finest(peaks: Float64, request: Request) -> Float64:
    """The smallest unit [O] in which the largest weight of the branch with the smallest weights fits its mantissa."""
    largest = peaks.max(axis=1)
    used = largest > 0
    smallest = float(largest[used].min()) if used.any() else 1.0
    reach = float(largest.max()) / request.weight_max / 2**request.exponent_max
    layer = max(smallest / request.weight_max, reach)
    if request.per == "layer" or request.threshold is None or not used.any():
        return np.full(request.channels, layer)
    own = np.where(peaks > 0, peaks, np.inf).min(axis=0) / request.weight_max
    # A channel of tiny weights would need a huge threshold: its unit stays within reach of the layer's, and of the
    # channel's largest weights.
    reach_own = peaks.max(axis=0) / request.weight_max / 2**request.exponent_max
    return np.maximum(np.where(np.isfinite(own), own, layer), np.maximum(layer / 2**request.exponent_max, reach_own))


def _power_of_two(unit: Float64) -> Float64:
    return np.asarray(2.0 ** np.ceil(np.log2(unit)))


def _exact_threshold(threshold: Float64, unit: Float64) -> tuple[Float64, Float64]:
    theta = np.maximum(np.floor(threshold / unit), 1)
    return theta, threshold / theta


def _skip(request: Request, peaks: Float64) -> int | None:
    """The branch, among several, whose weights all have one magnitude per output channel: an identity skip."""
    if len(request.branches) < 2:
        return None
    for i, weights in enumerate(request.branches):
        magnitude = np.abs(weights.reshape(request.channels, -1))
        if (peaks[i] > 0).all() and ((magnitude == 0) | (magnitude == peaks[i][:, None])).all():
            return i
    return None


def _exact_skip(threshold: Float64, unit: Float64, gain: Float64, factor: float) -> tuple[Float64, Float64]:
    """A slightly coarser unit for which the skip's weight is a whole mantissa and the threshold rounds best."""
    top = np.maximum(np.floor(gain / (unit * factor)), 1)
    mantissa = np.maximum(top[None, :] - np.arange(_SKIP_CHOICES)[:, None], 1)
    units = gain / (mantissa * factor)
    scaled = threshold / units
    error = np.abs(scaled - np.rint(scaled)) / scaled
    best = np.argmin(error, axis=0)
    chosen = units[best, np.arange(len(best))]
    return np.maximum(np.rint(threshold / chosen), 1), chosen


def _exponents(peaks: Float64, unit: Float64, weight_max: int) -> tuple[int, ...]:
    """Per branch the smallest e >= 0 with round(peak / (unit * 2**e)) <= weight_max."""
    exponents = []
    for peak in peaks:
        largest, exponent = float((peak / unit).max()), 0
        while np.rint(largest / 2**exponent) > weight_max:
            exponent += 1
        exponents.append(exponent)
    return tuple(exponents)
