"""What the spikes cost: stages against plain loops, the value in the file, and who is told which images."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import spikec as tc
from spikec.errors import GraphError
from spikec.evidence.loss import Loss, image_count, loss, measure, remedies
from spikec.ir import as_integer, build
from spikec.ir.measured import STAGES, Measured, digests
from spikec.ir.profile.build import with_measured
from spikec.ir.profile.listing import text
from spikec.models.data import Dataset


def dataset(seed: int, number: int = 40) -> Dataset:
    rng = np.random.default_rng(seed)
    return Dataset(
        "toy", rng.integers(0, 256, (number, 6), dtype=np.uint8), rng.integers(0, 3, number), 1 / 255, tuple("abc")
    )


@pytest.fixture(scope="module")
def made():
    """A ReLU network on vectors, converted, lowered, and measured on labels at random."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    data = dataset(0)
    network = tc.convert(model, tc.QCFS(timesteps=2), example=data.images(), calibration=data.images())
    graph = as_integer(tc.lower(network))
    seen: list[tuple[str, int]] = []
    found = measure(model, network, graph, data, "toy", lambda stage, done, total: seen.append((stage, done)))
    return model, network, graph, data, found, seen


def test_stages_are_what_they_say(made) -> None:
    model, network, graph, data, found, seen = made
    x, labels = data.images().numpy().astype(np.float64), data.labels
    w1, b1, w2, b2 = (p.detach().numpy().astype(np.float64) for p in model.parameters())
    (neuron,) = network.neurons.values()
    threshold = float(neuron.threshold)
    before = x @ w1.T + b1
    hidden = {
        "network": np.maximum(before, 0),
        "clipping": np.clip(before, 0, threshold),
        "levels": threshold / 2 * np.clip(np.floor(before * 2 / threshold + 0.5), 0, 2),
    }
    for stage, value in hidden.items():
        np.testing.assert_array_equal(found.correct[stage], (value @ w2.T + b2).argmax(1) == labels, stage)
    spiking = tc.simulate(graph, data.images()).predictions == labels
    np.testing.assert_array_equal(found.correct["spiking"], spiking)
    assert [stage for stage, done in seen if done >= len(data)] == list(STAGES)


def test_the_file_keeps_it(made, tmp_path) -> None:
    graph, found = made[2], made[4]
    plain = build(graph)
    path = tc.save(with_measured(plain, found), tmp_path / "net.nir")
    read = as_integer(tc.load(path))
    assert read.measured is not None
    assert read.measured.text() == found.text()
    assert read.content_sha256 == as_integer(plain).content_sha256
    assert build(read).metadata["spikec"]["measured"] == found.text()
    assert "measured at export, of 40 images of toy" in text(tc.load(path))


def test_loss_is_on_the_images_both_have_seen(made) -> None:
    _, _, graph, data, found, _ = made
    graph = replace(graph, measured=found)
    spiking = tc.simulate(graph, data.images()).predictions == data.labels
    whole = loss(graph, data, spiking)
    assert whole is not None
    assert (whole.images, whole.network, whole.spiking) == (40, found.correct["network"].sum(), spiking.sum())
    assert whole.only_network == sum(a and not b for a, b in zip(found.correct["network"], spiking, strict=True))
    assert sum(whole.causes.values()) == pytest.approx(whole.points)
    assert list(whole.causes) == ["clipping", "levels", "weights", "unevenness"]
    part = loss(graph, data.subset(slice(7, 19)), spiking[7:19])
    assert part is not None
    assert (part.images, part.network) == (12, found.correct["network"][7:19].sum())
    assert loss(graph, dataset(5), spiking) is None
    relabelled = Dataset("toy", data.stored, (data.labels + 1) % 3, data.scale, data.classes)
    assert loss(graph, relabelled, spiking) is None
    assert loss(replace(graph, measured=None), data, spiking) is None


def test_causes_are_those_of_this_graph_only(made) -> None:
    _, _, graph, data, found, _ = made
    spiking = np.ones(40, bool)
    layer = graph.populations[0]
    moved = replace(graph, nodes={**graph.nodes, layer.name: replace(layer, v_init=layer.v_init + 1)})
    for other in (replace(graph, timesteps=3), moved):
        stale = loss(replace(other, measured=found), data, spiking)
        assert stale is not None
        assert stale.causes == {}
        assert stale.advice == []


def cost(images: int, b: int, c: int, steps: dict[str, int]) -> Loss:
    return Loss("toy", images, 50 + c, 50 + b, c, b, images, steps, {"levels": "more steps (-T)", "weights": "bits"})


def test_sentences() -> None:
    lines = cost(200, 1, 31, {"clipping": 0, "levels": 28, "weights": 2, "unevenness": 0}).sentences
    assert lines[0].startswith("network 40.50, spiking 25.50, -15.00 points on the same 200 images (95 % interval -20")
    assert "clipping +0.00, levels -14.00, weights -1.00, unevenness +0.00" in lines[1]
    assert lines[2:] == ["to reduce it: levels: more steps (-T)"]


def test_chance_gets_no_advice() -> None:
    assert cost(200, 3, 4, {"levels": 1}).advice == []


@given(st.integers(0, 50), st.integers(0, 50))
@settings(deadline=None)
def test_the_interval_holds_the_difference(b: int, c: int) -> None:
    found = cost(150, b, c, {})
    low, high = found.interval
    assert low < high
    assert low - 1 <= found.points <= high + 1
    assert cost(150, c, b, {}).interval == pytest.approx((-high, -low))


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "[]",
        "{}",
        '{"images": 1}',
        lambda t: t.replace('"images": 40', '"images": 41'),
        lambda t: t.replace('"network"', '"nets"'),
    ],
)
def test_damage_is_one_sentence(made, damage) -> None:
    damaged = damage(made[4].text()) if callable(damage) else damage
    with pytest.raises(GraphError, match="metadata 'measured'"):
        Measured.read(damaged)
    graph = build(made[2])
    graph.metadata["spikec"]["measured"] = damaged
    with pytest.raises(GraphError):
        as_integer(graph)


@given(st.integers(1, 70), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=drawn(20))
def test_text_and_back(number: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hits = {stage: rng.random(number) < 0.5 for stage in STAGES}
    found = Measured("ä", tuple(digests(rng.random((number, 2)), np.arange(number))), hits, "f" * 64, 3)
    again = Measured.read(found.text())
    assert again.images == found.images
    assert all(np.array_equal(again.correct[stage], hits[stage]) for stage in STAGES)
    assert json.loads(found.text())["images"] == number


def test_fewer_images_of_large_networks(made) -> None:
    graph = made[2]
    assert image_count(graph, 1000) == 1000
    assert image_count(replace(graph, timesteps=2**20), 10**6) == 10**12 // (72 * (4 + 2**20))


@pytest.mark.parametrize("method", [tc.ErrorCompensation(timesteps=2), tc.ErrorFree(timesteps=2), tc.Graded()])
def test_every_kind_has_remedies(made, method) -> None:
    model, _, _, data, found, _ = made
    graph = as_integer(tc.lower(tc.convert(model, method, example=data.images(), calibration=data.images())))
    told = loss(replace(graph, measured=found), data, np.zeros(40, bool))
    assert told is not None
    assert {"clipping", "levels", "weights"} <= told.remedies.keys()


def test_remedies_name_options_that_apply(made) -> None:
    _, _, graph, *_ = made
    assert "schedule='layerwise'" in remedies(graph)["unevenness"]
    assert "unevenness" not in remedies(replace(graph, schedule="layerwise"))
    assert "per='channel'" in remedies(graph)["weights"]
