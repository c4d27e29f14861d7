"""Float neurons against a naive simulation of one neuron at a time; the identities of ``docs/methods.md``."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.conversion import Neuron, NeuronSpec
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, GradedIF, SignedIF

_SETTINGS = settings(deadline=None, derandomize=True, max_examples=drawn(60))


def _plain(currents, v, theta, most=1):
    """Spikes, membranes before reset, last membrane."""
    spikes, membranes = [], []
    for z in currents:
        m = v + z
        s = 0
        while s < most and m >= (s + 1) * theta:
            s += 1
        v = m - s * theta
        spikes.append(s)
        membranes.append(m)
    return spikes, membranes, v


def _signed(currents, v, theta, negative, timesteps, most=1):
    spikes, count = [], 0
    for z in currents:
        m = v + z
        s = 0
        if m >= theta:
            while s < most and count + s < most * timesteps and m >= (s + 1) * theta:
                s += 1
        elif m <= -negative if negative else m < 0:
            while s > -most and count + s > 0 and m - s * theta < 0:
                s -= 1
        v, count = m - s * theta, count + s
        spikes.append(s)
    return spikes


def _calibrated(currents, v, theta, rho):
    spikes, membranes, last = _plain(currents[:rho], v, theta)
    fired = [m for m, s in zip(membranes, spikes, strict=True) if s]
    silent = [m for m, s in zip(membranes, spikes, strict=True) if not s]
    if last < 0 and fired:
        v -= max(theta, min(fired) - theta + 1e-3 * theta)
    elif last >= theta and silent:
        v += max(theta, theta - max(silent))
    return _plain(currents, v, theta)[0]


def _masked(currents, v, theta, warm_up):
    first, _, last = _plain(currents[:warm_up], v, theta)
    second = _plain(currents[warm_up:], v, theta)[0]
    return first + [s if last > 1e-3 * theta else 0 for s in second]


def _levels(spec, timesteps):
    """Levels of neurons that send one number."""
    if isinstance(spec.kind, GradedIF):
        return spec.kind.levels
    return 2**timesteps - 1 if isinstance(spec.kind, BitSerialIF) else None


def _naive(spec, currents, start, theta, timesteps, schedule):
    """Emissions of one neuron."""
    levels = _levels(spec, timesteps)
    if levels is not None:
        unit = theta / levels
        return [min(max(math.floor((currents[0] + start) / unit), 0), levels)]
    most = spec.kind.emission[1]
    theta /= most
    if schedule == "layerwise":
        return _plain([0] * timesteps, start + sum(currents), theta, most)[0]
    if isinstance(spec.kind, SignedIF):
        return _signed(currents, start, theta, spec.negative * theta, timesteps, most)
    if isinstance(spec.kind, CalibratedIF):
        return _calibrated(currents, start, theta, spec.kind.rho)
    if spec.warm_up:
        return _masked(currents, start, theta, spec.warm_up)
    return _plain(currents, start, theta, most)[0]


_KINDS = {
    "if": (NeuronSpec(IF()), "pipelined", 0),
    "if, layerwise": (NeuronSpec(IF()), "layerwise", 0),
    "signed": (NeuronSpec(SignedIF()), "pipelined", 0),
    "signed, drain": (NeuronSpec(SignedIF()), "pipelined", 3),
    "signed, large negative threshold": (NeuronSpec(SignedIF(), negative=0.5), "pipelined", 2),
    "signed, layerwise": (NeuronSpec(SignedIF()), "layerwise", 0),
    "if, several": (NeuronSpec(IF(spikes=4)), "pipelined", 0),
    "if, several, layerwise": (NeuronSpec(IF(spikes=2)), "layerwise", 0),
    "signed, several": (NeuronSpec(SignedIF(spikes=4)), "pipelined", 3),
    "signed, several, large negative threshold": (NeuronSpec(SignedIF(spikes=2), negative=0.5), "pipelined", 2),
    "signed, several, layerwise": (NeuronSpec(SignedIF(spikes=4)), "layerwise", 0),
    "calibrated": (NeuronSpec(CalibratedIF(rho=3)), "pipelined", 0),
    "calibrated, longer": (NeuronSpec(CalibratedIF(rho=7)), "pipelined", 0),
    "graded": (NeuronSpec(GradedIF(levels=4)), "layerwise", 0),
    "bits": (NeuronSpec(BitSerialIF()), "layerwise", 0),
    "SRP": (NeuronSpec(IF(), warm_up=2), "pipelined", 0),
}


@pytest.mark.parametrize("name", _KINDS)
@pytest.mark.parametrize("per_channel", [False, True])
def test_neuron_equals_one_neuron_at_a_time(name, per_channel):
    """Quarters and powers of two, so that membranes meet thresholds exactly and nothing is rounded."""
    spec, schedule, drain = _KINDS[name]
    rng = np.random.default_rng(0)
    timesteps, images, shape = min(5, spec.kind.timesteps[1]), 6, (3, 2, 4)
    levels = _levels(spec, timesteps) or 1
    thresholds = levels * (np.array([1.0, 2.0, 0.5]) if per_channel else np.array([2.0, 2.0, 2.0]))
    if levels > 1:
        thresholds /= 4
    neuron = Neuron(spec, torch.tensor(thresholds if per_channel else thresholds[0]), timesteps, schedule, drain)
    neuron.offset = torch.tensor(rng.integers(-2, 3, shape) / 4)
    currents = rng.integers(-8, 13, (neuron.steps, images, *shape)) / 8
    emitted = neuron(torch.tensor(currents.reshape(-1, *shape))).numpy().reshape(currents.shape)
    for n, c, y, x in itertools.product(range(images), *map(range, shape)):
        theta = thresholds[c]
        unit = theta / levels / (spec.kind.emission[1] if levels == 1 else 1)
        start = unit / 2 + float(neuron.offset[c, y, x])
        expected = _naive(spec, list(currents[:, n, c, y, x]), start, theta, timesteps, schedule)
        assert list(emitted[:, n, c, y, x] / unit) == expected
        counted = expected[spec.warm_up : spec.warm_up + timesteps + drain]
        assert neuron.counts[n, c, y, x] == sum(counted)


_CURRENTS = st.lists(st.integers(-40, 40), min_size=1, max_size=8)


def _count(spec, currents, *, schedule="pipelined", drain=0, steps=None):
    """Net count of one neuron of threshold 16 that starts at 8; currents are integers."""
    neuron = Neuron(spec, torch.tensor(16.0, dtype=torch.float64), steps or len(currents), schedule, drain)
    padded = [*currents, *[0] * (neuron.steps - len(currents))]
    neuron(torch.tensor(padded, dtype=torch.float64).reshape(-1, 1))
    return int(neuron.counts)


def _level(currents, levels):
    """The quantised clipped activation of the mean current: clip(floor(U / 16 + 1/2), 0, levels)."""
    return min(max((2 * sum(currents) + 16) // 32, 0), levels)


@_SETTINGS
@given(_CURRENTS)
def test_p1_residual_identity(currents):
    spikes, _, last = _plain(currents, 8, 16)
    assert _count(NeuronSpec(IF()), currents) == sum(spikes)
    assert _level(currents, len(currents)) == min(max(sum(spikes) + last // 16, 0), len(currents))


@_SETTINGS
@given(_CURRENTS)
def test_p2_calibration_moves_the_count_by_one_towards_the_level(currents):
    timesteps = len(currents)
    plain, calibrated = (_count(spec, currents) for spec in (NeuronSpec(IF()), NeuronSpec(CalibratedIF(rho=timesteps))))
    offset = _level(currents, timesteps) - plain
    assert calibrated == plain + (offset > 0) - (offset < 0)


@_SETTINGS
@given(_CURRENTS)
def test_p3_dual_threshold_with_drain_is_exact(currents):
    timesteps = len(currents)
    found = _count(NeuronSpec(SignedIF()), currents, drain=timesteps, steps=timesteps)
    assert found == _level(currents, timesteps)


@_SETTINGS
@given(_CURRENTS)
def test_p5_layerwise_is_exact(currents):
    timesteps = len(currents)
    for spec in (NeuronSpec(IF()), NeuronSpec(SignedIF())):
        assert _count(spec, currents, schedule="layerwise") == _level(currents, timesteps)


@_SETTINGS
@given(_CURRENTS)
def test_pipelined_neuron_is_not_exact_in_general(currents):
    """What the other identities repair: a plain neuron may be off, by its last membrane."""
    spikes, _, last = _plain(currents, 8, 16)
    exact = sum(spikes) == _level(currents, len(currents))
    assert exact == (0 <= last < 16 or (last < 0 and not any(spikes)) or (last >= 16 and all(spikes)))
