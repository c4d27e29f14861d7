"""Quality of a deployment by any measure: over traces, after each step, and beside the trained network."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.networks import one_layer
from torch import nn

import spikec as tc
from spikec.errors import DataError, GraphError
from spikec.evidence.comparison import Comparison
from spikec.evidence.loss import loss, measure
from spikec.evidence.measures import Correlation, MeanAbsoluteError, UserFunction, measures_of
from spikec.evidence.measures.choosing import as_targets
from spikec.evidence.quality import Ratings, output_shapes, outputs_by_step
from spikec.ir import as_integer, build
from spikec.ir.measured import STAGES, Measured, Scores, digests
from spikec.ir.profile.build import with_measured
from spikec.ir.profile.listing import text
from spikec.models.data import Dataset


@pytest.fixture(scope="module")
def made():
    """A ReLU network with two outputs, converted, lowered and measured on numbers near what it puts out."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 6), dtype=np.uint8)
    with torch.no_grad():
        exact = model(torch.as_tensor(pixels / 255, dtype=torch.float32)).numpy()
    y = (exact + 0.1 * rng.normal(size=exact.shape)).astype(np.float32)
    data = Dataset("toy", pixels, y, 1 / 255, ())
    network = tc.convert(model, tc.QCFS(timesteps=4), example=data.images(), calibration=data.images())
    graph = as_integer(tc.lower(network))
    wanted = measures_of(["mae", "correlation"], {"readout": (2,)}, y)
    found = measure(model, network, graph, data, "toy", lambda *_: None, wanted)
    return model, network, graph, data, found, wanted


def test_stages_of_the_export_are_what_they_say(made) -> None:
    model, network, graph, data, found, _ = made
    assert not found.correct
    assert list(found.quality) == ["mae", "correlation"]
    values = found.quality["mae"].values
    assert list(values) == list(STAGES)
    x, y = data.images().numpy().astype(np.float64), data.labels
    w1, b1, w2, b2 = (p.detach().numpy().astype(np.float64) for p in model.parameters())
    (neuron,) = network.neurons.values()
    threshold, before = float(neuron.threshold), x @ w1.T + b1
    hidden = {
        "network": np.maximum(before, 0),
        "clipping": np.clip(before, 0, threshold),
        "levels": threshold / 4 * np.clip(np.floor(before * 4 / threshold + 0.5), 0, 4),
    }
    for stage, value in hidden.items():
        assert values[stage] == pytest.approx(np.abs(value @ w2.T + b2 - y).mean(), rel=1e-5), stage
    spiking = tc.simulate(graph, data.images()).logits
    assert values["spiking"] == pytest.approx(np.abs(spiking - y).mean(), rel=1e-5)
    each = np.abs(hidden["network"] @ w2.T + b2 - y).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found.quality["mae"].network, each, rtol=1e-4)


def test_the_file_keeps_it(made, tmp_path) -> None:
    graph, data, found = made[2], made[3], made[4]
    read = as_integer(tc.load(tc.save(with_measured(build(graph), found), tmp_path / "net.nir")))
    assert read.measured is not None
    assert read.measured.text() == found.text()
    np.testing.assert_array_equal(read.measured.quality["mae"].network, found.quality["mae"].network)
    assert "measured at export, mae on 40 images of toy: network 0." in text(with_measured(build(graph), found))
    assert loss(read, data, np.ones(40, bool)) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["quality"]["mae"]["values"].pop("network"),
        lambda d: d["quality"]["mae"]["values"].update(other=1.0),
        lambda d: d["quality"]["mae"]["values"].update(spiking=float("nan")),
        lambda d: d["quality"]["mae"].update(numbers=3),
        lambda d: d["quality"]["mae"].pop("network"),
        lambda d: d["quality"].update(mae=3),
        lambda d: d.update(quality={}),
        lambda d: d.update(quality=[]),
    ],
)
def test_damaged_measurements_are_refused(made, change) -> None:
    document = json.loads(made[4].text())
    change(document)
    with pytest.raises(GraphError, match="measured"):
        Measured.read(json.dumps(document))


