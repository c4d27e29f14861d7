"""Calibration without labels: its text, its rules for thresholds, and what shifts, scales and weights do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import spikec as tc
from spikec.conversion.calibration import fitting, layers, streams
from spikec.conversion.calibration.choice import PRESETS, Calibration, calibration_of
from spikec.conversion.calibration.fitting import fit_again
from spikec.conversion.thresholds import calibrate, normal_clip
from spikec.frontend import Convolution, Dense, canonicalize

_IMAGES = torch.rand(120, 2, 6, 6, generator=torch.Generator().manual_seed(1))
_OTHERS = torch.rand(120, 2, 6, 6, generator=torch.Generator().manual_seed(2))


class _Residual(nn.Module):
    """Shared nodes, a sum, a concatenation, a pool: what lies between populations in networks people have."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.third, self.last = nn.Conv2d(12, 8, 3, groups=2), nn.Linear(32, 4)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x):
        x = torch.relu(self.first(x) * 2)
        x = torch.relu(self.second(x) + x)
        x = torch.relu(self.third(torch.cat([x, -x], 1)))
        return self.last(self.pool(x).flatten(1))


def _network():
    return _Residual().eval()


_CHOICES = st.builds(
    Calibration,
    thresholds=st.sampled_from(["least-squares", "max", "percentile", "inference-scale", "moments"]),
    per=st.sampled_from(["layer", "channel"]),
    percentile=st.sampled_from([50.0, 99.0, 99.9, 100.0]),
    shifts=st.sampled_from(["none", "channel", "neuron"]),
    scales=st.booleans(),
    weights=st.booleans(),
)


@given(_CHOICES)
def test_the_text_of_a_calibration_says_all_of_it(choice):
    assert calibration_of(str(choice)) == choice


def test_presets_are_their_names():
    assert [str(choice) for choice in PRESETS.values()] == list(PRESETS)
    assert calibration_of(None) == Calibration()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fulll", "did you mean 'full'"),
        ("full,pre=layer", "did you mean 'per'"),
        ("full,per=row", "per is one of layer, channel"),
        ("full,weights=perhaps", "weights is yes or no"),
        ("light,percentile=x", "percentile is a number"),
        ("light,percentile=0", "must lie in"),
        (3, "is a text such as 'full'"),
    ],
)
def test_a_wrong_text_is_refused_in_a_sentence(text, said):
    with pytest.raises(tc.ConversionError, match=said):
        tc.convert(_network(), tc.QCFS(4), example=_IMAGES[:2], calibration=_IMAGES, calibrate=text)


def _thresholds(rule, per, images=_IMAGES, levels=4, **more):
    network = nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 2)).eval()
    torch.manual_seed(3)
    nn.init.normal_(network[0].weight)
    with torch.no_grad():
        values = network[0](images).transpose(0, 1).flatten(1).double().numpy()
    choice = Calibration(thresholds=rule, per=per, **more)
    found = calibrate(canonicalize(network, images[:2]), images, {"1": levels}, choice)["1"]
    return found, values if per == "channel" else values.reshape(1, -1)


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_the_largest_value_and_percentiles(per):
    found, values = _thresholds("max", per)
    np.testing.assert_allclose(found, values.max(1), rtol=1e-6)
    found, values = _thresholds("percentile", per, percentile=99.0)
    np.testing.assert_allclose(found, np.percentile(values, 99.0, axis=1), atol=4 * values.max() / 2048)


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_least_squares_against_every_clip(per):
    found, values = _thresholds("least-squares", per)

    def error(x, clip):
        return ((np.maximum(x, 0) - clip / 4 * np.clip(np.floor(x * 4 / clip + 0.5), 0, 4)) ** 2).sum()

    for clip, row in zip(found, values, strict=True):
        assert error(row, clip) <= 1.02 * min(error(row, c) for c in row.max() * np.arange(1, 301) / 300)


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_inference_scale_follows_its_recursion(per):
    found, values = _thresholds("inference-scale", per)
    scale = np.zeros(len(values))
    each = values.shape[1] // len(_IMAGES)
    for start in range(0, len(_IMAGES), 64):
        for row, x in enumerate(values):
            batch = x.reshape(-1, len(_IMAGES), each if per == "channel" else 16)[:, start : start + 64]
            if per == "layer":  # rows of one layer lie channel by channel
                batch = x.reshape(5, len(_IMAGES), 16)[:, start : start + 64]
            scale[row] += 2 * np.maximum(batch - scale[row], 0).mean()
    np.testing.assert_allclose(found, np.minimum(scale, values.max(1)), rtol=1e-4)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (-1.0, 0.5), (2.0, 1.5)])
