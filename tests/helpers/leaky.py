"""Loihi's leaky neuron in plain Python integers, one neuron at a time. It shares no code with the product."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np


def toward_zero(x):
    """x / 4096 without the part behind the point."""
    return abs(x) // 4096 * (1 if x >= 0 else -1)


def leaky(leak, i, u, v, z):
    """Current and membrane of neuron ``i`` after a step; ``leak`` has arrays du, dv and bias."""
    u = toward_zero(u * (4095 - int(leak.du[i]))) + 64 * z
    if u > 2**23:
        u -= 2**24
    elif u <= -(2**23):
        u += 2**24
    m = toward_zero(v * (4096 - int(leak.dv[i]))) + u + int(leak.bias[i])
    return u, max(-(2**23 - 1), min(2**23 - 1, m))


def fields_of(kind, shape):
    """du, dv and bias of every neuron; those that are not set have their defaults."""
    defaults = {"du": 4095, "dv": 0, "bias": 0}
    given = {name: getattr(kind, name) for name in defaults}
    return SimpleNamespace(
        **{name: np.full(shape, defaults[name]) if value is None else value for name, value in given.items()}
    )