def test_networks_are_compared_on_the_images_both_have_seen(made) -> None:
    _, _, graph, data, found, wanted = made
    graph = replace(graph, measured=found)
    ratings = Ratings(graph, wanted)
    ratings.add(tc.simulate(graph, data.images()), data.labels)
    mae, correlation = ratings.found(data)
    assert (mae.network.images, mae.network.measured) == (40, 40)
    assert mae.network.network == pytest.approx(found.quality["mae"].values["network"])
    assert mae.network.spiking == pytest.approx(mae.quality.value)
    assert sum(mae.network.steps.values()) == pytest.approx(mae.network.change)
    assert list(mae.network.steps) == ["clipping", "levels", "weights", "unevenness"]
    assert correlation.network.network == pytest.approx(found.quality["correlation"].values["network"])
    other = Dataset("toy", np.concatenate([data.stored[30:], 255 - data.stored[:10]]), data.labels[:20], 1 / 255, ())
    other.labels[:10] = data.labels[30:]
    ratings = Ratings(graph, wanted[:1])
    ratings.add(tc.simulate(graph, other.images()), other.labels)
    (part,) = ratings.found(other)
    assert part.network.images == 10
    assert part.network.network == pytest.approx(found.quality["mae"].network[30:].mean())
    unknown = Dataset("toy", 255 - data.stored, data.labels, 1 / 255, ())
    for known, images in ((graph, unknown), (replace(graph, measured=None), data)):
        ratings = Ratings(known, wanted)
        ratings.add(tc.simulate(graph, images.images()), images.labels)
        assert [each.network for each in ratings.found(images)] == [None, None]


def test_one_trace_or_many_are_the_same(made, monkeypatch) -> None:
    from spikec.evidence import quality

    _, _, graph, data, _, wanted = made
    whole, parts, small = (Ratings(graph, wanted, bands=True) for _ in range(3))
    whole.add(tc.simulate(graph, data.images()), data.labels)
    for first in range(0, 40, 9):
        part = slice(first, first + 9)
        parts.add(tc.simulate(graph, data.images(part)), data.labels[part])
    monkeypatch.setattr(quality, "_AT_ONCE", 6)
    small.add(tc.simulate(graph, data.images()), data.labels)
    for one, two, three in zip(whole.found(), parts.found(), small.found(), strict=True):
        for other in (two, three):
            assert one.quality.value == pytest.approx(other.quality.value)
            assert one.by_step == pytest.approx(other.by_step)
        assert [band.value for band in one.bands] == pytest.approx(one.by_step)
        assert one.by_step[-1] == pytest.approx(one.quality.value)


def test_after_a_step_the_output_stands_for_the_whole() -> None:
    """A neuron that fires at every step: after t of T steps its sum, times T / t, is what it ends with."""
    graph = one_layer(weight=[[4]], bias=[0], theta=4, timesteps=4)
    trace = tc.simulate(graph, np.ones((2, 1)))
    (steps,) = outputs_by_step(graph, trace).values()
    assert [float(steps[t][0, 0]) for t in range(len(steps))] == [4.0] * 4
    assert trace.output_curve[0, :, 0].tolist() == [1, 2, 3, 4]
    drained = one_layer(weight=[[4]], bias=[0], theta=4, timesteps=4, kind="signed_if", drain=2)
    (steps,) = outputs_by_step(drained, tc.simulate(drained, np.ones((1, 1)))).values()
    assert len(steps) == 6
    assert steps.units.tolist() == [4.0, 2.0, 4 / 3, 1.0, 1.0, 1.0]
    lossless = one_layer(weight=[[4]], bias=[0], theta=4, timesteps=4, schedule="layerwise")
    assert outputs_by_step(lossless, tc.simulate(lossless, np.ones((1, 1)))) == {}


