"""How a result is told: with its interval and the number of images, and never more than was measured."""

from __future__ import annotations

from spikec.advising.choosing import loss, loss_interval
from spikec.reporting.numbers import engineering, engineering_range
from spikec.sweeping.store import Result


def accuracy(result: Result) -> str:
    """``79.2 % (76.6 to 81.6)``: accuracy with its 95 % Wilson interval."""
    low, high = result["interval"]
    return f"{100 * result['accuracy']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def distance(result: Result) -> str:
    """``-0.9 (-1.6 to -0.2)``: points above the network on the same images, with the 95 % interval of pairs."""
    low, high = result["paired"]["interval"]
    return f"{_points(result['paired']['difference'])} ({_points(low)} to {_points(high)})"


def agreement(result: Result) -> str:
    """Share of the images to which both give the same class."""
    return f"{100 * result['paired']['agree'] / result['images']:.1f} %"


def energy(result: Result) -> str:
    """``at least 1.8 mJ (1.6 to 2.1 mJ)`` per image: median and 90 % interval of the estimate."""
    found = next(iter(result["energy"].values()), None)
    if found is None:
        return "unknown"
    least = "at least " if found["lower_bound"] else ""
    return f"{least}{engineering(found['p50'], 'J')} ({engineering_range(found['p5'], found['p95'], 'J')})"


def cores(result: Result) -> str:
    """Cores of the placement, in brackets where they follow from capacity because there is none; empty if unknown."""
    found = next(iter(result["energy"].values()), None)
    if found is None or not found["cores"]:
        return ""
    return str(found["cores"]) if found["placed"] else f"({found['cores']})"


def cores_in_words(result: Result) -> str:
    number = cores(result)
    return f"{number or 'unknown'} core{'' if number == '1' else 's'}"


def verdict(result: Result, tolerance: float) -> str:
    """Whether a result shows that no more than ``tolerance`` (a share of the images) is lost."""
    low, high = loss_interval(result)
    allowed = f"{100 * tolerance:g} points"
    if high <= tolerance:
        return f"within {allowed} of the network"
    if loss(result) <= tolerance:
        return f"within {allowed} on these images, but the interval reaches a loss of {100 * high:.2f}"
    if low <= tolerance:
        return f"not within {allowed} on these images, though the interval does not rule it out"
    return f"not within {allowed} of the network"


def _points(share: float) -> str:
    """Points with a sign; ``0.0`` has none."""
    text = f"{100 * share:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text
