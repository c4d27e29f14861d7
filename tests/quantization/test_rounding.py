"""Rounding chosen on data: less error of the sums than rounding to the nearest, and integers like any other."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

import spikec as tc
from spikec.quantization.rounding import _spread

_IMAGES = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def _correlated(rows, fan_in, seed):
    generator = torch.Generator().manual_seed(seed)
    common = torch.rand(rows, 2, generator=generator, dtype=torch.float64)
    return common @ torch.rand(2, fan_in, generator=generator, dtype=torch.float64) + 0.1 * torch.rand(
        rows, fan_in, generator=generator, dtype=torch.float64
    )


def _error(x, weight, mantissas, bias):
    """Mean squared error of the sums [O]."""
    return ((x @ (mantissas - weight).T + bias) ** 2).mean(0)


@pytest.mark.parametrize("seed", range(5))
def test_sums_change_less_than_with_the_nearest_integers(seed):
    x = _correlated(400, 20, seed)
    weight = 3 * torch.randn(8, 20, generator=torch.Generator().manual_seed(seed + 9), dtype=torch.float64)
    mantissas, bias = _spread(weight.clone(), x, 7)
    nearest = weight.round().clamp(-7, 7)
    assert torch.equal(mantissas, mantissas.round())
    assert float(mantissas.abs().max()) <= 7
    assert float(_error(x, weight, mantissas, bias).sum()) < 0.3 * float(_error(x, weight, nearest, 0.0).sum())


def test_few_weights_come_near_the_best_integers_there_are():
    x = _correlated(200, 4, 0)
    weight = torch.tensor([[0.4, 1.45, -0.52, 0.6]], dtype=torch.float64)
    mantissas, bias = _spread(weight.clone(), x, 3)

    def least(candidate):  # with the bias that suits it best
        sums = x @ (torch.tensor([candidate], dtype=torch.float64) - weight).T
        return float(((sums - sums.mean()) ** 2).mean())

    best = min(least(each) for each in itertools.product(range(-1, 3), repeat=4))
    nearest = float(_error(x, weight, weight.round(), 0.0))
    assert float(_error(x, weight, mantissas, bias)) <= best + 0.2 * (nearest - best)


def test_weights_that_are_zero_stay_zero():
    weight = torch.randn(3, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight[:, ::3] = 0
    mantissas, _ = _spread(weight.clone(), _correlated(100, 12, 1), 7)
    assert not mantissas[:, ::3].any()


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_a_network_of_four_bits_comes_closer_to_the_float_one(per):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 12, 3, padding=1), tc.ClipFloorShift(8, 0.5), nn.AvgPool2d(2)]
    layers += [nn.Conv2d(12, 12, 3, groups=2), tc.ClipFloorShift(8, 0.3), nn.Flatten(), nn.Linear(48, 5)]
    network = tc.convert(nn.Sequential(*layers).eval(), tc.Graded(), example=_IMAGES)
    others = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wanted = network(others).numpy()
    errors = {}
    for rounding in ("nearest", "gptq"):
        graph = tc.lower(network, tc.Int8(bits=4, per=per, rounding=rounding))
        tc.verify(graph)
        errors[rounding] = ((tc.simulate(graph, others).logits - wanted) ** 2).mean()
    assert errors["gptq"] < 0.85 * errors["nearest"], errors


def test_what_is_rounded_otherwise_is_refused_or_said():
    assert "gptq" in tc.Int8(rounding="gptq").settings()["weights"]
    assert tc.Int8().settings() == {"weights": "int8 per layer, scale max"}
    with pytest.raises(tc.ConversionError, match="rounding must be one of"):
        tc.Int8(rounding="floor")
    with pytest.raises(tc.ConversionError, match="trained with their units"):
        tc.Int8(rounding="gptq", units={"a": [1.0]})


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_units_and_thresholds_are_those_of_the_scale(per):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3), tc.ClipFloorShift(8, 0.5), nn.Flatten(), nn.Linear(216, 5)]
    network = tc.convert(nn.Sequential(*layers).eval(), tc.QCFS(timesteps=8), example=_IMAGES)
    nearest, spread = (
        tc.decode(tc.lower(network, tc.Int8(bits=4, per=per, rounding=each))) for each in ("nearest", "gptq")
    )
    assert (nearest.nodes["0"].weight != spread.nodes["0"].weight).any()
    for one, two in zip(nearest.populations, spread.populations, strict=True):
        assert one.theta.tolist() == two.theta.tolist()
        assert one.scale.tolist() == two.scale.tolist()
    assert nearest.readout.scale == spread.readout.scale
