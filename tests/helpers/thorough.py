"""Which of many cases run each time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def every_second(cases: Iterable[Any]) -> list[Any]:
    """The first, third, ... case of ``cases`` for ``make test``; the others for ``make thorough``. Neighbours in the
    list should be variants of each other. A case is what ``pytest.mark.parametrize`` takes for one argument, or a tuple
    for several."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)), marks=[pytest.mark.thorough] if number % 2 else []
        )
        for number, case in enumerate(cases)
    ]
