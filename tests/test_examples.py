"""The examples in the docstrings of the public functions run, on one tiny network that all of them share, each in a
folder of its own."""

from __future__ import annotations

import copy
import doctest
import warnings
from collections.abc import Iterator
from typing import Any

import nir
import numpy as np
import pytest
import torch
from helpers.sweeps import a_sweep
from torch import nn

import spikec
import spikec as tc
from spikec.models import data, pretrained
from spikec.simulation.trace import Trace

#: Public names whose docstring needs none: errors say what they are, and packages have functions of their own.
_WITHOUT = {name for name in spikec._EXPORTS if name.endswith(("Error", "Unavailable", "Fit", "Operation"))}
_WANTED = [*sorted({*spikec._EXPORTS, "compile"} - _WITHOUT - {"Trace", "SpikingNetwork"}), "SpikingNetwork", "Trace"]
#: Their examples take seconds: a sweep starts a process, advice measures a whole portfolio.
_LONG = {"advise", "sweep"}


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> Iterator[dict[str, Any]]:
    """What the examples may use."""
    pytest.importorskip("matplotlib").use("Agg")
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 3, 3, padding=1), tc.ClipFloorShift(4, 1.0), nn.Flatten(), nn.Linear(48, 8)]
    model = nn.Sequential(*layers, tc.ClipFloorShift(4, 1.0), nn.Linear(8, 3)).eval()
    images, labels = torch.rand(12, 1, 4, 4), np.arange(12) % 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = tc.convert(model, tc.QCFS(timesteps=4), example=images)
        graph = tc.lower(network)
        yield {
            "tc": tc,
            "np": np,
            "torch": torch,
            "nn": nn,
            "model": model,
            "images": images,
            "labels": labels,
            "network": network,
            "graph": graph,
            "folder": tmp_path_factory.mktemp("examples"),
            "trace": (trace := tc.simulate(graph, images, record="spikes")),
            "membranes": tc.simulate(graph, images, record="membranes"),
            "estimate": tc.estimate(graph, trace),
            "train": (dataset := data.Dataset("examples", images.numpy(), labels, 1.0, ("a", "b", "c"))),
            "validation": dataset,
            "frames": np.random.default_rng(0).integers(0, 4, (4, 20, 3)).astype(float),
            "fidelity": tc.fidelity(model, network, images),
            "sweep": a_sweep(tmp_path_factory.mktemp("sweep")),
        }
    import matplotlib.pyplot as plt

    plt.close("all")


def _examples(value: Any, name: str) -> list[doctest.DocTest]:
    found = doctest.DocTestParser().get_doctest(value.__doc__ or "", {}, name, name, 0)
    return [found] if found.examples else []


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Examples read and write files here: ``leaky.nir`` is there."""
    one, four = np.ones(4), np.full(4, 2e-4)
    nodes = {
        "input": nir.Input({"input": np.array([3])}),
        "w": nir.Affine(np.random.default_rng(1).normal(size=(4, 3)), one / 8),
        "lif": nir.LIF(four, 4 * one, 0 * one, one, v_reset=0 * one),
        "output": nir.Output({"output": np.array([4])}),
    }
    nir.write(tmp_path / "leaky.nir", nir.NIRGraph(nodes, [("input", "w"), ("w", "lif"), ("lif", "output")]))
    monkeypatch.chdir(tmp_path)


def _run(found: doctest.DocTest, names: dict[str, Any]) -> None:
    found.globs = {**names, "model": copy.deepcopy(names["model"])}  # training changes it
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runner.run(found, out=told.append)
    assert not runner.failures, "".join(told)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.thorough] if name in _LONG else []) for name in _WANTED]
)
@pytest.mark.usefixtures("folder")
def test_the_example_of_a_public_name_runs(name, names):
    if name == "advise":
        some = data.load("digits")
        names = names | {"model": pretrained("digits-cnn"), "images": some[0][:600], "labels": some[1][:600].numpy()}
    value = getattr(spikec, name)
    found = [each for item in _with_methods(value, name) for each in _examples(item, name)]
    assert found, f"{name} has no example"
    assert not any(doctest.SKIP in each.options for one in found for each in one.examples), "an example must run"
    for each in found:
        _run(each, names)


def _with_methods(value: Any, name: str) -> list[Any]:
    return [value, value.accuracy, value.confusion] if value is Trace else [value]


@pytest.mark.parametrize("name", sorted(tc.plot.__all__))
@pytest.mark.usefixtures("folder")
def test_the_example_of_a_figure_runs(name, names):
    (found,) = _examples(getattr(tc.plot, name), name)
    _run(found, names)
