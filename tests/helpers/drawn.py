"""How many random cases a test draws."""

from __future__ import annotations

import os


def drawn(number: int) -> int:
    """``number`` cases of Hypothesis, or the share of it that ``CASES`` in the environment asks for: ``CASES=0.5``
    draws half as many, ``CASES=10`` ten times as many; at least three, where there are as many."""
    return max(min(number, 3), round(number * float(os.environ.get("CASES", "1"))))
