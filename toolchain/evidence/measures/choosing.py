"""Which measures are asked for, by name, and which ones targets ask for by themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.evidence.measures.base import Measure, Targets
from spikec.evidence.measures.classes import TopK
from spikec.evidence.measures.function import UserFunction
from spikec.evidence.measures.numbers import Correlation, MeanAbsoluteError, RootMeanSquareError
from spikec.evidence.measures.overlap import MeanIoU
from spikec.training.targets import each_head, heads, kind_of
from spikec.words import option, unknown

#: By name; ``top-K`` for other K is known too.
MEASURES: dict[str, Callable[[], Measure]] = {
    "top-1": TopK,
    "top-5": lambda: TopK(5),
    "mae": MeanAbsoluteError,
    "rmse": RootMeanSquareError,
    "correlation": Correlation,
    "miou": MeanIoU,
}
_DEFAULT = {"classes": ("top-1",), "masks": ("miou",), "numbers": ("mae", "correlation")}


@dataclass(frozen=True)
class Wanted:
    """A measure of the output called ``head``; None: of the only one there is."""

    measure: Measure
    head: str | None = None

    def of(self, values: Mapping[str, Any]) -> Any:
        """What ``values`` holds for this head. Raises :class:`DataError` where it is not there, or not named."""
        names = ", ".join(values)
        if self.head is None and len(values) != 1:
            raise DataError(
                f"the network has several outputs, {names}: say which one, as {_metric(f'NAME={self.name}')}, or call "
                "the targets y_NAME"
            )
        if self.head is not None and self.head not in values:
            raise DataError(f"{_metric(self.name)}: the network has no output {self.head!r}, but {names}")
        return next(iter(values.values())) if self.head is None else values[self.head]

    def target(self, targets: Targets) -> Targets:
        """Of ``targets`` [N, ...], or those of several outputs, the ones of this head. Raises :class:`DataError`."""
        if not targets.dtype.names:
            return targets
        if self.head not in targets.dtype.names:
            asked = "there are targets of several outputs" if self.head is None else f"output {self.head!r} has none"
            raise DataError(f"{_metric(self.name)}: {asked}; targets are those of {', '.join(targets.dtype.names)}")
        found: Targets = targets[self.head]
        return found

    @property
    def classifies(self) -> bool:
        """Whether it compares the classes of whole inputs, whatever it is called and whichever output it is of."""
        return isinstance(self.measure, TopK)

    @property
    def name(self) -> str:
        return self.measure.name if self.head is None else f"{self.head}={self.measure.name}"

    @property
    def key(self) -> str:
        """Under what files hold it."""
        return self.measure.key if self.head is None else f"{self.head}={self.measure.key}"

    @property
    def title(self) -> str:
        return self.measure.title if self.head is None else f"{self.head}: {self.measure.title}"


#: One or several measures, as they may be asked for; None: those that the targets ask for.
Metric = str | Measure | Wanted | Iterable[str | Measure | Wanted] | None


def measure_of(text: str) -> Measure:
    """The measure called ``text``: a name of :data:`MEASURES`, ``top-K``, ``miou:ignore=LABEL``, ``file.py:callable``
    or ``package.module:callable``, which may be a measure too. Raises :class:`DataError`."""
    if text in MEASURES:
        return MEASURES[text]()
    if found := re.fullmatch(r"top-([1-9]\d{0,5})", text):
        return TopK(int(found[1]))
    if found := re.fullmatch(r"miou:ignore=(-?\d{1,9})", text):
        return MeanIoU(int(found[1]))
    if re.match(r"miou:ignore(=|$)", text):
        raise DataError(f"{_metric(text)}: miou:ignore=LABEL takes a whole number, such as miou:ignore=0")
    place, colon, name = text.rpartition(":")
    if not colon or not place or not name:
        raise DataError(
            f"{option('metric')}: {unknown(text, MEASURES).rstrip('?')}; top-K, miou:ignore=LABEL, file.py:callable "
            "and package.module:callable are known too"
        )
    from spikec.models.resolving import imported

    function = imported(place, name)
    if isinstance(function, type) and issubclass(function, Measure):
        return function()
    if isinstance(function, Measure):
        return function
    if not callable(function):
        raise DataError(f"metric {text} is no callable but of type {type(function).__name__}")
    return UserFunction(text, function)


def default_measures(targets: Targets) -> tuple[Wanted, ...]:
    """What ``targets`` [N, ...] ask for: integers [N] for top-1, integers [N, H, W] for mean IoU, floats for mean
    absolute error and correlation. Of several outputs, for each."""
    return tuple(
        Wanted(MEASURES[name](), head or None)
        for head, values in each_head(targets).items()
        for name in _DEFAULT[kind_of(values)]
    )


def measures_of(given: Metric, shapes: Mapping[str, tuple[int, ...]], targets: Targets) -> tuple[Wanted, ...]:
    """The measures that are ``given``, else those that ``targets`` ask for; each fits outputs and targets.

    ``given``: names, with ``HEAD=`` before one that is meant for a single output, or measures. ``shapes``: of one
    output, by its name. Raises :class:`DataError`.
    """
    if not given:
        _check_heads(shapes, targets)
    wanted = tuple(dict.fromkeys(map(wanted_of, _each(given) or default_measures(targets))))
    for one in wanted:
        shape, own = tuple(one.of(shapes)), one.target(targets)
        try:
            one.measure.check(shape, own)
        except DataError as error:
            raise error if one.head is None else DataError(f"output {one.head}: {error}") from error
    return wanted


def _each(given: Metric) -> tuple[str | Measure | Wanted, ...]:
    """The measures that were asked for, one by one. Raises :class:`DataError` for what is none, such as a function:
    a report repeats its command, and a function alone has no name that a command could take."""
    each: tuple[Any, ...] = (given,)
    if not given:
        return ()
    if isinstance(given, Iterable) and not isinstance(given, str):
        each = tuple(given)
    for one in each:
        if not isinstance(one, str | Measure | Wanted):
            called = getattr(one, "__name__", type(one).__name__)
            kind = f"the callable {called}" if callable(one) else f"{one!r}"
            raise DataError(
                f"metric takes names such as 'mae', or measures, not {kind}; a function of yours is "
                "'file.py:callable', or UserFunction('name', function) of spikec.evidence.measures"
            )
    return each


def _check_heads(shapes: Mapping[str, tuple[int, ...]], targets: Targets) -> None:
    """Raise :class:`DataError` for targets of an output that the network does not have."""
    for head in targets.dtype.names or ():
        if head not in shapes:
            names = ", ".join(shapes)
            known = f"but {names}" if len(shapes) > 1 else f"but one, {names}, whose targets need no name (y)"
            raise DataError(
                f"there are targets of {head!r} (y_{head}), and the network has no output {head!r}, {known}"
            )


def wanted_of(given: str | Measure | Wanted) -> Wanted:
    """``NAME``, or ``HEAD=NAME`` for one output of several, or a measure. Raises :class:`DataError`."""
    if not isinstance(given, str):
        return given if isinstance(given, Wanted) else Wanted(given)
    head = re.match(r"([^=:]+)=(?=.)", given)
    return Wanted(measure_of(given)) if head is None else Wanted(measure_of(given[head.end() :]), head[1])


def as_targets(values: npt.ArrayLike | Mapping[str, npt.ArrayLike], number: int) -> Targets:
    """Targets as measures take them: int64 or floats, [N, ...] of ``number`` inputs, or these by the name of an output.
    Raises :class:`DataError`."""
    if isinstance(values, Mapping):
        return heads({name: as_targets(each, number) for name, each in values.items()})
    targets = np.asarray(values)
    if targets.dtype.names:
        return as_targets(each_head(targets), number)
    if targets.dtype.kind == "O":  # columns of tables hold numbers as objects
        targets = np.array(targets.tolist())
    if targets.dtype.kind == "b":
        targets = targets.astype(np.int64)
    if targets.ndim == 0 or len(targets) != number:
        raise DataError(f"{number} images but targets of shape {list(targets.shape)}; give one for each image")
    if kind_of(targets) != "numbers":
        return targets.astype(np.int64)
    if not np.isfinite(targets).all():
        raise DataError("targets hold values that are not finite")
    return targets


def _metric(name: str) -> str:
    return option("metric", name)


__all__ = ["MEASURES", "Metric", "Wanted", "as_targets", "default_measures", "measure_of", "measures_of", "wanted_of"]
