"""A measure that the user writes."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from spikec.errors import DataError
from spikec.evidence.measures.base import Float64, Interval, Quality, Targets, Whole
from spikec.evidence.measures.resampling import from_standard_error
from spikec.words import reason


class UserFunction(Whole):
    """``function(outputs, targets)`` with outputs float64 [N, *shape] and targets as the data hold them. It returns one
    number per input, whose mean is the value, or one number for all of them.

    Attributes of the function say more: ``higher_is_better`` (True where it says nothing), ``title``, ``unit``.
    One number for all inputs has as its interval 1.96 standard errors from 200 resamples, each a call.
    """

    def __init__(self, name: str, function: Callable[[Any, Any], Any]) -> None:
        self.name, self._function = name, function
        self.title = str(getattr(function, "title", getattr(function, "__name__", name)))
        self.unit = str(getattr(function, "unit", ""))
        better = getattr(function, "higher_is_better", True)
        if not isinstance(better, bool | np.bool_):
            raise DataError(f"metric {name}: higher_is_better is True or False, not {better!r}")
        self.higher_is_better = bool(better)

    @property
    def key(self) -> str:
        try:
            source = inspect.getsource(self._function)
        except (OSError, TypeError):  # compiled, or an object that is called
            source = repr(type(self._function))
        return f"{self.name}@{hashlib.sha256(source.encode()).hexdigest()[:12]}"

    def check(self, shape: tuple[int, ...], targets: Targets) -> None:
        """The function is the judge of that."""

    def statistics(self, outputs: Float64, targets: Targets) -> Float64 | None:
        found = self._call(outputs, targets)
        return None if found.ndim == 0 else found[:, None]

    def of_sums(self, sums: Float64, inputs: int) -> Float64:
        return np.asarray(sums[..., 0] / inputs)

    def of_all(self, outputs: Float64, targets: Targets) -> Quality:
        number, value = len(outputs), self._one(outputs, targets)
        spread = from_standard_error(number, lambda drawn: self._one(outputs[drawn], targets[drawn]), value)
        return Quality(self, number, value, spread)

    def difference_of_all(self, network: Float64, spiking: Float64, targets: Targets) -> Interval | None:
        def change(drawn: Any) -> float:
            return self._one(spiking[drawn], targets[drawn]) - self._one(network[drawn], targets[drawn])

        return from_standard_error(len(network), change, change(slice(None)))

    def _one(self, outputs: Float64, targets: Targets) -> float:
        found = self._call(outputs, targets)
        if found.ndim:
            raise DataError(f"metric {self.name} returned one number for all inputs first, and {found.shape} then")
        return float(found)

    def _call(self, outputs: Float64, targets: Targets) -> Float64:
        try:
            found = np.asarray(self._function(outputs.copy(), targets.copy()), np.float64)
        except (Exception, SystemExit) as error:  # the user's code may raise anything
            raise DataError(f"metric {self.name} failed: {reason(error)}") from error
        if found.shape not in ((), (len(outputs),)):
            raise DataError(
                f"metric {self.name} returned numbers of shape {list(found.shape)} for {len(outputs)} inputs; expected "
                "one per input, or one"
            )
        if not np.isfinite(found).all():
            raise DataError(f"metric {self.name} returned numbers that are not finite")
        return found


__all__ = ["UserFunction"]