def test_quality_of_arrays() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(50, 2))
    network = y + 0.1 * rng.normal(size=y.shape)
    found, correlation = tc.quality(torch.tensor(network + 0.2, requires_grad=True), y, network=network)
    assert found.quality.value == pytest.approx(np.abs(network + 0.2 - y).mean())
    assert found.network.change == pytest.approx(found.quality.value - np.abs(network - y).mean())
    low, high = found.network.interval
    assert 0 < low < found.network.change < high
    assert correlation.network.change == pytest.approx(0, abs=1e-12)
    (top,) = tc.quality(np.eye(3), [0, 1, 1])
    assert (top.name, top.quality.count, top.quality.value) == ("top-1", 2, pytest.approx(2 / 3))
    assert top.quality.interval == pytest.approx((0.2077, 0.9385), abs=1e-4)  # Wilson
    (own,) = tc.quality(y, y, MeanAbsoluteError())
    assert own.quality.interval == (0.0, 0.0)


class OneNumber(nn.Module):
    """Returns [N] for N inputs, as regressors that end in ``squeeze(1)`` do."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, x):
        return self.layers(x).squeeze(1)


def test_one_number_for_each_input_is_a_column_everywhere() -> None:
    torch.manual_seed(2)
    model, pixels = OneNumber().eval(), np.random.default_rng(0).integers(0, 256, (40, 6), dtype=np.uint8)
    y = np.random.default_rng(1).normal(size=40).astype(np.float32)
    data, seen = Dataset("toy", pixels, y, 1 / 255, ()), []

    def user(outputs, targets):
        seen.append(outputs.shape)
        return np.abs(outputs[:, 0] - targets)

    network = tc.convert(model, tc.QCFS(timesteps=4), example=data.images(), calibration=data.images())
    graph = tc.lower(network)
    wanted = measures_of([MeanAbsoluteError(), Correlation(), UserFunction("user", user)], {"output": (1,)}, y)
    found = measure(model, network, as_integer(graph), data, "toy", lambda *_: None, wanted)
    exact = model(data.images()).detach()
    spiking = tc.simulate(graph, data.images()).logits[:, 0]
    assert set(seen) == {(40, 1)}
    for name in ("mae", wanted[2].key):
        values = found.quality[name].values
        assert values["network"] == pytest.approx(np.abs(exact.numpy() - y).mean(), rel=1e-5)
        assert values["spiking"] == pytest.approx(np.abs(spiking - y).mean(), rel=1e-5)
    kept = found.quality["correlation"].values
    assert kept["network"] == pytest.approx(np.corrcoef(exact.numpy(), y)[0, 1], abs=1e-5)
    rated = tc.quality(spiking, y, network=exact)
    made = tc.report(graph, images=data.images().numpy(), labels=y, ann_logits=exact, estimates=(), fits=(), path=None)
    for mae, correlation in (rated, made.quality):
        assert mae.network.network == pytest.approx(found.quality["mae"].values["network"])
        assert mae.quality.value == pytest.approx(found.quality["mae"].values["spiking"], rel=1e-5)
        assert correlation.network.network == pytest.approx(kept["network"], abs=1e-5)


class TwoEnds(nn.Module):
    """An output as it is, and one behind a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.heads = nn.Linear(6, 8), nn.ModuleList([nn.Linear(8, 2), nn.Linear(8, 2)])

    def forward(self, x):
        x = self.body(x).relu()
        return {"box": self.heads[0](x), "share": self.heads[1](x).sigmoid()}


