"""Whether two integer graphs hold the same."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import numpy as np


def same(first: object, second: object) -> bool:
    """Whether two values (also graphs, nodes) are of one type and equal; arrays also in dtype, shape and every bit."""
    if type(first) is not type(second):
        return False
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if is_dataclass(first):
        return all(same(getattr(first, f.name), getattr(second, f.name)) for f in fields(first))
    return first == second
