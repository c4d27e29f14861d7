"""Which inputs of a report to look at closely: right and wrong ones, certain and uncertain ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: Place of an input, and why it was chosen.
Chosen = tuple[int, str]


def spread(number: int, most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` of ``number`` places, evenly from all of them, first and last included."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).round().astype(np.int64))


def by_margin(output: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> list[Chosen]:
    """Of ``output`` [N, classes]: up to three that are right and up to three that are not, by how far the first class
    leads the second."""
    if output.shape[1] < 2:
        return first(len(output))
    top = np.sort(output, axis=1)[:, -2:]
    margin, right = top[:, 1] - top[:, 0], output.argmax(axis=1) == labels
    return [
        *_three(margin, np.flatnonzero(right), "right", ("widest", "median", "narrowest")),
        *_three(margin, np.flatnonzero(~right), "wrong", ("widest", "median", "narrowest")),
    ]


def by_error(error: npt.NDArray[np.float64]) -> list[Chosen]:
    """Of the error of each input, [N]: the smallest, the median and the largest."""
    names = ("smallest", "median", "largest")
    return _three(-error, np.arange(len(error)), "", names, "error")


def first(number: int) -> list[Chosen]:
    """The first three."""
    return [(index, f"input {index + 1}") for index in range(min(3, number))]


def _three(
    key: npt.NDArray[Any], among: npt.NDArray[Any], what: str, names: tuple[str, str, str], noun: str = "margin"
) -> list[Chosen]:
    """The largest ``key``, the middle and the smallest of ``among``, each once; the first of equal ones."""
    order = among[np.argsort(-key[among], kind="stable")]
    if not len(order):
        return []
    places = {0: names[0], len(order) // 2: names[1], len(order) - 1: names[2]}
    lead = f"{what}, " if what else ""
    found: dict[int, str] = {}
    for at, name in places.items():
        found.setdefault(int(order[at]), f"{lead}{name} {noun}")
    return list(found.items())
