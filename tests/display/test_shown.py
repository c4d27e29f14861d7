"""Values as people see them: one line, a table of escaped text, a frame."""

from __future__ import annotations

import copy
import json
import pickle
import re
import sys

import nir
import numpy as np
import pytest
import torch
from helpers.networks import small_network
from helpers.sweeps import a_sweep
from torch import nn

import spikec as tc
from spikec.analysis.violations import Violation, Violations
from spikec.display import Column, Table
from spikec.display.html import html
from spikec.display.table import MOST
from spikec.errors import PackageMissing
from spikec.ir import build
from spikec.targets.cortex import CortexM4


@pytest.fixture(scope="module")
def graph():
    return build(small_network(np.random.default_rng(0)))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).random((6, 2, 7, 7))


@pytest.fixture(scope="module")
def trace(graph, images):
    return tc.simulate(graph, images)


@pytest.fixture(scope="module")
def values(graph, images, trace, tmp_path_factory):
    torch.manual_seed(0)
    model, pixels = nn.Sequential(nn.Flatten(), nn.Linear(98, 5), nn.ReLU(), nn.Linear(5, 3)), torch.rand(6, 2, 7, 7)
    network = tc.convert(model.eval(), tc.QCFS(timesteps=4), example=pixels, calibration=pixels)
    return {
        "graph": graph,
        "integers": tc.decode(graph),
        "trace": trace,
        "estimate": tc.estimate(graph, trace),
        "placement": tc.place(graph, "loihi2"),
        "one core": CortexM4().place(graph),
        "certificate": tc.certify(graph, images),
        "crosscheck": tc.crosscheck(graph, "golden", images),
        "check": tc.check(graph, "loihi1"),
        "ranges": tc.check_ranges(graph),
        "quality": tc.quality(trace.logits, np.arange(6) % 3),
        "sweep": a_sweep(tmp_path_factory.mktemp("sweep")),
        "network": network,
        "fidelity": tc.fidelity(model, network, pixels),
        "explanation": tc.explain(graph),
    }


def test_every_value_is_short_and_has_a_table(values):
    for name, value in values.items():
        lists = isinstance(value, list | tuple)
        assert len(repr(value)) < (4000 if lists else 250), name
        assert lists or "\n" not in repr(value), name
        shown = value._repr_html_()
        assert not any(tag in shown for tag in ("<script", "<style", "http")), name
        assert not re.search(r"[\";](color|background)", shown), name  # those of the notebook are kept
        assert "<table" in shown, name


def test_frames_hold_numbers(values, trace):
    pytest.importorskip("pandas")
    frame = values["trace"].to_pandas()
    assert list(frame["layer"]) == list(trace.counts)
    assert frame["spikes"].sum() == sum(int(events.sum()) for events in trace.events.values())
    assert values["estimate"].to_pandas()["p50_joule"].sum() > 0
    assert len(values["placement"].to_pandas()) == len(values["placement"].cores)
    assert list(values["sweep"].to_pandas()["accuracy"]) == [0.80, 0.90, 0.85]
    assert len(values["ranges"].to_pandas()) == len(values["ranges"])


def test_tables_have_what_people_look_for(values):
    """Heads of the tables, and frames that have the same or more."""
    pytest.importorskip("pandas")
    wanted = {
        "network": {"layer", "kind", "threshold_low", "threshold_high", "levels"},
        "graph": {"node", "kind", "shape", "from", "numbers"},
        "integers": {"node", "kind", "shape", "from", "numbers"},
        "trace": {"layer", "spikes", "spikes_per_image", "spikes_per_neuron_step", "silent_neurons"},
        "estimate": {"item", "p5_joule", "p50_joule", "p95_joule"},
        "check": {"layer", "rule", "actual", "limit", "hint"},
        "ranges": {"layer", "quantity", "status", "low", "high", "measured_low", "measured_high"},
        "explanation": {"node", "kernel", "why", "bound", "limit"},
        "certificate": {"layer", "differing"},
        "fidelity": {"layer", "clipping", "quantisation", "unevenness", "propagation", "total"},
        "quality": {"measure", "value", "low", "high"},
        "crosscheck": {"target", "identical"},
    }
    for name, columns in wanted.items():
        frame = values[name].to_pandas()
        assert columns <= set(frame.columns), name
        assert len(frame) == values[name]._repr_html_().count("<tr>") - 1, name
    placement = values["placement"]
    assert len(re.findall("<tr>", placement._repr_html_())) == 1 + len(placement.cores_of)
    used = [name for name in placement.to_pandas().columns if name.endswith("_used")]
    assert used
    assert {name.replace("_used", "_limit") for name in used} <= set(placement.to_pandas().columns)


def test_a_graph_is_a_nir_graph_for_everybody(graph, tmp_path):
    assert isinstance(graph, nir.NIRGraph)
    for twin in (copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        assert type(twin) is type(graph)
        assert tc.decode(twin).content_sha256 == tc.decode(graph).content_sha256
    nir.write(tmp_path / "plain.nir", graph)
    found = nir.read(tmp_path / "plain.nir")
    assert type(found) is nir.NIRGraph
    assert set(found.nodes) == set(graph.nodes)
    assert graph.to_dict()["type"] == "NIRGraph"
    assert graph == graph
    assert graph != copy.copy(graph)


def test_a_broken_graph_still_shows_itself(graph):
    broken = copy.deepcopy(graph)
    broken.metadata = {}
    assert "no deployment of spikec" in broken._repr_html_()
    assert "nodes" in repr(broken)


def test_violations_are_a_list():
    one = Violation("neurons", "fc", 2000, 1024, "error", "use <fewer> & smaller layers")
    found = Violations.of([one], "chip")
    assert found == [one]
    assert isinstance(found, list)
    assert json.dumps([str(v) for v in found])
    assert "1 error on chip" in repr(found)
    assert "2,000" in repr(found)
    assert "&lt;fewer&gt; &amp; smaller" in found._repr_html_()
    assert found.errors == [one]
    twin = pickle.loads(pickle.dumps(found))
    assert twin == found
    assert twin.about == "chip"


def test_text_is_escaped_and_long_tables_end():
    column = Column("a", "<b>", left=True)
    shown = html(Table("<i>", (column, Column("none", "empty")), (("<script>alert(1)</script>", None),), ("&",)))
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "<i>" not in shown
    assert "empty" not in shown
    long = Table("", (column,), tuple((str(n),) for n in range(MOST + 5)))
    assert "and 5 more" in long.text()
    assert "and 5 more" in html(long)


def test_without_pandas_one_sentence_says_what_to_do(trace, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(PackageMissing, match="pip install pandas"):
        trace.to_pandas()


def test_the_confusion_matrix_counts_every_image(trace):
    labels = np.array([0, 1, 2, 2, 1, 0])
    found = trace.confusion(labels)
    assert trace.accuracy(labels) == sum(a == b for a, b in zip(labels, trace.predictions, strict=True)) / 6
    assert found.dtype == np.int64
    assert found.shape == (3, 3)
    expected = np.zeros((3, 3), int)
    for true, said in zip(labels, trace.predictions, strict=True):
        expected[true, said] += 1
    assert (found == expected).all()
    with pytest.raises(tc.ToolchainError, match="labels hold 7"):
        trace.confusion(np.full(6, 7))
