"""A measure of quality from outside: the share of outputs within a tolerance of what they should be."""

from __future__ import annotations

import numpy as np
import pytest

import spikec as tc
from spikec.errors import DataError
from spikec.evidence.measures import Measure, measure_of
from spikec.training.targets import kind_of


class Within(Measure):
    """|output - target| <= 0.5."""

    name, title, higher_is_better, percent = "within", "share within 0.5", True, True

    def check(self, shape, targets):
        if kind_of(targets) != "numbers":
            raise DataError("within compares numbers")

    def statistics(self, outputs, targets):
        near = np.abs(outputs - targets.reshape(outputs.shape)) <= 0.5
        return near.reshape(len(near), -1).mean(axis=1, keepdims=True)

    def of_sums(self, sums, inputs):
        return sums[..., 0] / inputs


def test_it_is_measured_with_intervals_beside_the_network():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(60, 2))
    network, spiking = y + 0.4 * rng.normal(size=y.shape), y + 0.6 * rng.normal(size=y.shape)
    (found,) = tc.quality(spiking, y, Within(), network=network)
    assert found.quality.value == pytest.approx((np.abs(spiking - y) <= 0.5).mean())
    low, high = found.quality.interval
    assert low < found.quality.value < high
    assert found.network.change < 0
    assert found.quality.text.endswith("%; higher is better)")
    with pytest.raises(DataError, match="within compares numbers"):
        tc.quality(spiking, np.zeros(60, int), Within())


def test_the_command_line_finds_it(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from spikec.evidence.measures import MeanAbsoluteError\n"
        "class Mine(MeanAbsoluteError):\n    name = 'mine'\n"
        "ready = Mine()\n"
    )
    for name in ("Mine", "ready"):
        assert measure_of(f"{tmp_path / 'mine.py'}:{name}").name == "mine"