def test_what_needs_a_sigmoid_that_is_left_out_is_told(recwarn) -> None:
    images = torch.rand(20, 6)
    graph = as_integer(tc.lower(tc.convert(TwoEnds(), tc.QCFS(timesteps=2), example=images, calibration=images)))
    assert (graph.info["left_out.share"], "left_out" in graph.info) == ("sigmoid", False)
    y = as_targets({"box": np.random.rand(20, 2), "share": np.random.randint(0, 2, 20)}, 20)
    recwarn.clear()
    Ratings(graph, measures_of(["box=mae", "share=top-1"], output_shapes(graph), y))
    assert not recwarn.list
    y = as_targets({"box": np.random.rand(20, 2), "share": np.random.rand(20, 2)}, 20)
    Ratings(graph, measures_of(None, output_shapes(graph), y))
    said = [str(each.message) for each in recwarn.list]
    assert [text.split(" which ends")[0] for text in said] == [
        f"share={name} is measured on the outputs before sigmoid," for name in ("mae", "correlation")
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((np.zeros(()), np.zeros(3)), "at least one input"),
        ((np.zeros(0), np.zeros(0)), "at least one input"),
        ((np.zeros((3, 2)), np.zeros(2)), "3 images but targets of shape"),
        ((np.full((3, 1), np.inf), np.zeros(3)), "not finite"),
        ((np.zeros((3, 1)), np.array([0, np.nan, 1])), "targets hold values that are not finite"),
        (([["a"]], np.zeros(1)), "must be numbers"),
        ((np.zeros((3, 1)), np.zeros(3), "topp"), "unknown 'topp'"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments, says) -> None:
    with pytest.raises(DataError, match=says):
        tc.quality(*arguments)
    with pytest.raises(DataError, match="network's outputs are of shape"):
        tc.quality(np.zeros((3, 1)), np.zeros(3), network=np.zeros((3, 2)))


def test_advice_is_given_for_what_is_worse_beyond_chance() -> None:
    def compared(interval, steps):
        remedies = {"levels": "more steps", "weights": "finer weights"}
        return Comparison(MeanAbsoluteError(), "mae", "x", 9, 0.1, 0.2, interval, 9, steps, remedies)

    worse = compared((0.05, 0.15), {"levels": 0.09, "weights": 0.001, "clipping": -0.02})
    assert worse.advice == ["levels: more steps"]
    assert worse.sentences[0].endswith("same 9 inputs (95 % interval +0.05 to +0.15)")
    assert compared((-0.05, 0.15), {"levels": 0.09}).advice == []
    assert compared((-0.15, -0.05), {"levels": -0.09}).advice == []
    assert compared(None, {"levels": 0.09}).advice == []


def test_digests_tell_numbers_apart() -> None:
    x = np.zeros((2, 3))
    assert digests(x, np.array([0.5, 0.5])) == digests(x, np.array([0.5, 0.5], np.float32))
    assert digests(x, np.array([0.5, 0.5])) != digests(x, np.array([0.5, 0.25]))
    assert digests(x, np.array([1.0, 1.0])) != digests(x, np.array([1, 1]))
    short = [np.ones((2, 3)), np.ones((4, 3))]
    assert len(set(digests(short, np.zeros(2, int)))) == 2


def test_scores_need_one_row_for_each_image() -> None:
    scores = Scores({"network": 1.0, "spiking": 1.0}, np.zeros((2, 1)))
    with pytest.raises(GraphError, match="one result for each image"):
        Measured("x", (b"123456",) * 3, {}, "", 4, {"mae": scores})
    with pytest.raises(GraphError, match="must hold images"):
        Measured("x", (b"123456",) * 3, {}, "", 4)


def test_a_metric_that_is_none_is_refused_in_one_sentence(made) -> None:
    """Also in a report, whose command has to name the measure; the sentence says how a function is named."""
    _, _, graph, data, _, _ = made
    y = data.labels

    def error(outputs, targets):
        return abs(outputs - targets).mean(axis=1)

    for wrong, said in ((error, "not the callable error"), (["mae", error], "not the callable error"), (3, "not 3")):
        with pytest.raises(DataError, match=said) as caught:
            tc.report(graph, images=data.images(), labels=y, metric=wrong, path=None)
        assert "file.py:callable" in str(caught.value)
        assert "\n" not in str(caught.value)
    outputs = np.zeros_like(y)
    with pytest.raises(DataError, match="not the callable error"):
        tc.quality(outputs, y, metric=error)
    (rated,) = tc.quality(outputs, y, metric=UserFunction("error", error))
    assert rated.quality.value == pytest.approx(float(np.abs(y).mean()))
