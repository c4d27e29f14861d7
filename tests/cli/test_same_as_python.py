"""The command line and Python give the same numbers where nobody says otherwise."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

import spikec as tc
from spikec import defaults
from spikec.energy import profile_names
from spikec.models import pretrained
from spikec.models.data import open_dataset

IMAGES = 40


@pytest.fixture(scope="module")
def made():
    """The network, the images of ``spikec export``, and what README.md makes of them."""
    model = pretrained("digits-cnn")
    images = open_dataset("digits", split="train").draw(defaults.CALIBRATION_IMAGES, defaults.SEED).images()
    graph = tc.lower(tc.convert(model, tc.QCFS(timesteps=4), example=images))
    return model, images, graph


@pytest.fixture
def file(made, tmp_path):
    return tc.save(made[2], tmp_path / "net.nir")


@pytest.fixture(scope="module")
def data():
    return open_dataset("digits", split="test")


def same(document, other):
    """JSON has no tuples and no numpy numbers."""
    return document == json.loads(json.dumps(other, default=lambda x: x.tolist()))


def test_export_and_fidelity(spikec, made):
    model, images, graph = made
    said = spikec("export", "digits-cnn", "--measure", 0, "--fidelity", "-o", "made.nir", "--json").json
    assert said["deployment_sha256"] == tc.decode(graph).deployment_sha256
    assert tc.decode(tc.load("made.nir")).deployment_sha256 == said["deployment_sha256"]
    assert same(said["fidelity"], asdict(tc.fidelity(model, graph, images)))


def test_deployments_of_methods_differ_where_their_weights_do_not(made):
    model, images, _ = made
    methods = (tc.QCFS(timesteps=4), tc.OffsetSpikes(timesteps=4), tc.ErrorCompensation(timesteps=4))
    graphs = [tc.decode(tc.lower(tc.convert(model, method, example=images[:8]))) for method in methods]
    assert len({graph.content_sha256 for graph in graphs}) == 1
    assert len({graph.deployment_sha256 for graph in graphs}) == 3


@pytest.mark.thorough
def test_run_and_verify(spikec, made, file, data):
    said = spikec("run", file, "--data", "digits", "--json").json
    trace = tc.simulate(made[2], data.images())
    assert said["correct"] == int((trace.predictions == data.labels).sum())
    assert said["spikes_per_image"] == {name: float(events.sum() / len(data)) for name, events in trace.events.items()}
    (rating,) = tc.quality(trace.logits, data.labels)
    assert said["accuracy"] == rating.quality.value
    assert said["interval"] == pytest.approx(rating.quality.interval)
    checked = spikec("verify", file, "--target", "c", "--data", "digits", "--json").json
    found = tc.crosscheck(made[2], "c", data.images()[: defaults.COMPARED_IMAGES])
    assert {name: checked[name] for name in found.to_json()} == found.to_json()


def _estimated(document):
    return {name: document[name] for name in ("total", "energy", "time", "mapping", "sampling", "first_layer", "model")}


@pytest.mark.parametrize("profile", sorted(profile_names()))
def test_energy(spikec, made, file, data, profile):
    said = spikec("energy", file, "--data", "digits", "--limit", IMAGES, "--profile", profile, "--json").json
    found = tc.estimate(made[2], tc.simulate(made[2], data.images()[:IMAGES]), profile=profile)
    assert _estimated(said) == _estimated(json.loads(json.dumps(found.to_json())))
    if profile != "cmos45":
        placed = tc.place(made[2], profile)
        assert found.cores == dict(placed.cores_of), "the estimate is of the cores that spikec map shows"


def test_energy_of_what_cannot_be_placed_says_so(made, data, monkeypatch):
    def refuse(*_, **__):
        raise tc.DoesNotFit("one neuron is too large")

    _, _, graph = made
    trace = tc.simulate(graph, data.images()[:5])
    with monkeypatch.context() as patched:
        patched.setattr("spikec.targets.loihi.Loihi2.place", refuse)
        found = tc.estimate(graph, trace)
        assert "one neuron is too large" in found.assumed[0]
        with pytest.raises(tc.DoesNotFit):
            tc.estimate(graph, trace, placement="required")
    assert found.total == tc.estimate(graph, trace, placement="capacity").total != tc.estimate(graph, trace).total
    with pytest.raises(tc.ToolchainError, match="has no cores to place on"):
        tc.estimate(graph, trace, "cmos45", placement="required")
    with pytest.raises(tc.DataError, match="placement is 'none'"):
        tc.estimate(graph, trace, placement="none")


def test_check_map_and_ranges(spikec, made, file):
    _, _, graph = made
    said = spikec("check", file, "--json").json
    assert same(said["violations"], [asdict(violation) for violation in tc.check(graph)])
    placed, placement = spikec("map", file, "--json").json, tc.place(graph)
    assert placed["cores_of"] == dict(placement.cores_of)
    assert [core["usage"] for core in placed["cores"]] == [
        {name: list(pair) for name, pair in core.usage.items()} for core in placement.cores
    ]
    told = spikec("ranges", file, "--json").json["layers"]
    assert same(told, [{**asdict(layer), "margin": layer.margin} for layer in tc.check_ranges(graph)])


@pytest.mark.thorough
def test_report_sweep_and_certificate(spikec, made, file, data):
    """A page says what ``energy`` and ``certify`` say, and a sweep what ``export`` and ``energy`` say."""
    _, _, graph = made
    said = spikec("report", file, "--data", "digits", "--limit", IMAGES, "--verify", 0, "--json").json
    trace = tc.simulate(graph, data.images()[:IMAGES])
    assert {each["profile"] for each in said["energies"]} == set(profile_names())
    for each in said["energies"]:
        found = tc.estimate(graph, trace, each["profile"])
        assert each["total"] == asdict(found.total)
        assert each["cores"] == (found.total_cores or None)
    certificate = tc.certify(graph, data.images()[:IMAGES])
    assert said["certificate"]["images"] == certificate.images
    assert said["certificate"]["lossless"] == certificate.lossless
    assert [layer["differing"] for layer in said["certificate"]["layers"]] == [x.differing for x in certificate.layers]
    assert said["provenance"]["deployment_sha256"] == tc.decode(graph).deployment_sha256
    run = {"model": "digits-cnn", "method": "qcfs", "timesteps": 4, "energy": ["loihi2"], "limit": IMAGES}
    (result,) = tc.sweep({"grid": run}, "results", jobs=1).results.values()
    assert result["deployment_sha256"] == said["provenance"]["deployment_sha256"]
    total = tc.estimate(graph, trace).total
    assert {name: result["energy"]["loihi2"][name] for name in asdict(total)} == asdict(total)


def test_the_demo_makes_what_export_makes(made, spikec, monkeypatch):
    monkeypatch.setattr("spikec.reporting.report", lambda *_, **__: pytest.skip("no page is needed"))
    monkeypatch.setattr("spikec.targets.lava.LavaTarget.available", classmethod(lambda _: "not needed"))
    with pytest.raises(pytest.skip.Exception):
        spikec("demo")
    found = tc.decode(tc.load("spikec-demo/digits-cnn.nir"))
    assert found.deployment_sha256 == tc.decode(made[2]).deployment_sha256


def test_defaults_of_commands_are_those_of_the_functions():
    """What both sides have by the same name, written once."""
    from inspect import signature

    from spikec.cli import build_parser
    from spikec.deployment import fill

    commands = build_parser()
    for command, function, names in (
        ("advise", tc.advise, ("chip", "budget", "tolerance", "calibration", "seed")),
        ("check", tc.check, ("target",)),
        ("map", tc.place, ("target",)),
        ("energy", tc.estimate, ("profile",)),
        (None, tc.Int8, ("per", "bits", "scale", "rounding")),
        (None, tc.lower, ("format", "force")),
        (None, tc.convert, ("calibrate",)),
    ):
        given = commands.parse_args([command, "net.nir"]) if command else fill({"model": "digits-cnn"})[0]
        stated = signature(function).parameters
        for name in names:
            assert getattr(given, name) == stated[name].default, f"{command or 'export'} --{name}"
