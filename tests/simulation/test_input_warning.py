"""Every trace says what the input coding lost, and a warning says when that is much."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.networks import digits_network
from helpers.sequences import random_sequence_graph
from torch import nn

import spikec as tc
from spikec.errors import InputWarning
from spikec.ir import as_integer, build, decode, diff
from spikec.ir.input_statistics import code
from spikec.simulation.golden import fingerprint
from spikec.simulation.input_warning import input_loss, unsaid, warning
from spikec.targets.base import get_target


def images(number=64, seed=0):
    """Smooth images in [0, 1] of different brightness, float32 [N, 3, 8, 8]."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(number, 3, 4, 4, generator=rng)
    smooth = nn.functional.interpolate(coarse, size=8, mode="bilinear")
    return smooth * (0.4 + 0.6 * torch.rand(number, 1, 1, 1, generator=rng))


_UNITS = {
    "0 to 1": lambda x: x,
    "standardised": lambda x: (x - 0.35) / 0.2,
    "-1 to 1": lambda x: (x - 0.5) / 0.5,
    "0 to 255": lambda x: (x * 255).round(),
}


def graph_for(units):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).eval()
    given = _UNITS[units](images())
    return tc.lower(tc.convert(model, tc.QCFS(timesteps=4), example=given[:2], calibration=given))


@pytest.fixture(scope="module")
def graphs():
    return {units: graph_for(units) for units in _UNITS}


@pytest.mark.parametrize("given", _UNITS)
@pytest.mark.parametrize("made_for", _UNITS)
def test_images_in_other_units_are_noticed(graphs, made_for, given):
    pixels = _UNITS[given](images(seed=1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trace = tc.simulate(graphs[made_for], pixels)
    said = [str(each.message) for each in caught if each.category is InputWarning]
    assert len(said) == (made_for != given), said
    found = input_loss(as_integer(graphs[made_for]), trace.coding)
    assert found.warning == (said[0] if said else None)
    if {made_for, given} == {"0 to 1", "0 to 255"}:
        assert "other units" in said[0]
    elif said and made_for in ("standardised", "-1 to 1") and given.startswith("0"):
        assert "normalisation seems to be missing" in said[0]
    elif said and given in ("standardised", "-1 to 1") and made_for.startswith("0"):
        assert "seem to be normalised" in said[0]


@pytest.mark.parametrize("number", [1, 2, 3, 5, 64])
@pytest.mark.parametrize("units", _UNITS)
def test_few_images_of_the_right_kind_are_not_complained_of(graphs, units, number):
    for seed in range(2, 12):
        _, coding = code(as_integer(graphs[units]).input, _UNITS[units](images(number, seed)).numpy())
        assert warning(as_integer(graphs[units]), coding) is None


def test_counts_and_thresholds(graphs):
    pixels = images(10).numpy()
    pixels[3, :, :2, :4] = 2.0  # 24 of 1,920 values
    pixels[4] = 1e-4
    with pytest.warns(InputWarning) as caught:
        trace = tc.simulate(graphs["0 to 1"], pixels, batch=3)
    assert trace.coding.clipped_by_image.tolist() == [0, 0, 0, 24, 0, 0, 0, 0, 0, 0]
    assert trace.coding.zeroed_by_image[4] == 192
    assert trace.coding.values == 1920
    assert trace.coding.empty.tolist() == [n == 4 for n in range(10)]
    (said,) = (str(each.message) for each in caught)
    assert "1.25 % of the values are clipped in 1 of 10 images, 3 first, they run from 0.0001 to 2" in said
    assert "look whether these images are broken" in said
    assert "1 of 10 images becomes all zero" in said


def test_one_clipped_value_in_a_thousand_is_no_warning(graphs):
    pixels = images(10).numpy()
    pixels[0, 0, 0, 0] = 1000.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tc.simulate(graphs["0 to 1"], pixels).coding.clipped == 1


def test_batches_of_an_iterator_are_one_run(graphs):
    pixels = _UNITS["standardised"](images())
    with pytest.warns(InputWarning) as in_parts:
        parts = tc.simulate(graphs["0 to 1"], iter(pixels.split(7)))
    with pytest.warns(InputWarning) as at_once:
        whole = tc.simulate(graphs["0 to 1"], pixels)
    assert [str(each.message) for each in in_parts] == [str(each.message) for each in at_once]
    np.testing.assert_array_equal(parts.coding.counts, whole.coding.counts)


def test_golden_program_and_crosscheck_say_it_once(graphs):
    pixels = _UNITS["standardised"](images(120)).numpy()
    program = get_target("golden").compile(graphs["0 to 1"])
    with pytest.warns(InputWarning) as caught:
        trace = program.run(pixels)
    assert len(caught) == 1
    with pytest.warns(InputWarning) as caught:
        found = tc.crosscheck(graphs["0 to 1"], "golden", pixels, options={})
    assert len(caught) == 1
    assert found.identical
    np.testing.assert_array_equal(found.coding.counts, trace.coding.counts)
    with warnings.catch_warnings(), unsaid():
        warnings.simplefilter("error")
        program.run(pixels)


def test_files_without_statistics(graphs):
    old = replace(as_integer(graphs["0 to 1"]), calibrated=None)
    assert decode(build(old)).calibrated is None
    _, coding = code(old.input, _UNITS["standardised"](images()).numpy())
    said = warning(old, coding)
    assert "clipped" in said
    assert "calibration's" not in said
    _, coding = code(old.input, (images() / 255).numpy())
    assert "become 0" in warning(old, coding)


def test_statistics_travel_in_the_file(graphs, tmp_path):
    loaded = tc.load(tc.save(graphs["standardised"], tmp_path / "net.nir"))
    graph = as_integer(loaded)
    assert graph.calibrated == as_integer(graphs["standardised"]).calibrated
    assert graph.calibrated.deviation == pytest.approx(1.0, abs=0.3)
    other = replace(graph, calibrated=None)
    assert fingerprint(other) != fingerprint(graph)
    assert diff(graph, other) == []


def test_sequences_of_different_lengths_and_values_that_are_cut():
    rng = np.random.default_rng(0)
    graph = random_sequence_graph(rng)
    frames = [rng.integers(-3, 4, (steps, *graph.input.shape)).astype(float) for steps in (2, 5)]
    frames[1][0] = 500.0
    with pytest.warns(InputWarning, match="sequences hold others, which are cut"):
        trace = tc.simulate(graph, frames)
    size = int(np.prod(graph.input.shape))
    assert trace.coding.values_by_image.tolist() == [2 * size, 5 * size]
    assert trace.coding.clipped_by_image.tolist() == [0, size]


def test_black_images_are_no_loss():
    graph = digits_network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trace = tc.simulate(graph, np.zeros((3, *graph.input.shape)))
    assert not trace.coding.empty.any()


def test_a_few_broken_pixels_are_no_other_units(graphs):
    pixels = images().numpy()
    pixels[3, 1, 2, 2] = pixels[9, 0, 0, 0] = 1000.0
    _, coding = code(as_integer(graphs["0 to 1"]).input, pixels)
    assert warning(as_integer(graphs["0 to 1"]), coding) is None
