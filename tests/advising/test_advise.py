"""``tc.advise`` on networks given as objects: what it measures, where it goes on, and what it refuses."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from helpers.json_schema import errors
from torch import nn

import spikec as tc
from spikec.advising.advising import _recommended, _rows
from spikec.advising.portfolio import _line
from spikec.advising.trials import trials_of
from spikec.sweeping import measure as measuring

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "advice.schema.json").read_text())
PORTFOLIO = [
    _line("error-free", 6),
    _line("graded", 1, levels=31),
    _line("error-compensation", 8),
    _line("srp", 4),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def advice(mlp, digits_as_vectors, results):
    training, test = digits_as_vectors
    return tc.advise(mlp, *training, test=test, portfolio=PORTFOLIO, budget="1h", calibration=64, out=results)


def test_each_purpose_gets_the_deployment_that_was_measured(advice, mlp, digits_as_vectors, tmp_path):
    assert list(advice.recommendations) == ["streaming", "lossless", "graded"]
    test = torch.from_numpy(digits_as_vectors[1][0])
    for purpose, found in advice.recommendations.items():
        graph = tc.load(advice.export(tmp_path / f"{purpose}.nir", purpose))
        n = found.tested["images"]
        trace = tc.simulate(graph, digits_as_vectors[1][0][:n])
        right = trace.predictions == digits_as_vectors[1][1][:n]
        network = mlp(test[:n]).argmax(1).numpy()
        network_right = network == digits_as_vectors[1][1][:n]
        assert tc.decode(graph).content_sha256 == found.tested["content_sha256"]
        assert found.tested["correct"] == right.sum()
        assert found.tested["ann"]["correct"] == network_right.sum()
        pairs = found.tested["paired"]
        assert pairs["gained"] == (right & ~network_right).sum()
        assert pairs["lost"] == (~right & network_right).sum()
        assert pairs["agree"] == (trace.predictions == network).sum()
        stored = tc.decode(graph).measured
        assert stored.correct["network"][:n].tolist() == network_right.tolist()
        assert stored.correct["spiking"][:n].tolist() == right.tolist()
        assert found.command is None  # an object has no name that a command could take


def test_calibration_choice_and_test_share_no_image(mlp, digits_as_vectors, advice):
    from spikec.advising.checks import dataset_of
    from spikec.advising.subject import subject_of

    (images, labels), _ = digits_as_vectors
    subject = subject_of(
        {"model": "m:m", "data": "d", "calibration": 64, "seed": 3}, mlp, dataset_of("arrays", images, labels)
    )
    parts = (subject.training.draw(64, 3), subject.held_out, subject.test)
    rows = [set(map(bytes, part.stored)) for part in parts]
    assert [len(part) for part in parts] == [64, (len(images) - 64) // 2, len(images) - 64 - (len(images) - 64) // 2]
    assert not rows[0] & rows[1]
    assert not rows[0] & rows[2]
    assert not rows[1] & rows[2]
    assert subject.apart
    assert not advice.apart


def test_the_choice_does_not_see_the_test_set(mlp, digits_as_vectors, advice):
    """With other labels on the test images, the same deployments are chosen."""
    training, (images, labels) = digits_as_vectors
    wrong = (images, (labels + 1) % 10)
    other = tc.advise(mlp, *training, test=wrong, portfolio=PORTFOLIO, budget="1h", calibration=64)
    chosen = {purpose: found.trial.label for purpose, found in advice.recommendations.items()}
    assert {purpose: found.trial.label for purpose, found in other.recommendations.items()} == chosen
    assert all(found.tested["accuracy"] < 0.2 for found in other.recommendations.values())


def test_it_goes_on_where_it_stopped(mlp, digits_as_vectors, results, advice, monkeypatch):
    training, test = digits_as_vectors
    monkeypatch.setattr(measuring, "golden_trace", None)  # nothing may be measured again
    monkeypatch.setattr("spikec.advising.bench.deploy", None)
    again = tc.advise(mlp, *training, test=test, portfolio=PORTFOLIO, budget="1h", calibration=64, out=results)
    assert again.rows == advice.rows
    assert again.recommendations == advice.recommendations


def test_other_weights_or_images_are_measured_anew(mlp, digits_as_vectors, results, advice):
    training, test = digits_as_vectors
    before = len(list((results / "runs").iterdir()))
    portfolio = [_line("error-free", 6)]
    settings = {"portfolio": portfolio, "budget": "1h", "calibration": 64, "limit": 20}
    tc.advise(mlp, training[0], training[1][::-1].copy(), test=test, out=results, **settings)
    middle = len(list((results / "runs").iterdir()))
    changed = nn.Sequential(*mlp, nn.Linear(10, 10)).eval()
    tc.advise(changed, *training, test=test, out=results, **settings)
    assert before < middle < len(list((results / "runs").iterdir()))


def test_text_and_picture_say_what_was_measured_on_what(advice):
    text = str(advice)
    assert "Chosen on training images that calibrate nothing" in text
    assert "which decided nothing" in text
    assert "200 test images" in text
    assert "srp T=4: refused" in text
    assert "* " in text
    svg = advice.svg()
    assert svg.startswith("<svg xmlns")
    assert svg.count('class="ring"') == 6  # three recommendations in two panels
    assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_the_page_stands_in_a_browser(advice, browser, tmp_path):
    path = tmp_path / "advice.html"
    path.write_text(advice.html(), encoding="utf-8")
    for width in (390, 768, 1280):
        browser.open(path, width)
        assert browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert (browser.complaints, browser.requests) == ([], [])
    assert browser.run("document.querySelectorAll('circle.ring').length") == 6
    text = browser.run("document.body.textContent")
    for row in advice.rows:
        assert row.trial.label in text
    for found in advice.recommendations.values():
        assert found.trial.label in text


def test_json_is_what_the_schema_says(advice):
    document = json.loads(json.dumps(advice.to_json(), allow_nan=False))
    assert list(errors(SCHEMA, document)) == []
    states = {each["label"]: each["state"] for each in document["deployments"]}
    assert states["srp T=4"] == "refused"
    document["deployments"][0]["held_out"]["accuracy"] = 1.5
    document["best"] = 3
    assert len(list(errors(SCHEMA, document))) == 2


def test_a_short_budget_still_gives_an_answer(mlp, digits_as_vectors, monkeypatch):
    """On a clock that goes on by 50 ms each time somebody looks."""
    training, _ = digits_as_vectors
    ticks = itertools.count()
    monkeypatch.setattr("spikec.advising.budget.time", SimpleNamespace(monotonic=lambda: next(ticks) / 20))
    found = tc.advise(mlp, *training, budget="0.5s", calibration=64, limit=20)
    assert found.recommendations
    assert found.spent < 5
    assert any("not tried: no time left" in row.why for row in found.rows)
    assert found.apart
    assert "kept apart" in str(found)
    assert "-o FOLDER keeps results" in str(found)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": np.zeros(600)}, "labels must be one whole number"),
        ({"labels": np.zeros((600, 2), dtype=int)}, "labels must be one whole number"),
        ({"labels": {"a": 0, "b": 1}}, r"labels are given by output \(a, b\): give a network with one output"),
        ({"labels": np.zeros(7, dtype=int)}, "600 images but labels"),
        ({"labels": np.full(600, 11)}, "knows 10 classes"),
        ({"images": np.array(["a"] * 600)}, "images must be numbers"),
        ({"chip": "loihi3"}, "unknown chip 'loihi3', did you mean 'loihi2'"),
        ({"budget": "soon"}, "is not a time"),
        ({"budget": 1e-6}, "no time: the budget"),
        ({"first": 60}, "too few"),
        ({"first": 1}, "too few"),
        ({"model": "digits-cnn"}, "expected a torch.nn.Module, got str"),
        ({"images": np.where(np.eye(600, 64) > 0, np.nan, 1.0)}, "images holds values that are not finite"),
        ({"images": [[1.0], [1.0, 2.0]]}, "images are no array"),
        ({"test": (np.zeros((40, 9)), np.zeros(40, int))}, "training images are of 64, test images of 9"),
        ({"test": (np.full((40, 64), np.inf), np.zeros(40, int))}, "not finite"),
        ({"bitz": 4}, "advise: unknown 'bitz', did you mean 'bits'"),
        ({"bits": 9}, "advise: bits must be a whole number between 2 and 8, not 9"),
        ({"override": "a=4"}, "advise: override must be names and their values"),
        ({"calibration": 0}, "calibration must be a whole number of at least 1"),
        ({"seed": "a"}, "seed must be a whole number"),
        ({"limit": 0}, "limit must be a whole number of at least 1"),
        ({"tolerance": -1}, "tolerance is a number of points between 0 and 100, not -1"),
        ({"tolerance": "little"}, "tolerance must be a number"),
        ({"portfolio": []}, "portfolio: it has no line"),
        ({"portfolio": ["qcfs"]}, "portfolio, line 1: expected fields of a configuration, not 'qcfs'"),
        ({"portfolio": [{"method": "qfcs"}]}, "portfolio, line 1: method: unknown 'qfcs'"),
        ({"portfolio": [{"steps": 4}]}, "portfolio, line 1: unknown 'steps'"),
        ({"portfolio": [_line("srp", 4)]}, "no deployment of .* could be measured"),
    ],
)
def test_what_it_refuses(mlp, digits_as_vectors, change, says):
    images, labels = digits_as_vectors[0]
    first = change.pop("first", None)
    given = {"images": images[:first], "labels": labels[:first], "budget": "1h", "portfolio": PORTFOLIO[:1], **change}
    with pytest.raises(tc.ToolchainError, match=says):
        tc.advise(**{"model": mlp, **given})


def test_a_network_with_one_output_has_no_accuracy(digits_as_vectors):
    images, labels = digits_as_vectors[0]
    model = nn.Sequential(nn.Linear(64, 10), nn.ReLU(), nn.Linear(10, 1))
    with pytest.raises(tc.DataError, match="the network has one output"):
        tc.advise(model, images, 0 * labels, portfolio=PORTFOLIO[:1])


def test_a_network_that_cannot_be_converted_is_refused_at_once(digits_as_vectors):
    images, labels = digits_as_vectors[0]
    model = nn.Sequential(nn.Linear(64, 10), nn.Tanh(), nn.Linear(10, 10))
    with pytest.raises(tc.UnsupportedOperation, match="tanh"):
        tc.advise(model, images, labels)


def test_a_chip_without_signed_spikes_or_payloads_gets_what_fits(mlp, digits_as_vectors):
    training, _ = digits_as_vectors
    portfolio = [_line("graded", 1, levels=15), _line("qcfs", 4), _line("error-compensation", 4)]
    found = tc.advise(mlp, *training, portfolio=portfolio, chip="loihi1", bits=3, budget="1h", limit=20)
    assert found.recommendations["streaming"].trial.configuration.method == "qcfs"
    assert found.rows[0].trial.configuration.format == "loihi1"
    assert "does not fit loihi1" in str(found)


def test_a_chip_with_one_threshold_per_layer_gets_calibration_that_it_can_hold(mlp, digits_as_vectors):
    training, _ = digits_as_vectors
    portfolio = [_line("qcfs", 4, {"calibrate": "full"}), _line("error-free", 4, {"calibrate": "light"})]
    found = tc.advise(mlp, *training, portfolio=portfolio, chip="loihi1", bits=3, budget="1h", limit=20)
    assert [row.why for row in found.rows] == ["", ""]
    assert [row.trial.given["calibrate"] for row in found.rows] == ["full,per=layer", "thresholds,shifts=channel"]


def test_it_shows_itself_in_a_line_a_table_and_a_frame(advice):
    """The table has a line for each deployment that was measured, the frame one for each of the portfolio."""
    best = advice.best
    assert repr(advice) == f"<Advice: {advice.model} on {advice.data}, for {advice.title}: take {best.trial.label}>"
    shown = ElementTree.fromstring(f"<div>{advice._repr_html_()}</div>")
    lines = [["".join(cell.itertext()) for cell in row.iter("td")] for row in shown.iter("tr")]
    lines = [line for line in lines if line]
    measured = [row for row in advice.rows if row.result is not None and row.result["state"] == "done"]
    assert {line[1] for line in lines} == {row.trial.label for row in measured}
    assert len(lines) == len(measured)
    for line in lines:
        (row,) = (row for row in measured if row.trial.label == line[1])
        assert line[0] == ("*" if row.best else "")
        purposes = {p for p, found in advice.recommendations.items() if found.trial.id == row.trial.id}
        assert line[-1] in (purposes or {""})
    pytest.importorskip("pandas")
    frame = advice.to_pandas()
    assert list(frame["deployment"]) == [row.trial.label for row in advice.rows]
    for (_, line), row in zip(frame.iterrows(), advice.rows, strict=True):
        result = row.result
        assert line["state"] == ("untried" if result is None else result["state"])
        assert line["timesteps"] == row.trial.configuration.timesteps
        if result is not None and result["state"] == "done":
            assert line["accuracy"] == result["correct"] / result["images"]
            assert line["energy_p5_joule"] <= line["energy_p50_joule"] <= line["energy_p95_joule"]
            assert line["latency_steps"] == result["latency_steps"]
    assert frame["recommended"].notna().sum() == len({r.trial.id for r in advice.recommendations.values()})


def test_advice_without_a_recommendation_says_so(advice):
    nothing = replace(advice, recommendations={}, rows=tuple(replace(row, result=None) for row in advice.rows))
    assert repr(nothing).endswith("nothing could be measured>")
    assert f"{len(advice.rows)} more without a result" in nothing._repr_html_()
    with pytest.raises(tc.ToolchainError, match="nothing to recommend"):
        nothing.recommendation()


def test_the_network_stays_as_it_is(mlp, digits_as_vectors):
    before = {name: value.clone() for name, value in mlp.state_dict().items()}
    tc.advise(mlp, *digits_as_vectors[0], portfolio=PORTFOLIO[:1], budget="1h", calibration=64, limit=20)
    assert all(torch.equal(value, before[name]) for name, value in mlp.state_dict().items())
    assert not mlp.training


@pytest.mark.parametrize(("lost", "suggested"), [(0.010, False), (0.011, True), (-0.02, False)])
def test_training_is_suggested_where_more_than_a_point_is_missing(made, lost, suggested):
    trial = trials_of(PORTFOLIO[:1], {"model": "m.py:net", "data": "npz:x.npz"})[0]
    result = made("m.py:net", "lossless", lost=0).result
    result["paired"].update(lost=round(1000 * max(lost, 0)), gained=round(1000 * max(-lost, 0)))
    race = SimpleNamespace(standing={trial.id: result}, tested={trial.id: result})
    found = _recommended(race, "lossless", trial, named=True)
    assert (found.train is not None) == (found.gain is not None) == suggested
    assert found.train is None or found.train.startswith("spikec train m.py:net ")


def test_a_star_is_what_no_other_for_the_purpose_beats(made):
    """In loss, latency and energy; what is worse in one of them and better in another stays."""
    found = [
        made("best", lost=1, steps=10, joule=1.0),
        made("slower", lost=1, steps=11, joule=1.0),
        made("dearer", lost=1, steps=10, joule=1.1),
        made("lossier", lost=2, steps=10, joule=1.0),
        made("faster, but dearer", lost=1, steps=9, joule=2.0),
        made("cheaper, but lossier", lost=9, steps=10, joule=0.5),
        made("for another purpose", "lossless", lost=2, steps=99, joule=9.0),
    ]
    standing = {each.trial.id: each.result for each in found}
    rows = _rows(SimpleNamespace(trials=[each.trial for each in found], standing=standing, untried={}))
    assert [row.best for row in rows] == [True, False, False, False, True, True, True]
