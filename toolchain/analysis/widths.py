"""Widths of integers."""

from __future__ import annotations


def signed_bits(low: int, high: int) -> int:
    """Width of the smallest two's complement integer that holds ``low`` and ``high``."""
    return 1 + max((value if value >= 0 else ~value).bit_length() for value in (low, high))