@pytest.mark.parametrize("levels", [1, 4, 15])
def test_the_closed_form_has_the_least_squared_error_of_normal_values(mean, deviation, levels):
    x = np.linspace(mean - 8 * deviation, mean + 8 * deviation, 40_001)
    likely = np.exp(-(((x - mean) / deviation) ** 2) / 2)
    (found,) = normal_clip(np.array([mean]), np.array([deviation]), levels)

    def error(clip):
        step = clip / levels
        return ((np.maximum(x, 0) - step * np.clip(np.floor(x / step + 0.5), 0, levels)) ** 2) @ likely

    assert error(found) <= 1.01 * min(error(c) for c in np.linspace(0.02, 1, 200) * x.max())


def test_a_silent_channel_gets_a_threshold():
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2)).eval()
    with torch.no_grad():
        network[0].weight.fill_(1)
        network[0].bias.copy_(torch.tensor([0.0, -9.0, 1.0]))
    found = calibrate(canonicalize(network, _IMAGES[:2]), _IMAGES, {"1": 4}, Calibration(per="channel"))["1"]
    assert found[1] == found.max() > 0


@pytest.mark.parametrize("groups", [1, 2])
def test_weights_are_those_of_ridge_regression(groups):
    """Against the same sums over explicit windows, solved by least squares with the ridge as further rows."""
    torch.manual_seed(0)
    layer = Convolution(torch.randn(4, 4 // groups, 2, 2), torch.randn(4), groups=groups)
    weight, bias = layer.weight.clone(), layer.bias.clone()
    x = torch.rand(60, 4, 4, 4)
    with torch.no_grad():
        y = layer(x)
    seen = (0.8 * x + 0.1 + 0.02 * torch.randn(x.shape)).floor_divide(0.25) * 0.25
    assert fit_again(layer, lambda: iter([(seen, y)]), 60, 9)
    windows = seen.unfold(2, 2, 1).unfold(3, 2, 1).numpy().astype(np.float64)  # [N, I, 3, 3, 2, 2]
    errors = []
    for ridge in (1e-3, 1e-2, 1e-1):
        fitted = []
        for output in range(4):
            own = slice(0, 4) if groups == 1 else slice(output // 2 * 2, output // 2 * 2 + 2)
            rows = windows[:, own].transpose(0, 2, 3, 1, 4, 5).reshape(60 * 9, -1)
            target = y[:, output].reshape(-1).double().numpy()
            start = weight[output].reshape(-1).double().numpy()
            strength = np.sqrt(ridge * (rows**2).sum(0).mean())
            system = np.vstack([np.c_[rows, np.ones(len(rows))], np.c_[strength * np.eye(len(start)), 0 * start]])
            fitted.append(np.linalg.lstsq(system, np.r_[target, strength * start], rcond=None)[0])
        got = np.c_[layer.weight.reshape(4, -1).numpy(), layer.bias.numpy()]
        errors.append(np.abs(np.array(fitted) - got).max())
    assert min(errors) < 1e-4, errors
    assert not torch.equal(layer.weight, weight)
    assert not torch.equal(layer.bias, bias)


def test_windows_are_those_that_a_convolution_reads():
    torch.manual_seed(0)
    layer = Convolution(torch.randn(3, 2, 3, 2), torch.randn(3), stride=(2, 1), pads=(1, 0, 2, 1), dilation=(1, 2))
    x = torch.rand(5, 2, 7, 6)
    y = layer(x)
    windows, wanted = fitting._samples(layer, x, y, 1, 1000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(windows[0] @ layer.weight.flatten(1).T + layer.bias, wanted[0])
    assert wanted.shape[1] == y[:, 0].numel()


def test_weights_that_cannot_be_bettered_stay():
    layer = Dense(torch.randn(3, 5, generator=torch.Generator().manual_seed(0)), torch.zeros(3))
    before, x = layer.weight.clone(), torch.rand(50, 5)
    fit_again(layer, lambda: iter([(x, layer(x))]), 50, 1)
    torch.testing.assert_close(layer.weight, before, atol=1e-4, rtol=1e-4)


def test_every_fifth_image_decides_whether_weights_change():
    """The other images ask for other weights; those that decide are met by the trained ones already."""
    generator = torch.Generator().manual_seed(0)
    layer = Dense(torch.randn(3, 5, generator=generator), torch.zeros(3))
    other = Dense(torch.randn(3, 5, generator=generator), torch.ones(3))
    before, x = layer.weight.clone(), torch.rand(50, 5, generator=generator)
    fifth = torch.arange(50) % 5 == 4
    with torch.no_grad():
        y = torch.where(fifth[:, None], layer(x), other(x))
        assert not fit_again(layer, lambda: iter([(x, y)]), 50, 1)
        assert torch.equal(layer.weight, before)
        assert fit_again(layer, lambda: iter([(x, other(x))]), 50, 1)


def test_layers_of_many_inputs_keep_their_weights_and_each_use_of_a_layer_has_its_own(monkeypatch):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.again = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
            self.middle, self.last = nn.Conv2d(4, 3, 1), nn.Linear(108, 3)

        def forward(self, x):
            x = torch.relu(self.again(torch.relu(self.again(torch.relu(self.first(x))))))
            return self.last(torch.relu(self.middle(x)).flatten(1))

    monkeypatch.setattr(fitting, "LARGEST_FAN_IN", 107)
    ann = Twice().eval()
    network = tc.convert(ann, tc.Graded(levels=3), example=_IMAGES, calibration=_IMAGES, calibrate="full")
    again, once_more, middle, last = (
        network.graph.get_submodule(name).weight for name in ("again", "again_1", "middle", "last")
    )
    assert torch.equal(last, ann.last.weight)
    assert not torch.equal(middle, ann.middle.weight)
    assert not torch.equal(again, ann.again.weight)
    assert not torch.equal(once_more, ann.again.weight)
    assert not torch.equal(once_more, again)


def _mean_errors(network, ann, images):
    """Mean over channels of the difference of mean activations, trained against sent, per layer."""
    exact, means = canonicalize(ann, images[:2]), {}
    for name in network.neurons:
        exact.get_submodule(name).register_forward_hook(lambda m, i, y, name=name: means.update({name: y.mean(0)}))
    with torch.no_grad():
        exact(images)
    counts = network.counts(images)
    errors = []
    for name, neuron in network.neurons.items():
        value = (neuron.value * torch.ones(len(means[name]))).reshape(-1, 1, 1) / neuron.averaged
        errors.append(float((counts[name].mean(0) * value - means[name]).flatten(1).mean(1).abs().mean()))
    return errors


_METHODS = [
    tc.Graded(levels=4),
    tc.ErrorFree(2),
    tc.QCFS(3),
    tc.QCFS(3, schedule="layerwise"),
    tc.QCFS(2, spikes=3),
    tc.ErrorCompensation(3, drain=2),
    tc.OffsetSpikes(2, rho=4),
]


@pytest.mark.parametrize("method", _METHODS, ids=lambda m: f"{m.name}-{m.schedule}")
def test_every_kind_comes_closer_to_the_trained_network_also_on_other_images(method):
    ann = _network()
    plain, light, full = (
        tc.convert(ann, method, example=_IMAGES, calibration=_IMAGES, calibrate=c) for c in (None, "light", "full")
    )
    with torch.no_grad():
        wanted = ann(_OTHERS)
        errors = [float(((n(_OTHERS) - wanted) ** 2).mean()) for n in (plain, light, full)]
    assert max(errors[1:]) < errors[0], errors
    before, after = _mean_errors(plain, ann, _IMAGES), _mean_errors(light, ann, _IMAGES)
    assert sum(after) < sum(before), (before, after)


@pytest.mark.parametrize("method", _METHODS[:4], ids=lambda m: f"{m.name}-{m.schedule}")
@pytest.mark.parametrize("calibrate", ["full,scales=yes", "light,shifts=neuron,scales=yes"])
def test_the_integer_network_computes_what_the_float_one_does(method, calibrate):
    network = tc.convert(_network(), method, example=_IMAGES, calibration=_IMAGES, calibrate=calibrate)
    graph = tc.lower(network, tc.Int8(per="channel"))
    with torch.no_grad():
        wanted = network(_OTHERS).numpy()
    found = tc.simulate(graph, _OTHERS).logits
    assert np.abs(found - wanted).mean() < 0.1 * np.abs(wanted).std()
    if network.schedule == "layerwise":
        assert tc.certify(graph, _OTHERS[:20]).lossless
    assert dict(network.provenance.settings)["calibrate"] == str(calibration_of(calibrate))


def test_scales_make_mean_outputs_equal():
    ann = _network()
    network = tc.convert(
        ann, tc.Graded(levels=6), example=_IMAGES, calibration=_IMAGES, calibrate="thresholds,scales=yes"
    )
    assert max(_mean_errors(network, ann, _IMAGES)) < 1e-4


def test_levels_in_one_step_are_those_of_all_steps(monkeypatch):
    ann, method = _network(), tc.QCFS(3, spikes=2, schedule="layerwise")

    def offsets():
        made = tc.convert(ann, method, example=_IMAGES, calibration=_IMAGES, calibrate="full,shifts=neuron")
        return [neuron.offset for neuron in made.neurons.values()]

    quick = offsets()
    monkeypatch.setattr(layers, "_exact_level", lambda network, neuron: None)
    for one, all_steps in zip(quick, offsets(), strict=True):
        torch.testing.assert_close(one, all_steps, atol=2e-3, rtol=2e-3)


def test_layers_that_are_mostly_zeros_keep_their_weights():
    ann = _network()
    with torch.no_grad():
        ann.second.weight[:, :4] = 0
    kept = tc.convert(ann, tc.Graded(levels=3), example=_IMAGES, calibration=_IMAGES, calibrate="full")
    torch.testing.assert_close(kept.graph.get_submodule("second").weight, ann.second.weight.detach())
    assert not torch.equal(kept.graph.get_submodule("third").weight, ann.third.weight.detach())


def test_the_trained_network_stays_as_it_is():
    ann = _network()
    before = {name: value.clone() for name, value in ann.state_dict().items()}
    tc.convert(ann, tc.ErrorFree(2), example=_IMAGES, calibration=_IMAGES, calibrate="full")
    assert all(torch.equal(value, before[name]) for name, value in ann.state_dict().items())


@pytest.mark.parametrize("method", [tc.Graded(levels=6), tc.ErrorCompensation(4)], ids=lambda m: m.name)
def test_max_pools_are_part_of_both_networks(method):
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU6()]
    ann = nn.Sequential(*layers, nn.Flatten(), nn.Linear(54, 4)).eval()
    plain, full = (
        tc.convert(ann, method, example=_IMAGES, calibration=_IMAGES, calibrate=c) for c in (None, "full,scales=yes")
    )
    with torch.no_grad():
        wanted = ann(_OTHERS)
        before, after = (float(((n(_OTHERS) - wanted) ** 2).mean()) for n in (plain, full))
        assert after < before
        found = tc.simulate(tc.lower(full, tc.Int8(per="channel", rounding="gptq")), _OTHERS).logits
        assert np.abs(found - full(_OTHERS).numpy()).mean() < 0.1 * float(wanted.std())


class _SharedPool(nn.Module):
    """A max pool that two branches read, as in the ResNets of torchvision."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.pool, self.last = nn.MaxPool2d(2), nn.Linear(54, 4)

    def forward(self, x):
        x = self.pool(torch.relu(self.first(x)))
        x = torch.relu(self.second(x) + x)
        return self.last(x.flatten(1))


@pytest.mark.parametrize("method", [tc.ErrorFree(4), tc.ErrorCompensation(4, offsets="static")])
def test_batches_of_a_node_that_several_read_change_nothing(method, monkeypatch):
    """It was kept batch by batch, and then looked for in batches that were not there yet."""
    model = _SharedPool().eval()
    found = []
    for size in (1000, 50):
        monkeypatch.setattr(streams, "_BATCH", size)
        network = tc.convert(model, method, example=_IMAGES[:1], calibration=_IMAGES, calibrate="full")
        found.append(network(_OTHERS))
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_moments_are_those_of_the_pre_activations(per):
    found, values = _thresholds("moments", per)
    np.testing.assert_allclose(
        found, np.minimum(normal_clip(values.mean(1), values.std(1), 4), values.max(1)), rtol=1e-5
    )


@pytest.mark.parametrize("method", [tc.QCFS(2), tc.QCFS(3, schedule="layerwise"), tc.Graded(levels=5)], ids=str)
def test_a_channel_moves_by_one_level_at_most_twice(method):
    """The trained network is out of reach of the first layer: each pass goes as far as it may."""
    ann = _network()
    network = tc.convert(ann, method, example=_IMAGES, calibration=_IMAGES)
    with torch.no_grad():
        ann.first.bias += 1000
    layers.calibrate_layers(network, canonicalize(ann, _IMAGES[:2]), _IMAGES, Calibration(shifts="channel"))
    first = next(iter(network.neurons.values()))
    level = float(first.threshold) * (1 / 5 if method.name == "graded" else 1)
    torch.testing.assert_close(first.offset, torch.full((6, 6, 6), 2 * level))


def test_static_offsets_make_shifts_those_of_neurons():
    def made(method, calibrate):
        return tc.convert(_network(), method, example=_IMAGES, calibration=_IMAGES, calibrate=calibrate)

    static = made(tc.ErrorCompensation(2, offsets="static"), "light")
    neurons = made(tc.ErrorCompensation(2), "light,shifts=neuron")
    channels = made(tc.ErrorCompensation(2), "light")
    for name, neuron in static.neurons.items():
        torch.testing.assert_close(neuron.offset, neurons.neurons[name].offset)
        assert not torch.equal(neuron.offset, channels.neurons[name].offset)


def test_trained_thresholds_stay_and_what_follows_applies_to_them():
    """The first layer, which no neurons come before, keeps its weights."""
    torch.manual_seed(0)
    parts = [nn.Conv2d(2, 6, 3), tc.ClipFloorShift(8, 0.7), nn.Conv2d(6, 6, 3), tc.ClipFloorShift(8, 0.3)]
    ann = nn.Sequential(*parts, nn.Flatten(), nn.Linear(24, 3)).eval()
    plain, full = (
        tc.convert(ann, tc.QCFS(2), example=_IMAGES, calibration=_IMAGES, calibrate=c)
        for c in (None, "full,scales=yes")
    )
    for neuron, threshold in zip(full.neurons.values(), (0.7, 0.3), strict=True):
        assert float(neuron.threshold) == pytest.approx(threshold)
        assert neuron.offset.any()
        assert (neuron.gain != 1).any()
    weights = [[n.graph.get_submodule(name).weight for name in ("0", "2", "5")] for n in (plain, full)]
    assert [torch.equal(one, other) for one, other in zip(*weights, strict=True)] == [True, False, False]


def test_no_gradients_are_computed_and_nothing_changes_at_run_time(monkeypatch):
    """The same neurons, steps and synapses; only their numbers differ."""

    def refused(*args, **options):
        raise AssertionError("a gradient was computed")

    monkeypatch.setattr(torch.autograd, "backward", refused)
    monkeypatch.setattr(torch.autograd, "grad", refused)
    plain, full = (
        tc.decode(tc.lower(tc.convert(_network(), tc.QCFS(3), example=_IMAGES, calibration=_IMAGES, calibrate=c)))
        for c in (None, "full,scales=yes")
    )
    assert (plain.timesteps, plain.schedule, plain.drain) == (full.timesteps, full.schedule, full.drain)
    assert [(type(n), n.name, n.sources, n.shape) for n in plain.populations] == [
        (type(n), n.name, n.sources, n.shape) for n in full.populations
    ]
    assert [n.neuron for n in plain.populations] == [n.neuron for n in full.populations]
    assert [s.weight_count for s in plain.synapses] == [s.weight_count for s in full.synapses]


def test_a_layer_that_is_called_twice_is_fitted_for_each_call():
    """Every call has weights of its own in the spiking network, so that fitting one changes no other, nor the model."""
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 4, 3, padding=1)
    levels = [tc.ClipFloorShift(levels=8, threshold=1.0) for _ in range(3)]
    head = nn.Sequential(nn.Flatten(), nn.Linear(4 * 64, 10))
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), levels[0], layer, levels[1], layer, levels[2], head).eval()
    images, before = torch.rand(300, 1, 8, 8), {name: value.clone() for name, value in model.state_dict().items()}
    made = {
        each: tc.convert(model, tc.QCFS(timesteps=3), example=images, calibration=images, calibrate=each)
        for each in ("thresholds", "thresholds,weights=yes")
    }
    plain, fitted = made.values()
    for network in made.values():
        calls = [str(node.target) for node in network.graph.graph.nodes if node.op == "call_module"]
        assert len(set(calls)) == len(calls) == 8
        places = [value.data_ptr() for name in calls for value in network.graph.get_submodule(name).parameters()]
        assert len(set(places)) == len(places)
    first, second = (fitted.graph.get_submodule(name).weight for name in ("2", "2_1"))
    assert not torch.equal(first, second)
    assert not any(torch.equal(weight, layer.weight) for weight in (first, second))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        error = [float((network(images) - model(images)).pow(2).mean()) for network in (plain, fitted)]
    assert error[1] < 0.8 * error[0]
