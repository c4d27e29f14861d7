"""Which trial to recommend for a purpose, and which others may yet be better. Decided on held-out images alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from spikec.advising.trials import Trial
from spikec.evidence.intervals import wilson
from spikec.sweeping.shape import DONE
from spikec.sweeping.store import Result

#: Results on held-out images, by the id of the trial.
Standing = Mapping[str, Result]

#: The purpose ``lossless`` tolerates this share of what the others do.
_STRICTER = 0.2
#: Of the images whose class changes, at least this share counts as lost: about so many were, on 2,048 and more
#: held-out images of the networks in docs/which-method.md. A loss of nothing among many changes is luck,
#: or comes from images that the network was trained on.
_HARM = 0.1


def loss(result: Result) -> float:
    """Share of the images that the network has right and the deployment does not, less the reverse."""
    return float(result["paired"]["lost"] - result["paired"]["gained"]) / float(result["images"])


def loss_interval(result: Result) -> tuple[float, float]:
    """95 % interval of :func:`loss`."""
    low, high = result["paired"]["interval"]
    return -high, -low


def disagreement(result: Result) -> float:
    """Share of the images to which the two give different classes. It varies less between samples than the loss, where
    what is gained hides what is lost, so it tells sooner which of two deployments is closer to the network."""
    return 1.0 - float(result["paired"]["agree"]) / float(result["images"])


def counted(result: Result) -> float:
    """The loss that decides: the measured one, but at least a tenth of :func:`disagreement`."""
    return max(loss(result), _HARM * disagreement(result))


def usable(result: Result | None) -> bool:
    """Whether it was measured, and no membrane left its register."""
    return result is not None and result["state"] == DONE and not result["overflows"]


def tolerated(purpose: str, tolerance: float) -> float:
    """The loss up to which the cheapest trial of a purpose is chosen."""
    return tolerance * _STRICTER if purpose == "lossless" else tolerance


def choose(trials: Iterable[Trial], standing: Standing, purpose: str, tolerance: float) -> Trial | None:
    """The trial to recommend; None where none was measured.

    Of the trials that fit the chip, and whose :func:`counted` loss is tolerated, it is the one with the fewest steps
    from image to answer, then with the least energy; where all lose more, the one that agrees with the network most
    often. Trials that do not fit the chip are considered only if none of the purpose fits.
    """
    measured = [t for t in trials if t.purpose == purpose and usable(standing.get(t.id))]
    fitting = [t for t in measured if standing[t.id]["chip"]["fits"]] or measured
    if not fitting:
        return None
    good = [t for t in fitting if counted(standing[t.id]) <= tolerated(purpose, tolerance)]
    if good:
        return min(good, key=lambda t: _cost(standing[t.id]))
    return min(fitting, key=lambda t: (disagreement(standing[t.id]), *_cost(standing[t.id])))


def contenders(trials: Iterable[Trial], standing: Standing, purpose: str, tolerance: float) -> list[Trial]:
    """The chosen trial, then those that its results do not yet rule out: cheaper ones whose loss may be tolerable, and
    where the chosen one's is not, all that may agree with the network more often."""
    trials = list(trials)
    chosen = choose(trials, standing, purpose, tolerance)
    if chosen is None:
        return []
    best, allowed = standing[chosen.id], tolerated(purpose, tolerance)
    rivals: Callable[[Result], bool] = lambda r: _cost(r) < _cost(best) and loss_interval(r)[0] <= allowed  # noqa: E731
    if counted(best) > allowed:
        rivals = lambda r: 1.0 - wilson(r["paired"]["agree"], r["images"])[1] < disagreement(best)  # noqa: E731
    others = [t for t in trials if t.purpose == purpose and t.id != chosen.id and usable(standing.get(t.id))]
    fits = best["chip"]["fits"]
    return [chosen, *(t for t in others if standing[t.id]["chip"]["fits"] == fits and rivals(standing[t.id]))]


def unpromising(trial: Trial, trials: Iterable[Trial], standing: Standing, tolerance: float) -> str | None:
    """Why others of its family make it unlikely that this trial matters; None where nothing does."""
    for other in trials:
        result = standing.get(other.id)
        if other.family != trial.family or other.id == trial.id or result is None or not usable(result):
            continue
        if other.resolution > trial.resolution and loss_interval(result)[0] > _HOPELESS:
            return f"{other.label} already loses {100 * loss(result):.1f} points"
        if other.resolution < trial.resolution and counted(result) <= tolerated("lossless", tolerance):
            return f"{other.label} already does with less"
    return None


#: A coarser trial is put off where a finer one of its family surely loses more than this.
_HOPELESS = 0.05


def _cost(result: Result) -> tuple[float, float]:
    return float(result["latency_steps"]), joules(result)


def joules(result: Mapping[str, Any]) -> float:
    """Median energy per image, infinite where no profile was estimated."""
    return next((float(found["p50"]) for found in result["energy"].values()), float("inf"))
