"""``spikec verify``: exit code 3 and the first difference, 4 where the target is missing."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

import spikec.targets.registry
from spikec.evidence import accuracy
from spikec.targets.golden import GoldenTarget
from spikec.targets.lava import LavaTarget


class _WrongTarget(GoldenTarget):
    """Counts a spike too many in the image after ``start`` images."""

    start = 0
    seen = 0

    def compile(self, graph):
        golden, wrong = super().compile(graph), self

        def run(images, *, record=None):
            trace = golden.run(images, record=record)
            index = wrong.start - wrong.seen
            wrong.seen += len(images)
            if not 0 <= index < len(images):
                return trace
            (layer,) = trace.counts
            counts = trace.counts[layer].copy()
            counts[index] += 1
            return replace(trace, counts={layer: counts}, target="wrong")

        return SimpleNamespace(run=run)


class _AbsentTarget(GoldenTarget):
    @classmethod
    def available(cls):
        return "absent is not installed: pip install absent"


@pytest.fixture(autouse=True)
def more_targets(monkeypatch):
    entries = [
        SimpleNamespace(name=name, load=lambda kind=kind: kind)
        for name, kind in (("golden", GoldenTarget), ("wrong", _WrongTarget), ("absent", _AbsentTarget))
    ]
    monkeypatch.setattr(spikec.targets.registry, "entry_points", lambda group: entries)


def test_identical(spikec, net):
    result = spikec("verify", net, "--target", "golden", "--limit", 12)
    assert result.code == 0
    first, identity = result.out.splitlines()
    assert first == "12 images, 1 layers, 3 steps: identical"
    assert identity.startswith("deployment sha256 ")
    coding = spikec("verify", net, "--target", "golden", "--limit", 12, "--json").json["coding"]
    assert (coding["values"], coding["clipped"]) == (12 * 64, 0)


def test_first_difference(spikec, net, monkeypatch):
    """The image number counts from the first image of the data, not of the batch."""
    monkeypatch.setattr(accuracy, "_SLOW_BATCH", 5)
    monkeypatch.setattr(_WrongTarget, "start", 8)
    result = spikec("verify", net, "--target", "wrong", "--limit", 12)
    assert result.code == 3
    assert "fire: first difference at image 8" in result.out
    document = spikec("verify", net, "--target", "wrong", "--limit", 12, "--json").json
    assert document["identical"] is False
    assert "image 8" in document["difference"]


def test_missing_target(spikec, net):
    result = spikec("verify", net, "--target", "absent")
    assert result.code == 4
    assert "pip install absent" in result.err
    assert spikec("verify", "absent.nir", "--target", "absent").code == 1  # before software is installed for it
    assert spikec("run", "absent.nir", "--target", "absent").code == 1
    assert spikec("doctor", "--target", "absent").code == 4
    assert spikec("doctor").code == 0


def test_doctor_finds_a_target_that_computes_something_else(spikec):
    states = spikec("doctor", "--json").json["targets"]
    assert states["golden"] == "works"
    assert "not installed" in states["absent"]
    assert "differs from the golden model" in states["wrong"]


@pytest.mark.lava
@pytest.mark.skipif(LavaTarget.available() is not None, reason="Lava is not installed")
def test_lava(spikec, net, monkeypatch):
    monkeypatch.undo()
    result = spikec("verify", net, "--limit", 3)
    assert result.code == 0, result.err
    assert "3 images, 1 layers, 3 steps: identical" in result.out


@pytest.mark.lava
@pytest.mark.thorough
@pytest.mark.skipif(LavaTarget.available() is not None, reason="Lava is not installed")
def test_lava_options(spikec, net, monkeypatch, tmp_path):
    """All that changes how Lava runs; the spikes stay, and the speed is told."""
    monkeypatch.undo()
    words = ("--limit", 2, "--input", "graded", "--stock", "--workers", 2, "--chunk", 1, "--resume", tmp_path / "kept")
    document = spikec("verify", net, *words, "--json").json
    assert document["identical"] is True
    assert document["ms_per_step"] > 0
    assert document["images_per_second"] > 0
    assert {k: document["target_info"][k] for k in ("models", "input")} == {"models": "stock", "input": "graded"}
    assert len(list((tmp_path / "kept").iterdir())) == 2
    result = spikec("run", net, "--target", "lava", "--limit", 2, "--neuron", "atrlif")
    assert result.code == 0, result.err
    assert "ms per Lava step" in result.out
    assert "Lava's own neurons: none" in result.out
    assert "ours: fire: its input can add up to 417561" in result.out


@pytest.mark.parametrize("words", [("--workers", 2), ("--stock",), ("--resume", "kept")])
def test_lava_options_are_refused_elsewhere(spikec, net, monkeypatch, words):
    monkeypatch.undo()
    result = spikec("verify", net, "--target", "golden", *words)
    assert result.code == 1
    assert f"{words[0]} is an option of --target lava, not of golden" in result.err
