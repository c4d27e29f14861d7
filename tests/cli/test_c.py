"""``spikec c``: its files and refusals; ``--target c`` in ``run`` and ``verify``."""

import os
import subprocess

import numpy as np
import pytest

from spikec.ir import build, save
from spikec.targets.c import CTarget, compilers

needs_compiler = pytest.mark.skipif(CTarget.available() is not None, reason="there is no C compiler")


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPIKEC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(compilers.importlib.util, "find_spec", lambda name: None)


def test_writes_both_files(spikec, net, tmp_path):
    result = spikec("c", net, "-o", "made/here", "--name", "digits")
    assert result.code == 0, result.err
    header, body = tmp_path / "made/here/digits.h", tmp_path / "made/here/digits.c"
    assert sorted(path.name for path in header.parent.iterdir()) == ["digits.c", "digits.h"]
    assert "int32_t digits_run(digits_state *s, const digits_in *x);" in header.read_text()
    assert '#include "digits.h"' in body.read_text()
    for said in ("made/here/digits.h and made/here/digits.c", "cc -std=c99", "--target c", "bytes"):
        assert said in result.out


def test_json(spikec, net):
    document = spikec("c", net, "-o", ".", "--json").json
    assert (document["command"], document["name"], document["source"]) == ("c", "net", "net.c")
    assert document["constant_bytes"] == sum(document["constants"].values()) > 0
    assert document["state_bytes"] >= sum(document["state"].values())
    assert document["rates"] is None
    assert document["steps"] == 3


def test_rates_are_measured(spikec, net):
    document = spikec("c", net, "-o", ".", "--data", "digits", "--limit", 20, "--json").json
    assert document["data"] == "digits"
    assert list(document["rates"]) == ["fire"]
    assert 0 < document["rates"]["fire"] < 1


def test_cost_of_the_worst_image_and_of_test_images(spikec, net):
    worst, mean = (
        spikec("c", net, "-o", ".", "--cost", *more, "--json").json["cost"]
        for more in ((), ("--data", "digits", "--limit", 20))
    )
    assert (worst["images"], mean["images"]) == (None, 20)
    assert 0 < mean["per_image"]["operations"] <= worst["per_image"]["operations"]
    assert worst["cycles"]["low"] < worst["cycles"]["high"]
    result = spikec("c", net, "-o", ".", "--cost")
    assert f"{worst['per_image']['loaded']:,.0f} bytes read" in result.out
    assert "MHz" in result.out


@needs_compiler
def test_the_files_compile_without_warnings(spikec, net, tmp_path):
    assert spikec("c", net, "-o", ".").code == 0
    command = [
        *compilers.find_compiler().command,
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-c",
        "net.c",
        "-o",
        "net.o",
    ]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stderr == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--name", "int"), "'int' is no name that every C and C++ compiler takes; 'int_net' is one"),
        (("--early-exit", "soon"), "write margin, or margin:X"),
        (("--longest", 5), "--longest is for networks that read sequences"),
        (("--data-root", "."), "give --data too"),
        (("--limit", 0), "at least 1"),
        (("--data", "nonsense"), "nonsense"),
    ],
)
def test_refusals(spikec, net, tmp_path, words, says):
    result = spikec("c", net, "-o", "out", *words)
    assert result.code == 1
    assert says in result.err
    assert result.err.count("\n") == 1
    assert not list(tmp_path.glob("out/*"))


def test_places_that_cannot_be_written(spikec, net, tmp_path):
    (tmp_path / "file").touch()
    result = spikec("c", net, "-o", "file")
    assert result.code == 1
    assert "is a file, give a folder" in result.err
    os.makedirs(tmp_path / "out/net.c")
    result = spikec("c", net, "-o", "out")
    assert result.code == 1
    assert "out/net.c is a directory" in result.err


def test_the_file_itself_is_not_lost(spikec, digits_graph, tmp_path):
    """A deployment may be called anything; its own C must not replace it."""
    path = save(build(digits_graph()), tmp_path / "net.nir").rename(tmp_path / "net.c")
    kept = path.read_bytes()
    result = spikec("c", "net.c", "-o", ".")
    assert result.code == 1
    assert "would lose" in result.err
    assert path.read_bytes() == kept


def test_no_file(spikec):
    result = spikec("c", "none.nir", "-o", "out")
    assert result.code == 1
    assert "no file none.nir" in result.err


@needs_compiler
def test_run_and_verify(spikec, net, tmp_path):
    golden = spikec("run", net, "--limit", 60, "-o", "golden.npz", "--json").json
    found = spikec("run", net, "--target", "c", "--limit", 60, "--threads", 2, "-o", "c.npz", "--json").json
    for key in ("accuracy", "accuracy_by_timestep", "spikes_per_image", "quality", "coding"):
        assert found[key] == golden[key], key
    assert "-std=c99" in found["target_info"]["flags"]
    with np.load(tmp_path / "golden.npz") as expected, np.load(tmp_path / "c.npz") as got:
        assert set(expected) == set(got)
        for name in expected:
            np.testing.assert_array_equal(expected[name], got[name])
    result = spikec("verify", net, "--target", "c", "--limit", 20, "--threads", 1)
    assert (result.code, result.err) == (0, "")
    assert "20 images, 1 layers, 3 steps: identical" in result.out


@needs_compiler
def test_early_exit(spikec, net):
    words = ("run", net, "--limit", 60, "--early-exit", "margin:0.5", "--json")
    golden, found = spikec(*words).json, spikec(*words, "--target", "c").json
    assert found["mean_steps"] == golden["mean_steps"] < 3
    assert found["correct"] == golden["correct"]
    refused = spikec("run", net, "--target", "c", "--early-exit", "margin", "--metric", "top-5")
    assert refused.code == 1
    assert "--early-exit stops an image" in refused.err


def test_without_a_compiler(spikec, net, no_compiler):
    for words in (("run", net), ("verify", net), ("doctor", "--quick")):
        result = spikec(*words, "--target", "c")
        assert result.code == 4
        said = result.err + result.out
        assert "there is no C compiler" in said
        assert "pip install 'spikec[c]'" in said
    assert spikec("c", net, "-o", ".").code == 0  # which only writes


@needs_compiler
def test_doctor(spikec):
    document = spikec("doctor", "--quick", "--json").json
    assert document["targets"]["c"] == "works"
    assert document["c_compiler"] == compilers.find_compiler().version


def test_a_compiler_that_is_named_and_is_none(spikec, net):
    result = spikec("run", net, "--target", "c", "--limit", 2, "--compiler", "nowhere-cc")
    assert result.code == 4
    assert "the compiler is 'nowhere-cc', which is no program" in result.err
