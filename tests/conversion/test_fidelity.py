"""Per-layer error, split into its causes: each cause is found where a test puts it, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import spikec as tc
from spikec.evidence.fidelity import fidelity
from spikec.models import pretrained
from spikec.models.data import load

_IMAGES = torch.rand(80, 2, 6, 6, generator=torch.Generator().manual_seed(1))  # more than one batch


def _network(activation):
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 6, 3), activation(), nn.Conv2d(6, 6, 3), activation(), nn.Flatten(), nn.Linear(24, 3)]
    return nn.Sequential(*layers).eval()


def _trained(levels):
    return _network(lambda: tc.ClipFloorShift(levels, 0.5))


def _layers(ann, converted):
    return {layer.layer: layer for layer in fidelity(ann, converted, _IMAGES).layers}


def test_lossless_conversion_has_no_error():
    ann = _trained(4)
    layerwise = {"schedule": "layerwise"}
    for method in (tc.QCFS(timesteps=4, **layerwise), tc.QCFS(timesteps=2, spikes=2, **layerwise), tc.Graded()):
        for layer in _layers(ann, tc.convert(ann, method, example=_IMAGES)).values():
            assert layer.total < 1e-3


def test_pipelined_spikes_are_uneven_and_hand_their_error_down():
    ann = _trained(4)
    layers = _layers(ann, tc.convert(ann, tc.QCFS(timesteps=4), example=_IMAGES))
    first, second = layers["1"], layers["3"]
    assert first.total < 1e-3  # constant input into the first layer
    assert second.clipping == second.quantisation == 0  # both were in training
    assert second.unevenness > 0.01
    assert second.propagation < 1e-3


def test_other_levels_than_in_training_are_quantisation():
    ann = _trained(64)
    layers = _layers(ann, tc.convert(ann, tc.QCFS(timesteps=4, schedule="layerwise"), example=_IMAGES))
    assert layers["1"].clipping == 0
    assert layers["1"].quantisation > 0.05
    assert layers["1"].unevenness < 1e-3
    assert layers["3"].propagation > 0.01


def test_values_beyond_the_threshold_are_clipping():
    ann = _network(nn.ReLU)
    spiking = tc.convert(ann, tc.Graded(levels=1024), example=_IMAGES, calibration=_IMAGES)
    for neuron in spiking.neurons.values():
        neuron.threshold *= 0.4
    first = _layers(ann, spiking)["1"]
    assert first.clipping > 0.05
    assert first.quantisation < 0.01
    assert first.total == pytest.approx(first.clipping, rel=0.05)


@pytest.mark.parametrize("method", [tc.QCFS(timesteps=4), tc.ErrorFree(timesteps=3), tc.Graded()])
def test_integer_network_adds_the_rounding_of_weights(method):
    ann = _trained(4)
    spiking = tc.convert(ann, method, example=_IMAGES)
    fine, coarse = (_layers(ann, tc.lower(spiking, tc.Int8(bits=bits))) for bits in (8, 3))
    for name, layer in _layers(ann, spiking).items():
        assert fine[name].total == pytest.approx(layer.total, abs=0.06)
        assert coarse[name].total > fine[name].total


@pytest.mark.parametrize(
    "method", [tc.QCFS(timesteps=2), tc.OffsetSpikes(timesteps=2), tc.ErrorCompensation(2, drain=2)]
)
def test_total_is_at_most_the_sum_of_its_causes(method):
    ann = _network(nn.ReLU)
    spiking = tc.convert(ann, method, example=_IMAGES, calibration=_IMAGES)
    for layer in _layers(ann, spiking).values():
        assert layer.total <= layer.own + layer.propagation + 1e-6
        assert min(layer.clipping, layer.quantisation, layer.unevenness, layer.propagation) >= 0


def test_worst_layer_comes_first_and_the_table_says_what_was_compared():
    ann = _trained(4)
    found = fidelity(ann, tc.convert(ann, tc.QCFS(timesteps=2), example=_IMAGES), _IMAGES)
    assert [layer.own for layer in found.layers] == sorted((layer.own for layer in found.layers), reverse=True)
    headline, columns, *rows = found.text().splitlines()
    assert headline == "float spiking network against the trained network, 80 images, worst layer first"
    assert columns.split() == ["layer", "own", "clipping", "quantisation", "unevenness", "propagation", "total"]
    assert [row.split()[0] for row in rows] == [layer.layer for layer in found.layers]


def test_a_network_made_from_another_one_is_refused():
    other = nn.Sequential(nn.Conv2d(2, 2, 3), tc.ClipFloorShift(4, 1.0), nn.Flatten(), nn.Linear(32, 3)).eval()
    with pytest.raises(
        tc.ConversionError, match="layer 3 is not in the converted network: was that made from this one"
    ):
        fidelity(_trained(4), tc.convert(other, tc.QCFS(timesteps=2), example=_IMAGES), _IMAGES)


def test_rounding_shows_between_float_and_integers():
    network, images = pretrained("digits-cnn"), load("digits", None, "test")[0][:40]
    spiking = tc.convert(network, tc.QCFS(timesteps=4), example=images)
    fine, coarse = tc.lower(spiking), tc.lower(spiking, tc.Int8(bits=4))
    same = fidelity(network, fine, images, against=fine)
    assert all(layer.total == 0 for layer in same.layers)
    eight, four = (fidelity(network, graph, images, against=spiking) for graph in (fine, coarse))
    assert eight.stage == "integer spiking network against the float spiking network"
    for name in (layer.layer for layer in eight.layers):
        small, large = (next(la.total for la in f.layers if la.layer == name) for f in (eight, four))
        assert 0 < small < 0.5 * large
