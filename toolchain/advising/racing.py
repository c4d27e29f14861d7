"""Spends a budget on trials: all that are promising on few images, then the best of them on more and more.

Every trial is measured on the same held-out images: training images that calibrate nothing. The first round takes the
trials in the order of the portfolio and puts off those that others of their family make unlikely to matter. Later
rounds measure, on more images, the trial that leads for a purpose and those that may yet beat it. What was put off
comes last, if time is left. Then the chosen trials are measured on test images, for which a share of the budget is
kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spikec.advising.bench import Bench
from spikec.advising.budget import Budget
from spikec.advising.choosing import choose, contenders, unpromising, usable
from spikec.advising.trials import PURPOSES, Trial
from spikec.errors import ToolchainError
from spikec.sweeping.shape import DONE
from spikec.sweeping.store import Result
from spikec.words import option

#: Called before each measurement: what comes, how many of how many trials are measured, seconds until the end.
Tell = Callable[[str, int, int, float], None]

#: Share of the budget for the choice; the rest is for the test images.
_CHOICE = 0.7
#: Numbers of test images, of which each chosen trial gets the largest that its share of the time allows.
_TEST_IMAGES = (200, 500, 1000, 2000, 5000)
#: What a trial costs that was not measured yet is known from others only, and those that came first paid for starting
#: up. So it may begin where this share of that cost is left.
_GUESS = 0.5
_NO_TIME = "not tried: no time left"


class Race:
    """``standing``: results on held-out images by trial. ``tested``: on test images. ``untried``: why there is none."""

    def __init__(self, bench: Bench, trials: Sequence[Trial], budget: Budget, tolerance: float, tell: Tell) -> None:
        self.bench, self.trials, self.budget, self.tolerance, self._tell = bench, trials, budget, tolerance, tell
        found = {trial.id: bench.result(trial) for trial in trials}
        self.standing: dict[str, Result] = {id: result for id, result in found.items() if result is not None}
        self.tested: dict[str, Result] = {}
        self.untried: dict[str, str] = {}

    def run(self, limit: int | None = None) -> None:
        """Spend the budget. ``limit``: test images for the final figures, instead of as many as the time allows."""
        if not self.standing and self.budget.left() <= 0:
            raise ToolchainError(
                f"no time: the budget of {self.budget.seconds:g} s went into reading the network and its data, which "
                f"took {self.budget.spent:.0f} s; give a larger {option('budget')}"
            )
        self._first_round(late=False)
        self._further_rounds()
        self._first_round(late=True)
        self._further_rounds()
        self._test(limit)

    def chosen(self) -> dict[str, Trial]:
        """The trial to recommend for each purpose that has one."""
        found = {purpose: choose(self.trials, self.standing, purpose, self.tolerance) for purpose in PURPOSES}
        return {purpose: trial for purpose, trial in found.items() if trial is not None}

    def _first_round(self, late: bool) -> None:
        """Measure what has no result. ``late``: also what is unlikely to matter."""
        size = self.bench.sizes()[0]
        for trial in self.trials:
            if trial.id in self.standing:
                continue
            self.untried.pop(trial.id, None)
            why = unpromising(trial, self.trials, self.standing, self.tolerance)
            if why is not None and not late:
                self.untried[trial.id] = f"not tried: {why}"
            elif trial.refused is not None or not self._any_done() or self._affords(trial, size):
                self._measure(trial, size)
            else:
                self.untried[trial.id] = _NO_TIME if why is None else f"not tried: {why}"

    def _any_done(self) -> bool:
        return any(result["state"] == DONE for result in self.standing.values())

    def _further_rounds(self) -> None:
        """As long as time allows, the contender for which it costs least is measured on the next number of images."""
        while True:
            found: list[tuple[float, int, Trial]] = []
            for purpose in PURPOSES:
                for trial in contenders(self.trials, self.standing, purpose, self.tolerance):
                    size = self._next_size(trial)
                    if size is not None and self._affords(trial, size):
                        found.append((self.cost(trial, size), size, trial))
            if not found:
                return
            _, size, trial = min(found, key=lambda item: item[:2])
            self._measure(trial, size)

    def _next_size(self, trial: Trial) -> int | None:
        seen = int(self.standing[trial.id]["images"])
        return next((size for size in self.bench.sizes() if size > seen), None)

    def _measure(self, trial: Trial, size: int) -> None:
        self._tell(f"{trial.label} on {size} held-out images", len(self.standing), len(self.trials), self.budget.left())
        self.standing[trial.id] = self.bench.measure(trial, size)

    def _affords(self, trial: Trial, size: int) -> bool:
        cost = self.cost(trial, size) + self.bench.network_cost("held-out", size)
        guess = 1.0 if usable(self.standing.get(trial.id)) else _GUESS
        return guess * cost <= self.budget.left(_CHOICE)

    def cost(self, trial: Trial, images: int) -> float:
        """Seconds that measuring it will take: from its own results, else from those of the most similar trial, in
        proportion to T."""
        known = self.standing.get(trial.id)
        timed = [t for t in self.trials if usable(self.standing.get(t.id))]
        if known is not None and usable(known):
            like, scale = trial, 1.0
        elif timed:
            like = min(timed, key=lambda t: _unlike(t, trial))
            scale = max(1.0, trial.configuration.timesteps / like.configuration.timesteps)
        else:
            return 0.0
        timing = self.standing[like.id]["timing"]
        deploying = 0.0 if self.bench.keeps(trial) else timing["deploy_seconds"]
        return float(scale * (deploying + images * timing["seconds_per_image"]))

    def _test(self, limit: int | None) -> None:
        """Measure the chosen trials on test images; each has an equal share of the time that is left."""
        chosen = sorted(self.chosen().values(), key=lambda trial: self.cost(trial, _TEST_IMAGES[0]))
        for number, trial in enumerate(chosen):
            images = self._test_images(trial, self.budget.left() / (len(chosen) - number), limit)
            label = f"{trial.label} on {images} test images"
            self._tell(label, len(self.standing), len(self.trials), self.budget.left())
            found = self.bench.test(trial, images)
            if found["state"] == DONE:
                self.tested[trial.id] = found

    def _test_images(self, trial: Trial, seconds: float, limit: int | None) -> int:
        """The largest number of test images whose result is known or takes at most ``seconds``."""
        most = len(self.bench.subject.test)
        if limit is not None:
            return min(limit, most)
        sizes = sorted({min(size, most) for size in (*_TEST_IMAGES, most)}, reverse=True)
        known = (size for size in sizes if self.bench.tested(trial, size) is not None)
        fast = (s for s in sizes if self.cost(trial, s) + self.bench.network_cost("test", s) <= seconds)
        return max(next(known, 0), next(fast, sizes[-1]))


def _unlike(one: Trial, other: Trial) -> tuple[bool, bool, bool, float]:
    """Order by which trials are compared for their cost: the smallest is the most similar."""
    a, b = one.configuration, other.configuration
    return one.family != other.family, a.method != b.method, a.schedule != b.schedule, abs(a.timesteps - b.timesteps)
