"""How a budget is spent: a bench that takes the time it is told to, on a clock that it moves."""

from types import SimpleNamespace

import pytest

from spikec.advising.budget import Budget
from spikec.advising.racing import Race
from spikec.errors import ToolchainError

TOLERANCE = 0.005


class Bench:
    """``trials``: {label: (purpose, share lost, steps, seconds per image)}."""

    def __init__(self, made, trials, clock):
        self.facts, self.clock, self.log = trials, clock, []
        self.subject = SimpleNamespace(test=range(10_000))
        self._made = made
        self.trials = [self._result(label, 1).trial for label in trials]

    def _result(self, label, images):
        purpose, share, steps, _ = self.facts[label]
        found = self._made(label, purpose, lost=round(share * images), images=images, steps=steps, family=label)
        found.result["timing"] = {"deploy_seconds": 0.0, "seconds_per_image": self.facts[label][3]}
        return found

    def sizes(self):
        return [128, 512, 2048, 8192]

    def result(self, trial):
        return None

    def tested(self, trial, images):
        return None

    def keeps(self, trial):
        return True

    def network_cost(self, split, images):
        return 0.0

    def measure(self, trial, images, kind="held-out"):
        label = trial.configuration.model
        self.clock.now += images * self.facts[label][3]
        self.log.append((label, images, kind))
        return self._result(label, images).result

    def test(self, trial, images):
        return self.measure(trial, images, "test")


@pytest.fixture
def race(made, monkeypatch):
    """``race(trials, seconds) -> (Race after its run, log of the bench, seconds spent)``."""

    def run(trials, seconds, **options):
        clock = SimpleNamespace(now=0.0)
        monkeypatch.setattr("spikec.advising.budget.time", SimpleNamespace(monotonic=lambda: clock.now))
        bench = Bench(made, trials, clock)
        found = Race(bench, bench.trials, Budget(seconds), TOLERANCE, lambda *_: None)
        found.run(**options)
        return found, bench.log, clock.now

    return run


FAST, SLOW = 0.001, 0.1
TRIALS = {
    "bits": ("lossless", 0.0, 60, FAST),
    "levels": ("graded", 0.0, 10, FAST),
    "spikes": ("streaming", 0.03, 20, SLOW),
    "few spikes": ("streaming", 0.2, 12, SLOW),
}


def test_a_large_budget_measures_the_chosen_on_all_images(race):
    found, log, spent = race(TRIALS, 10_000)
    assert {p: t.configuration.model for p, t in found.chosen().items()} == {
        "streaming": "spikes",
        "lossless": "bits",
        "graded": "levels",
    }
    assert {(label, images) for label, images, kind in log if kind == "test"} == {
        ("bits", 10_000),
        ("levels", 10_000),
        ("spikes", 10_000),
    }
    assert ("bits", 8192, "held-out") in log
    assert ("few spikes", 512, "held-out") not in log  # 128 images rule it out
    assert not found.untried
    assert spent <= 10_000


@pytest.mark.parametrize("seconds", [30, 60, 100, 300])
def test_a_budget_is_kept(race, seconds):
    found, log, spent = race(TRIALS, seconds)
    assert spent <= seconds + 2 * 200 * SLOW  # the smallest test of what turned out to be slow
    assert {label for label, *_ in log} | {t.configuration.model for t in found.trials if t.id in found.untried} == set(
        TRIALS
    )


def test_what_costs_least_is_known_best(race):
    _, log, _ = race(TRIALS, 120)
    most = {label: max(n for name, n, kind in log if name == label and kind == "held-out") for label, *_ in log}
    assert most["bits"] == most["levels"] == 8192
    assert most["spikes"] == 128


def test_each_recommendation_gets_its_share_of_the_time_for_the_test(race):
    found, _, _ = race(TRIALS, 200)
    tested = {trial.configuration.model: found.tested[trial.id]["images"] for trial in found.chosen().values()}
    assert tested == {"bits": 10_000, "levels": 10_000, "spikes": 500}


def test_a_limit_replaces_the_share(race):
    _, log, _ = race(TRIALS, 200, limit=300)
    assert {images for _, images, kind in log if kind == "test"} == {300}


def test_the_first_is_measured_whatever_it_costs(race):
    found, log, _ = race({"bits": ("lossless", 0.0, 60, 10.0), "levels": ("graded", 0.0, 10, FAST)}, 5)
    assert log == [("bits", 128, "held-out"), ("bits", 200, "test")]
    assert list(found.untried.values()) == ["not tried: no time left"]


def test_a_lucky_leader_is_found_out(race, made):
    """Of two that lose nothing on few images, the faster one leads until more images show that it loses."""
    trials = {"fast": ("lossless", 0.0035, 10, FAST), "slow": ("lossless", 0.0, 20, FAST)}
    found, log, _ = race(trials, 1000)
    assert ("fast", 512, "held-out") in log
    assert found.chosen()["lossless"].configuration.model == "slow"


def test_no_time_at_all(made, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("spikec.advising.budget.time", SimpleNamespace(monotonic=lambda: clock.now))
    bench = Bench(made, TRIALS, clock)
    found = Race(bench, bench.trials, Budget(3), TOLERANCE, lambda *_: None)
    clock.now = 4.0
    with pytest.raises(ToolchainError, match="no time: the budget of 3 s"):
        found.run()
