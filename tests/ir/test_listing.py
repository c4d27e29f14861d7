"""What ``spikec inspect`` and ``spikec diff`` print, against files kept beside this one.

After a change that is meant, ``UPDATE_LISTINGS=1 pytest tests/ir/test_listing.py`` writes them anew.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spikec.ir as ig
from spikec.cli import main
from spikec.ir import build, diff, save
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, CubaLIF, GradedIF, SignedIF, kinds

_FOLDER = Path(__file__).parent / "listings"


_NEURONS = {
    "if": lambda _: IF(),
    "signed_if": lambda shape: SignedIF(theta_neg=np.full(shape, 3)),
    "calibrated_if": lambda _: CalibratedIF(rho=6),
    "bit_serial": lambda _: BitSerialIF(),
    "graded": lambda _: GradedIF(levels=5),
    "cuba_lif": lambda shape: CubaLIF(np.full(shape, 1842), np.full(shape, 410), np.full(shape, -7)),
}


def _graph(kind="if", schedule="pipelined", timesteps=4, drain=0):
    """A grouped convolution, a residual sum with a weight exponent, a pool, a flatten and two dense layers."""
    rng = np.random.default_rng(7)
    nodes: dict[str, ig.Node] = {"input": ig.InputNode("input", (2, 4, 4), "uint8", 1 / 255)}

    def conv(name, source, shape, kernel, padding, groups=1, exponent=0):
        weight = rng.integers(-127, 128, (4, shape[0] // groups, kernel, kernel)) << exponent
        bias = rng.integers(-500, 500, 4)
        size = (1, 1)
        nodes[name] = ig.Convolution(
            name, (source,), shape, (4, 4, 4), weight, bias, size, (padding, padding), size, groups, weight_exp=exponent
        )

    def affine(name, source, inputs, outputs):
        weight = rng.integers(-127, 128, (outputs, inputs))
        nodes[name] = ig.Affine(name, (source,), (inputs,), (outputs,), weight, rng.integers(-90, 90, outputs))

    def population(name, sources, shape, low, high):
        theta = np.broadcast_to(rng.integers(low, high, shape[:1]).reshape(-1, *[1] * (len(shape) - 1)), shape).copy()
        nodes[name] = ig.Population(name, sources, shape, _NEURONS[kind](shape), theta, theta // 2, np.array([0.75]))

    conv("stem", "input", (2, 4, 4), 3, 1, groups=2)
    population("stem.spikes", ("stem",), (4, 4, 4), 9000, 9900)
    conv("body", "stem.spikes", (4, 4, 4), 3, 1)
    conv("skip", "stem.spikes", (4, 4, 4), 1, 0, exponent=3)
    population("body.spikes", ("body", "skip"), (4, 4, 4), 1000, 1100)
    nodes["pool"] = ig.SumPool("pool", ("body.spikes",), (4, 4, 4), (4, 2, 2), (2, 2), (2, 2))
    nodes["flat"] = ig.Flatten("flat", ("pool",), (4, 2, 2), (16,))
    affine("hidden", "flat", 16, 6)
    population("hidden.spikes", ("hidden",), (6,), 500, 501)
    affine("classes", "hidden.spikes", 6, 3)
    nodes["readout"] = ig.Readout("readout", ("classes",), (3,), np.zeros(3, np.int64), 0.01)
    return ig.IntegerGraph(nodes, timesteps, schedule, drain, info={"method": "by hand", "weights": "int8 per layer"})


_KINDS = {
    "if": {},
    "layerwise": {"schedule": "layerwise"},
    "signed_if": {"kind": "signed_if", "drain": 2},
    "calibrated_if": {"kind": "calibrated_if"},
    "bit_serial": {"kind": "bit_serial", "schedule": "layerwise"},
    "graded": {"kind": "graded", "schedule": "layerwise", "timesteps": 1},
    "cuba_lif": {"kind": "cuba_lif"},
}


def _compare(name, text):
    path = _FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_LISTINGS"):
        path.write_text(text)
    assert text == path.read_text()


def test_every_kind_is_listed():
    assert set(_NEURONS) == set(kinds()) == {case.get("kind", "if") for case in _KINDS.values()}


@pytest.mark.parametrize("name", _KINDS)
def test_inspect(name, tmp_path, capsys):
    path = save(build(_graph(**_KINDS[name])), tmp_path / "net.nir")
    assert main(["inspect", str(path)]) == 0
    _compare(name, capsys.readouterr().out)


@pytest.mark.parametrize("node", ["stem", "body.spikes", "readout"])
def test_inspect_one_node(node, tmp_path, capsys):
    path = save(build(_graph()), tmp_path / "net.nir")
    assert main(["inspect", str(path), "--layer", node]) == 0
    _compare(f"node-{node}", capsys.readouterr().out)


def test_diff(tmp_path, capsys):
    """Layers added, removed and of another type; steps, settings, weights and thresholds that changed."""
    first = _graph()
    nodes = dict(first.nodes)
    weight = first.nodes["body"].weight.copy()
    weight[0, :, 1, 1] += 1
    nodes["body"] = replace(first.nodes["body"], weight=weight)
    nodes["body.spikes"] = replace(first.nodes["body.spikes"], theta=first.nodes["body.spikes"].theta + 5)
    del nodes["pool"], nodes["flat"]
    nodes["dense"] = ig.Flatten("dense", ("body.spikes",), (4, 4, 4), (64,))
    rng = np.random.default_rng(1)
    nodes["hidden"] = ig.Affine("hidden", ("dense",), (64,), (6,), rng.integers(-9, 9, (6, 64)), np.zeros(6, np.int64))
    for name in ("hidden", "hidden.spikes", "classes", "readout"):
        nodes[name] = nodes.pop(name)  # behind the new node
    second = replace(first, nodes=nodes, timesteps=6, info={"method": "by hand", "weights": "int4 per channel"})
    paths = [str(save(build(g), tmp_path / f"{n}.nir")) for n, g in (("first", first), ("second", second))]
    assert main(["diff", *paths]) == 0
    _compare("diff", capsys.readouterr().out)


def test_diff_says_a_change_once_and_as_large_as_it_is():
    first = replace(_graph(), info={"method": "qcfs", "schedule": "pipelined", "timesteps": "4"})
    nodes = {
        name: replace(node, neuron=GradedIF(4), scale=node.scale / 8) if isinstance(node, ig.Population) else node
        for name, node in first.nodes.items()
    }
    info = {"method": "graded", "schedule": "layerwise", "timesteps": "1", "levels": "None"}
    lines = diff(first, replace(first, nodes=nodes, timesteps=1, schedule="layerwise", info=info))
    assert [line for line in lines if line.startswith("graph")] == [
        "graph: timesteps 4 -> 1",
        "graph: schedule pipelined -> layerwise",
        "graph: method qcfs -> graded",
    ]
    assert "body.spikes: levels not set -> 4" in lines
    scale = first.nodes["body.spikes"].scale
    assert (
        f"body.spikes: scale: {scale.size} of {scale.size} values differ, by up to {scale.max() * 7 / 8:.4g}" in lines
    )
