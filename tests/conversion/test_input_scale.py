"""The range of the input: exact for 8-bit images, safe against broken pixels, and said in words where it loses."""

import warnings

import nir
import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import spikec as tc
from spikec.conversion.from_nir.sequences import sequence_range
from spikec.conversion.input_scale import choose_range, input_range
from spikec.errors import InputWarning
from spikec.ir.coding import InputRange

_KINDS = {
    "0 to 1": lambda g: torch.rand(64, 3, 8, 8, generator=g),
    "k / 255": lambda g: torch.randint(0, 256, (64, 3, 8, 8), generator=g).float() / 255,
    "0 to 255": lambda g: torch.randint(0, 256, (64, 3, 8, 8), generator=g).float(),
    "standardised": lambda g: torch.randn(64, 3, 8, 8, generator=g),
    "vectors": lambda g: torch.rand(64, 20, generator=g),
}


def made(kind, seed=0):
    return _KINDS[kind](torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", _KINDS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=drawn(20), deadline=None)
def test_whole_data_keep_the_whole_range(kind, seed):
    images = made(kind, seed)
    chosen = choose_range(images)
    assert chosen.coding == input_range(images)
    assert not chosen.cut
    assert not chosen.remarks
    assert chosen.held(images) is images


@pytest.mark.parametrize("kind", _KINDS)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.floats(100, 1e6), min_size=1, max_size=6),
    sign=st.sampled_from([-1, 1]),
)
@settings(max_examples=drawn(25), deadline=None)
def test_broken_pixels_are_cut(kind, seed, sizes, sign):
    """In at most a tenth of the images: the coding is that of the images without them, or nearly so."""
    images, rng = made(kind, seed), np.random.default_rng(seed)
    peak, broken = float(images.abs().max()), images.clone()
    for number, size in zip(rng.choice(64, len(sizes), replace=False), sizes, strict=True):
        place = tuple(int(rng.integers(n)) for n in images.shape[1:])
        broken[(int(number), *place)] = sign * size * peak
    chosen, whole = choose_range(broken), input_range(images)
    assert chosen.cut
    assert chosen.coding.dtype == whole.dtype
    if kind in ("0 to 1", "k / 255", "0 to 255"):
        assert chosen.coding == whole
    else:
        assert 0.7 * whole.scale < chosen.coding.scale <= whole.scale
    assert "input range" in chosen.remarks[0]
    assert "broken pixels" in chosen.remarks[0]
    held = chosen.held(broken)
    assert float(held.abs().max()) <= (128 / 127) * peak + 1e-6


def test_a_broken_image_is_cut_and_named():
    images = made("k / 255")
    images[5] *= 255
    chosen = choose_range(images, examples=2)
    assert chosen.coding == InputRange("uint8", 1 / 255)
    assert "in 1 of 64 images cut to the range 0 to 1" in chosen.remarks[0]
    assert "of calibration image 3" in chosen.remarks[0]


def test_an_example_that_is_a_calibration_image_too_may_be_broken():
    images = made("k / 255")[:8]
    images[0, 0, 0, 0] = 1000.0
    assert choose_range(torch.cat([images[:1], images]), examples=1).coding == InputRange("uint8", 1 / 255)


def test_large_values_of_many_images_are_kept():
    images = made("0 to 1")
    images[:26] *= 30
    assert choose_range(images).coding == input_range(images)


def test_a_feature_in_another_unit_is_named():
    vectors = made("vectors")
    vectors[:, 3] *= 1000
    chosen = choose_range(vectors)
    assert not chosen.cut
    assert "channel (or feature) 0, 1, 2 and 16 more become 0" in chosen.remarks[0]
    vectors = torch.rand(50, 2) * torch.tensor([1.0, 1000.0])
    assert "channel (or feature) 0 become 0" in choose_range(vectors).remarks[0]


def test_what_no_range_can_hold_is_said():
    images = made("0 to 1")
    images[:, 0, 0, 0] = 1000.0  # a hot pixel in all of them
    assert "of the values that are not zero become 0" in choose_range(images).remarks[0]
    assert choose_range(torch.zeros(4, 1, 2, 2)).remarks == ()


