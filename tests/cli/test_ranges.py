"""``spikec ranges``, ``run --overflow`` and ``export --format``: numbers against the registers of a target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikec.ir import build, save


@pytest.fixture
def large(digits_graph, tmp_path):
    """Weights times 2**8: the first layer's sums fill 24 bits on bright images."""
    graph = digits_graph()
    conv = graph.nodes["conv"]
    conv = replace(conv, weight=np.minimum(np.abs(conv.weight), 127) << 8, weight_exp=8)
    theta = np.full((3, 8, 8), 2**22)
    fire = replace(graph.nodes["fire"], theta=theta, v_init=0 * theta)
    return save(build(replace(graph, nodes={**graph.nodes, "conv": conv, "fire": fire})), tmp_path / "large.nir")


def test_ranges_are_proven(spikec, net):
    result = spikec("ranges", net)
    assert result.code == 0
    assert result.out.splitlines()[-1] == "5 registers: 5 proven (generic 24-bit)"
    document = spikec("ranges", net, "--json").json
    assert [layer["status"] for layer in document["layers"]] == ["proven"] * 5
    assert spikec("ranges", net, "--data", "npz:absent.npz").code == 1  # though nothing needs measuring


def test_ranges_are_measured_where_nothing_is_proven(spikec, large):
    lines = spikec("ranges", large).out.splitlines()
    assert any(line.startswith("conv: accumulator may reach [0, ") for line in lines)
    measured = spikec("ranges", large, "--data", "digits", "--limit", "20")
    assert measured.code == 2
    assert "fire: membrane overflows 8388607: neuron [" in measured.out
    assert "on image 0" in measured.out
    narrow = spikec("ranges", large, "--data", "digits", "--limit", "20", "--format", "loihi1")
    assert "conv: accumulator overflows 131071: neuron [" in narrow.out


def test_run_stops_wraps_or_saturates(spikec, large):
    words = ("run", large, "--limit", "20")
    exact = spikec(*words)
    assert "overflow: fire left its register in " in exact.out
    strict = spikec(*words, "--overflow", "strict")
    assert strict.code == 2
    assert "beyond 24 bits [-8388608, 8388607]" in strict.err
    assert "overflow: conv: accumulator left its register in " in spikec(*words, "--overflow", "wrap").out
    modes = ("exact", "wrap", "saturate")
    found = [spikec(*words, "--json", "--overflow", mode).json["spikes_per_image"] for mode in modes]
    assert found[0] != found[1] != found[2]
    same = spikec(*words, "--json", "--overflow", "format", "--format", "generic24").json["spikes_per_image"]
    assert same == found[1]  # generic24 wraps


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "NET", "--overflow", "clip"), "--overflow: unknown 'clip'"),
        (("run", "NET", "--overflow", "wrapp"), "did you mean 'wrap'?"),
        (("run", "NET", "--format", "loihi"), "--format: unknown number format 'loihi', did you mean 'loihi"),
        (("run", "NET", "--target", "lava", "--overflow", "wrap"), "--overflow is for the golden model"),
        (("ranges", "NET", "--format", "none.toml"), "--format: no file none.toml"),
        (("export", "digits-cnn", "--format", "loihi", "-o", "x.nir"), "--format: unknown number format 'loihi'"),
        (("export", "digits-cnn", "--override", "head=6", "-o", "x.nir"), "override 'head' is the name of no layer"),
        (("export", "digits-cnn", "--override", "14=9", "-o", "x.nir"), "override 14: bits must be a whole number"),
    ],
)
def test_wrong_words_are_named(spikec, net, words, message):
    result = spikec(*(net if word == "NET" else word for word in words))
    assert result.code == 1
    assert message in result.err


def test_what_does_not_fit_a_format_is_listed_or_forced(spikec):
    words = ("export", "digits-cnn", "-T", "4", "--per", "channel", "--format", "loihi1", "-o", "net.nir")
    refused = spikec(*words)
    assert refused.code == 2
    head, *lines = refused.err.strip().splitlines()
    assert head == "spikec: 4 numbers do not fit Loihi 1:"
    assert [line.split()[:3] for line in lines] == [
        [f"{n}:", count, "thresholds;"] for n, count in zip((2, 5, 9, 13), ("16", "29", "30", "58"), strict=True)
    ]
    forced = spikec(*words, "--force")
    assert forced.code == 0
    assert "written all the same: 4 numbers do not fit Loihi 1" in forced.err
