"""What ``tc.advise`` is given, checked before anything runs: one sentence for what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from spikec.arguments import real_number, whole_number
from spikec.deployment.configuration import SETTINGS
from spikec.errors import ConversionError, DataError
from spikec.models.data import Dataset
from spikec.words import unknown

Array = npt.ArrayLike | torch.Tensor

_KNOWN = [name for name, about in SETTINGS.items() if about.command]


def check_model(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise ConversionError(f"expected a torch.nn.Module, got {type(model).__name__}")


def check_numbers(tolerance: Any, limit: Any) -> None:
    """``tolerance`` in points and ``limit``, a number of images or None."""
    if not 0 <= real_number("tolerance", tolerance) <= 100:
        raise ConversionError(f"tolerance is a number of points between 0 and 100, not {tolerance!r}")
    if limit is not None:
        whole_number("limit", limit, 1)


def check_fields(given: Mapping[str, Any], of: str) -> None:
    """Fields of a configuration. ``of``: what they are, for the message."""
    for name, value in given.items():
        if name not in _KNOWN:
            raise ConversionError(f"{of}: {unknown(name, _KNOWN)}")
        about = SETTINGS[name]
        if about.table:
            wrong = None if isinstance(value, Mapping) else f"must be names and their values, not {value!r}"
        else:
            wrong = None if value is None else about.wrong(value)
        if wrong is not None:
            raise ConversionError(f"{of}: {name} {wrong}" if wrong.startswith("must") else f"{of}: {name}: {wrong}")


def check_portfolio(portfolio: Sequence[Mapping[str, Any]]) -> None:
    if not portfolio:
        raise ConversionError("portfolio: it has no line, so there is nothing to try")
    for number, line in enumerate(portfolio, 1):
        if not isinstance(line, Mapping):
            raise ConversionError(f"portfolio, line {number}: expected fields of a configuration, not {line!r}")
        check_fields(line, f"portfolio, line {number}")


def dataset_of(name: str, images: Array, labels: Array) -> Dataset:
    """Images float [N, ...] and labels int [N] as a data set. Raises ``DataError``."""
    if isinstance(labels, Mapping):
        raise DataError(
            f"advice compares accuracy, and labels are given by output ({', '.join(map(str, labels))}): give a network "
            "with one output, and one class per image"
        )
    stored, given = _array("images", images), _array("labels", labels)
    if not np.issubdtype(stored.dtype, np.floating) and not np.issubdtype(stored.dtype, np.integer):
        raise DataError(f"images must be numbers as the network takes them, not {stored.dtype}")
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        raise DataError(f"labels must be one whole number per image, not {given.dtype} of shape {list(given.shape)}")
    stored = stored.astype(np.float32)
    if not np.isfinite(stored).all():
        raise DataError("images holds values that are not finite")
    classes = tuple(map(str, range(1 + max(map(int, given), default=0))))
    return Dataset(name, stored, given.astype(np.int64), 1.0, classes)


def _array(name: str, values: Array) -> npt.NDArray[Any]:
    try:
        return np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values)
    except (ValueError, TypeError) as error:
        raise DataError(f"{name} are no array: {error}") from error