def test_sequences():
    rng = np.random.default_rng(0)
    frames = torch.from_numpy(rng.integers(0, 5, (40, 6, 2, 4)).astype(float))
    whole = choose_range(frames, rule=sequence_range, channels=2, what="sequence")
    assert whole.coding == sequence_range(frames) == InputRange("uint8", 1.0, 8)
    frames[3, 1, 0, 0] = 1e5
    chosen = choose_range(frames, rule=sequence_range, channels=2, what="sequence")
    assert chosen.coding == whole.coding
    assert "at [1, 0, 0] of example sequence 3" in chosen.remarks[0]


def test_a_broken_frame_of_a_nir_file_is_cut_before_lowering():
    """Frames beyond twice the largest are refused by the deployment; its own examples are not."""
    rng = np.random.default_rng(0)
    neurons = {
        key: np.full(3, value) for key, value in (("tau", 2.0), ("r", 1.0), ("v_leak", 0.0), ("v_threshold", 1.0))
    }
    nodes = {
        "input": nir.Input({"input": np.array([4])}),
        "fc": nir.Linear(rng.normal(0, 0.5, (3, 4))),
        "lif": nir.LIF(**neurons),
        "output": nir.Output({"output": np.array([3])}),
    }
    graph = nir.NIRGraph(nodes, [("input", "fc"), ("fc", "lif"), ("lif", "output")])
    frames = rng.integers(0, 4, (40, 5, 4)).astype(float)
    broken = frames.copy()
    broken[11, 2, 1] = 1e4
    with pytest.warns(InputWarning, match=r"1e\+04 at \[2, 1\] of example sequence 11"):
        network = tc.import_sequences(graph, example=broken, dt=1.0)
    assert network.coding == InputRange("uint8", 1.0, 6)
    assert network.example.max() == 6
    lowered = tc.lower(network)
    assert tc.simulate(lowered, frames).coding.zeroed == 0
    with pytest.raises(tc.DataError, match=r"sequence 11 holds 10000\.0 at \[2, 1\]; the network was made for values"):
        tc.simulate(lowered, broken)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).eval()


def test_thresholds_are_chosen_without_the_broken_pixel():
    images, model = made("0 to 1"), network()
    broken = images.clone()
    broken[-1, 0, 0, 0] = 1000.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = tc.convert(model, tc.QCFS(timesteps=16), example=images[:2], calibration=images)
    with pytest.warns(InputWarning, match=r"input range: 1 value in 1 of 66 .* of calibration image 63"):
        cut = tc.convert(model, tc.QCFS(timesteps=16), example=images[:2], calibration=broken)
    assert cut.input_range == whole.input_range
    for name, neuron in whole.neurons.items():
        assert float(cut.neurons[name].threshold) == pytest.approx(float(neuron.threshold), rel=0.05)
    traces = [tc.simulate(tc.lower(each), images) for each in (whole, cut)]
    with torch.no_grad():
        expected = model(images).numpy()
    errors = [np.linalg.norm(trace.logits - expected) / np.linalg.norm(expected) for trace in traces]
    assert errors[1] < errors[0] + 0.02
    assert traces[1].coding.total.clipped_share < 0.001


@given(seed=st.integers(0, 2**32 - 1), number=st.integers(1, 4))
@settings(max_examples=drawn(25), deadline=None)
def test_few_images_of_very_different_sizes_have_a_range(seed, number):
    """One image cannot be an outlier of itself."""
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.random((number, 1, 4, 4)) * 10.0 ** rng.uniform(-3, 3, (number, 1, 1, 1)))
    chosen = choose_range(images)
    assert not chosen.cut or number > 1
    assert bool((chosen.held(images).flatten(1).amax(1) > 0).all())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_calibration_that_is_not_finite_is_refused_by_place(value):
    images = made("0 to 1")
    broken = images.clone()
    broken[7, 2, 0, 3] = float(value)
    message = rf"^calibration holds values that are not finite: {value} at \[2, 0, 3\] of image 7"
    with pytest.raises(tc.DataError, match=message):
        tc.convert(network(), tc.QCFS(timesteps=4), example=images[:2], calibration=broken)
