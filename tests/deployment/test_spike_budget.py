"""K per layer for a spike budget: within it, as measured; the best of what was measured; or refused with a number."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import spikec as tc
from spikec.conversion.calibration.choice import Calibration
from spikec.conversion.sensitivity import sensitivity
from spikec.deployment import Configuration, deploy, fill
from spikec.deployment.spike_budget import CANDIDATES, _candidates, choose_spikes
from spikec.ir import as_integer
from spikec.models import pretrained
from spikec.models.data import open_dataset

NUMBERS = (1, 3, 7)


@pytest.fixture(scope="module")
def images():
    return open_dataset("digits", split="train").images(slice(48))


@pytest.fixture(scope="module")
def plenty(images):
    return choose_spikes(pretrained("digits-cnn"), tc.QCFS(2), images, 1e6, candidates=NUMBERS)


def messages(graph, images):
    """Non-zero emissions per image, from the rasters."""
    trace = tc.simulate(graph, images, record="spikes")
    return sum(np.count_nonzero(raster) for raster in trace.spikes.values()) / len(images)


def test_a_large_budget_takes_the_best_of_each_layer(plenty):
    best = plenty.seen.divergence.argmin(1)
    assert [NUMBERS.index(k) for k in plenty.layers.values()] == best.tolist()


def test_budgets_hold_on_the_integer_network(plenty, images):
    """Measured, predicted and stored: what the file holds, and what ``spikec energy`` counts on the same images."""
    model = pretrained("digits-cnn")
    least = int(plenty.seen.spikes.min() / len(images))
    losses = []
    for budget in np.linspace(least, plenty.measured, 5)[1:-1]:
        choice = choose_spikes(model, tc.QCFS(2), images, budget, seen=plenty.seen)
        graph = as_integer(choice.nir)
        assert choice.measured == messages(graph, images) <= budget
        assert choice.predicted == pytest.approx(choice.measured, rel=0.1)
        assert {p.name: p.neuron.spikes for p in graph.populations} == choice.layers
        assert graph.info["spike_budget"] == f"{budget:g}"
        assert graph.info["spikes"] == choice.method.spikes
        counts = tc.estimate(graph, tc.simulate(graph, images), profile="loihi2").counts
        assert counts.spikes / len(images) == choice.measured
        again = tc.lower(tc.convert(model, choice.method, example=images[:1], calibration=images))
        assert [p.neuron for p in as_integer(again).populations] == [p.neuron for p in graph.populations]
        options = [NUMBERS.index(k) for k in choice.layers.values()]
        losses.append(choice.seen.divergence[range(len(options)), options].sum())
        assert f"{choice.measured:,.0f} measured on 48 calibration images" in choice.text()
        assert choice.document()["layers"] == choice.layers
    assert losses == sorted(losses, reverse=True)


def test_what_cannot_be_met_is_refused_with_what_can(plenty, images):
    """The number it names is met."""
    model = pretrained("digits-cnn")
    with pytest.raises(
        tc.ConversionError, match="a budget of 10 spikes per image cannot be met: the smallest"
    ) as caught:
        choose_spikes(model, tc.QCFS(2), images, 10, seen=plenty.seen)
    smallest = int(str(caught.value).split("found is ")[1].split(";")[0].replace(",", ""))
    assert choose_spikes(model, tc.QCFS(2), images, smallest, seen=plenty.seen).measured <= smallest
    with pytest.raises(tc.ConversionError, match="must be more than 0 spikes per image, it is -5"):
        choose_spikes(model, tc.QCFS(2), images, -5, seen=plenty.seen)


def test_which_numbers_are_tried():
    assert _candidates(tc.QCFS(2), None) == CANDIDATES
    assert _candidates(tc.QCFS(2, spikes=5), None) == (1, 2, 3, 5)
    assert _candidates(tc.ErrorCompensation(2, spikes=6), None) == (1, 2, 3, 5, 6)
    assert _candidates(tc.ResidualError(2), [3, 1, 3]) == (1, 3)
    assert _candidates(tc.QCFS(2, spikes=40), None) == (*CANDIDATES, 40)


@pytest.mark.parametrize(
    ("method", "budget", "candidates", "says"),
    [
        (tc.Graded(), 100, None, "the method graded has no such number: take qcfs or error-compensation"),
        (tc.OffsetSpikes(2, mode="static"), 100, None, "offset-spikes has no such number"),
        (tc.QCFS(2, spikes="*=3"), 100, None, "exclude each other"),
        (tc.QCFS(2), "many", None, "the spike budget must be a number, not 'many'"),
        (tc.QCFS(2), float("inf"), None, "the spike budget must be finite"),
        (tc.QCFS(2), 100, [], "candidates: give at least one number of spikes"),
        (tc.QCFS(2), 100, [0, 1], "candidates must be a whole number between 1 and 32767, not 0"),
        (tc.QCFS(2), 100, [1, 1.5], "candidates must be a whole number between 1 and 32767, not 1.5"),
    ],
    ids=str,
)
def test_what_makes_no_sense(method, budget, candidates, says):
    with pytest.raises(tc.ConversionError, match=says):
        choose_spikes(pretrained("digits-cnn"), method, torch.rand(2, 1, 8, 8), budget, candidates=candidates)


def test_a_configuration_with_a_budget():
    given = {"model": "digits-cnn", "spike_budget": 2100, "timesteps": 2, "calibration": 48, "options": {"spikes": 3}}
    configuration, refused = fill(given)
    assert refused is None
    made = deploy(configuration)
    assert made.spikes is not None
    assert made.nir is made.spikes.nir
    assert made.network is made.spikes.network
    assert made.spikes.measured <= 2100
    assert max(p.neuron.spikes for p in made.graph.populations) <= 3
    assert configuration.id != fill({**given, "spike_budget": 2000})[0].id
    assert Configuration.from_json(configuration.to_json()) == configuration


@pytest.mark.parametrize("calibrate", ["light", "full"])
def test_a_budget_holds_with_calibration_layer_after_layer(calibrate):
    """Shifts, and weights with ``full``, are those of the chosen K, and the budget holds on the integers they give."""
    given = {"model": "digits-cnn", "timesteps": 2, "calibration": 48, "options": {"spikes": 3}, "calibrate": calibrate}
    plain = deploy(fill({**given, "spike_budget": 1e6})[0])
    made = deploy(fill({**given, "spike_budget": 0.9 * plain.spikes.measured})[0])
    assert made.spikes.measured == messages(made.graph, made.images) <= 0.9 * plain.spikes.measured
    assert made.graph.info["calibrate"] == calibrate
    again = tc.convert(
        made.model, made.spikes.method, example=made.images[:1], calibration=made.images, calibrate=calibrate
    )
    assert as_integer(tc.lower(again)).content_sha256 == made.graph.content_sha256
    assert made.spikes.layers != plain.spikes.layers


def test_layers_are_measured_with_the_thresholds_of_a_calibration_alone(images):
    """Shifts and weights of ``full`` have no part in it."""
    model, method = pretrained("digits-cnn"), tc.QCFS(2)
    few = images[:8]
    found = choose_spikes(model, method, few, 1e6, candidates=(1, 3), calibrate="full").seen
    expected = sensitivity(model, method, few, (1, 3), few, calibrate=Calibration(per="channel"))
    np.testing.assert_array_equal(found.divergence, expected.divergence)
    np.testing.assert_array_equal(found.spikes, expected.spikes)
