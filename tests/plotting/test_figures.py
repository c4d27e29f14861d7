"""Figures: what they draw is what was measured; axes that are given are used; files are fit for print."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib").use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from helpers.networks import small_network, two_convolutions  # noqa: E402
from helpers.sweeps import a_sweep  # noqa: E402

import spikec as tc  # noqa: E402
from spikec.errors import PackageMissing  # noqa: E402


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def graph():
    return small_network(np.random.default_rng(0))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).random((6, 2, 7, 7))


@pytest.fixture(scope="module")
def trace(graph, images):
    return tc.simulate(graph, images, record="spikes")


LABELS = np.arange(6) % 3


def test_a_raster_has_a_mark_for_every_spike(trace):
    ax = tc.plot.raster(trace, "if2", image=2, most=1000)
    marks = np.concatenate([each.get_offsets() for each in ax.collections])
    steps, neurons = np.nonzero(trace.spikes["if2"][2].reshape(trace.timesteps, -1))
    assert sorted(map(tuple, marks)) == sorted(zip(steps + 1.0, neurons.astype(float), strict=True))


def test_accuracy_is_read_after_each_step(trace):
    _, given = plt.subplots()
    ax = tc.plot.accuracy(trace, LABELS, network=0.75, ax=given)
    assert ax is given
    line, level = ax.get_lines()
    shares = [(trace.output_curve[:, step].argmax(1) == LABELS).mean() for step in range(trace.timesteps)]
    assert np.allclose(line.get_ydata(), 100 * np.array(shares))
    assert list(level.get_ydata()) == [75, 75]


def test_counts_and_rates_are_those_of_the_trace(trace):
    widths = [bar.get_width() for bar in tc.plot.counts(trace).patches]
    assert np.allclose(widths, [trace.events[name].sum() / 6 for name in trace.events])
    means = tc.plot.rates(trace).get_lines()[-1].get_xdata()
    assert np.allclose(means, [trace.events[name].mean() / trace.timesteps for name in trace.events])


def test_a_confusion_matrix_names_its_cells(trace):
    ax = tc.plot.confusion(trace, LABELS, names=["cat", "dog", "ship"])
    cells = {(round(t.get_position()[1]), round(t.get_position()[0])): int(t.get_text()) for t in ax.texts}
    found = trace.confusion(LABELS)
    assert cells == {(int(r), int(c)): int(found[r, c]) for r, c in zip(*np.nonzero(found), strict=True)}


def test_only_what_is_not_beaten_is_joined(tmp_path):
    ax = tc.plot.pareto(a_sweep(tmp_path), "spikes")
    (step,) = [line for line in ax.get_lines() if line.get_label() == "not beaten"]
    assert list(step.get_xdata()) == [100, 200]
    assert np.allclose(step.get_ydata(), [80, 90])


def test_every_core_is_drawn_and_every_layer_named():
    placement = tc.place(two_convolutions(channels=24, size=32), "loihi1")
    ax = tc.plot.placement(placement)
    frames = [each for each in ax.patches if not each.get_fill()]
    assert len(frames) == len(placement.cores) > 1
    assert ax.get_legend_handles_labels()[1] == list(placement.cores_of)


def test_membranes_have_their_thresholds(graph, images):
    found = tc.simulate(graph, images, record="membranes")
    ax = tc.plot.membrane(found, "if1", neurons=[3], graph=graph)
    theta = int(graph.nodes["if1"].theta.reshape(-1)[3])
    assert any(list(line.get_ydata()) == [theta, theta] for line in ax.get_lines())
    assert list(ax.get_lines()[0].get_ydata()) == list(found.membranes["if1"][0].reshape(trace_steps(found), -1)[:, 3])


def trace_steps(trace) -> int:
    return int(trace.timesteps)


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda t: tc.plot.raster(t, "nothing"), "there is no layer 'nothing'"),
        (lambda t: tc.plot.membrane(t, "if1"), "record='membranes'"),
        (lambda t: tc.plot.raster(t, image=6), "there is no image 6"),
        (lambda t: tc.plot.energy(t), "tc.estimate"),
        (lambda t: tc.plot.placement(t), "tc.place"),
        (lambda t: tc.plot.pareto(t), "tc.sweep"),
        (lambda t: tc.plot.confusion(t, LABELS, names=["a"]), "names has 1 entries"),
        (lambda t: tc.plot.accuracy(t, LABELS, network=75), "a share from 0 to 1"),
        (lambda t: tc.plot.raster(t, axes=None), "did you mean 'ax'?"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence_and_no_figure(trace, draw, said):
    before = plt.get_fignums()
    with pytest.raises(tc.ToolchainError) as caught:
        draw(trace)
    assert said in str(caught.value)
    assert plt.get_fignums() == before


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_files_are_fit_for_print(trace, tmp_path, suffix):
    ax = tc.plot.counts(trace)
    first = tc.plot.save(ax, tmp_path / f"a.{suffix}").read_bytes()
    assert b"CreationDate" not in first
    assert b"<dc:date>" not in first
    assert tc.plot.save(tc.plot.counts(trace), tmp_path / f"b.{suffix}").read_bytes() == first
    if suffix == "pdf":
        assert b"/FontFile2" in first  # TrueType, whole, in the file
        assert b"/Type3" not in first
    if suffix == "svg":
        assert b"<text" not in first
    with pytest.raises(tc.ToolchainError, match=r"\.svg, \.pdf, \.png"):
        tc.plot.save(ax, tmp_path / "a.gif")


def test_axes_that_are_given_keep_their_style(trace):
    figure, given = plt.subplots(figsize=(9, 4))
    before = given.spines["top"].get_visible(), given.title.get_fontsize(), given.xaxis.label.get_fontsize()
    assert tc.plot.counts(trace, ax=given) is given
    after = given.spines["top"].get_visible(), given.title.get_fontsize(), given.xaxis.label.get_fontsize()
    assert after == before
    assert figure.get_size_inches().tolist() == [9, 4]
    made = tc.plot.counts(trace)
    assert made.xaxis.label.get_fontsize() < before[2]
    assert made.figure.get_size_inches()[0] == 3.5


def test_what_matplotlib_writes_of_the_time_can_be_left_out(trace, tmp_path, monkeypatch):
    """What docs/notebooks.md says of matplotlib's own savefig."""
    monkeypatch.setitem(plt.rcParams, "svg.hashsalt", "any text")
    for suffix, mark, none in (("pdf", b"CreationDate", "CreationDate"), ("svg", b"<dc:date>", "Date")):
        path = tmp_path / f"a.{suffix}"
        tc.plot.counts(trace).figure.savefig(path)
        assert mark in path.read_bytes()
        written = []
        for _ in range(2):
            tc.plot.counts(trace).figure.savefig(path, metadata={none: None})
            written.append(path.read_bytes())
        assert mark not in written[0]
        assert written[0] == written[1]


def test_without_matplotlib_one_sentence_says_what_to_do(trace, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(PackageMissing, match=r"pip install 'spikec\[plot\]'"):
        tc.plot.counts(trace)
