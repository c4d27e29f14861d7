"""Which trial is recommended, which may still beat it, which is put off: on results made by hand."""

import pytest

from spikec.advising.budget import seconds_of
from spikec.advising.choosing import choose, contenders, unpromising
from spikec.advising.numbers import verdict
from spikec.advising.portfolio import PORTFOLIO
from spikec.advising.trials import PURPOSES, trials_of
from spikec.errors import ToolchainError
from spikec.reporting.front import front

TOLERANCE = 0.005


def _known(*found):
    return [each.trial for each in found], {each.trial.id: each.result for each in found}


def test_the_fastest_within_the_tolerance_is_chosen(made):
    slow, fast, lossy = made("slow", lost=0, steps=20), made("fast", lost=5, steps=10), made("lossy", lost=6, steps=5)
    trials, standing = _known(slow, fast, lossy)
    assert choose(trials, standing, "streaming", TOLERANCE) is fast.trial
    assert choose(trials, standing, "graded", TOLERANCE) is None


def test_what_is_gained_does_not_hide_what_is_lost(made):
    close, lucky = made("close", lost=20), made("lucky", lost=30)
    lucky.result["paired"].update(gained=15, agree=955)
    assert choose(*_known(close, lucky), "streaming", TOLERANCE) is close.trial


def test_many_changes_are_a_loss_also_where_gains_make_up_for_them(made):
    """Half of 10 % changed classes gained and half lost is no loss yet: a network of other images would lose."""
    close, lucky = made("close", lost=3, steps=20), made("lucky", lost=50, steps=10)
    lucky.result["paired"].update(gained=50, agree=900)
    trials, standing = _known(close, lucky)
    assert choose(trials, standing, "streaming", TOLERANCE) is close.trial
    finer = made("finer", levels=16)
    assert unpromising(finer.trial, [lucky.trial, finer.trial], standing, TOLERANCE) is None


def test_where_all_lose_more_the_closest_is_chosen(made):
    found = made("a", lost=30, steps=5), made("b", lost=20, steps=10), made("c", lost=20, steps=9)
    assert choose(*_known(*found), "streaming", TOLERANCE) is found[2].trial


def test_lossless_is_stricter(made):
    coarse, fine = made("coarse", "lossless", lost=4, steps=10), made("fine", "lossless", lost=1, steps=20)
    assert choose(*_known(coarse, fine), "lossless", TOLERANCE) is fine.trial


def test_energy_decides_between_equal_steps(made):
    dear, cheap = made("dear", joule=2.0), made("cheap", joule=1.0, lost=3)
    assert choose(*_known(dear, cheap), "streaming", TOLERANCE) is cheap.trial


def test_what_does_not_fit_the_chip_comes_last(made):
    large, small = made("large", fits=False, steps=5), made("small", lost=100)
    assert choose(*_known(large, small), "streaming", TOLERANCE) is small.trial
    assert choose(*_known(large), "streaming", TOLERANCE) is large.trial


def test_overflows_and_refusals_are_never_chosen(made):
    broken, refused = made("broken"), made("refused")
    broken.result["overflows"] = {"act": 3}
    refused.result = {"state": "refused"}
    assert choose(*_known(broken, refused), "streaming", TOLERANCE) is None
    assert contenders(*_known(broken, refused), "streaming", TOLERANCE) == []


def test_contenders_are_faster_ones_that_few_images_do_not_rule_out(made):
    leader = made("leader", lost=0, steps=10)
    open_ = made("open", lost=2, images=100, steps=5)
    ruled_out = made("ruled out", lost=100, steps=5)
    slower = made("slower", lost=0, steps=20)
    found = contenders(*_known(leader, open_, ruled_out, slower), "streaming", TOLERANCE)
    assert found == [leader.trial, open_.trial]


def test_contenders_of_a_leader_that_loses_much_are_all_that_may_lose_less(made):
    leader, near, far = made("leader", lost=30), made("near", lost=5, images=100, steps=20), made("far", lost=300)
    found = contenders(*_known(leader, near, far), "streaming", TOLERANCE)
    assert found == [leader.trial, near.trial]


def test_a_family_puts_off_what_it_makes_unlikely(made):
    measured = made("measured", lost=0, levels=8)
    finer, coarser, other = made("finer", levels=16), made("coarser", levels=4), made("other", levels=16, family="b")
    trials, standing = _known(measured)
    assert "already does with less" in unpromising(finer.trial, trials, standing, TOLERANCE)
    assert unpromising(coarser.trial, trials, standing, TOLERANCE) is None
    assert unpromising(other.trial, trials, standing, TOLERANCE) is None
    trials, standing = _known(made("measured", lost=200, levels=8))
    assert "already loses 20.0 points" in unpromising(coarser.trial, trials, standing, TOLERANCE)
    assert unpromising(finer.trial, trials, standing, TOLERANCE) is None


@pytest.mark.parametrize(
    ("lost", "images", "says"),
    [
        (0, 5000, "within 0.5 points of the network"),
        (2, 1000, "within 0.5 points on these images, but the interval reaches a loss of 0."),
        (6, 1000, "not within 0.5 points on these images, though the interval does not rule it out"),
        (30, 1000, "not within 0.5 points of the network"),
    ],
)
def test_a_verdict_says_no_more_than_was_measured(made, lost, images, says):
    assert verdict(made("a", lost=lost, images=images).result, TOLERANCE).startswith(says)


def test_front_is_what_nothing_beats():
    costs = [(1, 5), (2, 2), (3, 3), (2, 2), (5, 1)]
    assert front(costs) == [True, True, False, True, True]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5min", 300), (" 1.5 h", 5400), ("7", 7), (2, 2)])
def test_budgets(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["0", "-5s", "soon", "5 days", "", "nan", "inf"])
def test_what_is_no_budget(text):
    with pytest.raises(ToolchainError, match="is not a time"):
        seconds_of(text)


def test_the_portfolio_serves_every_purpose_and_its_labels_differ():
    trials = trials_of(PORTFOLIO, {"model": "digits-cnn"})
    assert {trial.purpose for trial in trials} == set(PURPOSES)
    assert len({trial.label for trial in trials}) == len(trials) == len(PORTFOLIO)
    assert not [trial.refused for trial in trials if trial.refused]
    assert {trial.purpose for trial in trials[:4]} == set(PURPOSES)  # a short budget answers for each


def test_a_line_may_set_any_field_of_a_configuration():
    line = {"method": "qcfs", "timesteps": 2, "options": {}, "bits": 4, "force": True}
    (trial,) = trials_of([line], {"model": "digits-cnn"})
    assert (trial.configuration.bits, trial.configuration.force) == (4, True)
    assert "force=True" in trial.label
