"""Number formats of targets: what lowering writes fits them, and what does not fit is listed in full."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import spikec as tc
from spikec.analysis.formats import format_names, load_format, misfits, require, round_bias
from spikec.analysis.ranges import bounds
from spikec.quantization.lowering import integer_graph

_IMAGES = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def _spiking(method=None):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), tc.ClipFloorShift(4, 0.5), nn.Flatten(), nn.Linear(144, 3)).eval()
    return tc.convert(network, method or tc.QCFS(timesteps=4), example=_IMAGES)


def _toml(form):
    values = {"schema": "spikec.format/1"} | vars(form)
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def test_formats_of_the_chips_are_found():
    assert {"generic24", "loihi1", "loihi2", "netx"} <= set(format_names())
    for name in format_names():
        form = load_format(name)
        assert form.name == name
        assert form.source
        assert form.grade


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("loihi", r"no number format is called 'loihi'; did you mean 'loihi[12]'\?"),
        ("quartz", r"no number format is called 'quartz'; known: cortex-m4, generic24, loihi1, loihi2, netx"),
        ("none.toml", r"no number format is called 'none\.toml'"),
    ],
)
def test_unknown_formats_are_named(name, message):
    with pytest.raises(tc.ToolchainError, match=message):
        load_format(name)


def test_a_format_can_be_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(_toml(load_format("generic24")))
    assert load_format(str(path)) == load_format("generic24")
    path.write_text('schema = "spikec.format/1"\nname = "mine"\n')
    with pytest.raises(tc.ToolchainError, match=r"is not of schema spikec\.format/1: check "):
        load_format(str(path))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("weight_bits", "eight", "weight_bits must be a whole number of at least 2, not 'eight'"),
        ("weight_bits", 1, "weight_bits must be a whole number of at least 2, not 1"),
        ("bias_max", -1, "bias_max must be a whole number of at least 0, not -1"),
        ("threshold_max", 1.5, "threshold_max must be a whole number of at least 1, not 1.5"),
        ("weight_bits", 63, "weight_bits must be at most 62, not 63"),
        ("bias_exponent_max", 2**40, "bias_exponent_max must be at most 62, not"),
        ("membrane_max", 2**63, "membrane_max must be at most"),
        ("fine_bias", 1, "fine_bias must be true or false, not 1"),
        ("membrane_overflow", "explode", "membrane_overflow must be saturate or wrap, not 'explode'"),
    ],
)
def test_numbers_of_a_format_of_ones_own_are_checked(tmp_path, field, value, says):
    path = tmp_path / "own.toml"
    path.write_text(_toml(replace(load_format("generic24"), **{field: value})))
    with pytest.raises(tc.ToolchainError, match=says):
        load_format(str(path))


def test_what_is_lowered_fits_its_format():
    graph = tc.decode(tc.lower(_spiking(), format="loihi2"))
    form = load_format("loihi2")
    assert misfits(graph, form, bounds(graph)) == []
    assert graph.format == "loihi2"


def test_all_misfits_are_listed_at_once():
    graph = tc.decode(tc.lower(_spiking(), tc.Int8(per="channel")))
    small = replace(
        load_format("generic24"),
        weight_bits=4,
        threshold_max=10,
        threshold_per="layer",
        bias_max=1,
        accumulator_max=100,
    )
    with pytest.raises(tc.DoesNotFit) as error:
        require(graph, small, bounds(graph))
    headline, *lines = str(error.value).splitlines()
    assert headline == f"{len(lines)} numbers do not fit generic 24-bit:"
    for pattern in (
        r"  0: +weight mantissa \d+, limit 7",
        r"  0: +bias \d+, limit 1",
        r"  1: +4 thresholds; one per layer \(use per='layer'\)",
        r"  1: +threshold \d+, limit 10",
        r"  1: +input of one step may reach \d+, limit 100",
        r"  3: +weight mantissa \d+, limit 7",
        r"  readout: +input of one step may reach \d+, limit 100",
    ):
        assert any(re.fullmatch(pattern, line) for line in lines), pattern


@pytest.mark.parametrize("exponents", [0, 1, 3])
def test_biases_share_the_smallest_exponent_that_fits(exponents):
    form = replace(load_format("generic24"), bias_max=100, bias_exponent_max=exponents)
    for largest in (100, 101, 399, 500, 801):
        bias = np.array([largest, -largest // 3, 7, 0])
        rounded = round_bias(bias, form)
        fitting = [e for e in range(exponents + 1) if np.abs(np.rint(bias / 2**e)).max() <= 100]
        if not fitting:
            np.testing.assert_array_equal(rounded, bias)  # for the list of misfits
        else:
            np.testing.assert_array_equal(rounded, np.rint(bias / 2 ** fitting[0]).astype(int) * 2 ** fitting[0])


def test_narrow_weights_of_a_format_narrow_the_network(tmp_path):
    narrow = replace(load_format("generic24"), name="narrow", weight_bits=5)
    path = tmp_path / "narrow.toml"
    path.write_text(_toml(narrow))
    graph = tc.decode(tc.lower(_spiking(), format=str(path)))
    assert max(int(np.abs(s.weight >> s.weight_exp).max()) for s in graph.synapses) == 15


@pytest.mark.parametrize("scale", ["max", "power_of_two", "spikes"])
def test_one_threshold_per_layer_also_where_a_bias_makes_units_coarser(scale):
    """A bias that hardly fits its mantissa: its channel does not get a unit of its own."""
    spiking = _spiking()
    layer = spiking.graph.get_submodule("0")
    layer.bias[1] = 400 * float(layer.weight.abs().max())
    form = replace(load_format("generic24"), bias_max=4095, bias_exponent_max=1, threshold_per="layer")
    graph = integer_graph(spiking, tc.Int8(scale=scale), form)
    assert np.unique(graph.nodes["1"].theta).size == 1
    assert misfits(graph, form, bounds(graph)) == []


def test_a_graph_of_a_format_kept_elsewhere_needs_its_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(_toml(replace(load_format("generic24"), name="mine")))
    graph = tc.lower(_spiking(), format=str(path))
    with pytest.raises(tc.ToolchainError, match=r"lowered for the number format 'mine': give its \.toml file"):
        tc.simulate(graph, _IMAGES, overflow="format")
    assert tc.simulate(graph, _IMAGES, overflow="format", format=str(path)).images == 8
