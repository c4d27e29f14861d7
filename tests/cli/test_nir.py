"""``spikec nir doctor``, ``repair`` and ``compare``: exit codes, documents, sentences."""

import nir
import pytest
from helpers.nir_files import conv_net, f32, lif_net, write

import spikec as tc


@pytest.fixture
def sound(tmp_path):
    return write(tmp_path / "sound.nir", *lif_net())


@pytest.fixture
def twice(tmp_path):
    """A file with an edge that appears twice, which repair corrects."""
    nodes, edges = lif_net()
    return write(tmp_path / "twice.nir", nodes, [*edges, ("input", "fc")])


@pytest.fixture
def wrong(tmp_path):
    """A file with an error that nothing corrects."""
    nodes, edges = lif_net()
    return write(tmp_path / "wrong.nir", {**nodes, "head": {"type": "Linear", "weight": f32(3, 4)}}, edges)


def test_doctor(spikec, sound, wrong):
    result = spikec("nir", "doctor", sound)
    assert result.code == 0
    assert "nir.read takes it" in result.out
    assert "dt_unknown" in result.out
    assert "spikec export" in result.out
    result = spikec("nir", "doctor", wrong)
    assert result.code == 1
    assert "shape_mismatch: lif -> head: lif gives (5,), head (Linear) wants (4,)" in result.out


def test_doctor_as_a_document(spikec, wrong):
    result = spikec("nir", "doctor", wrong, "--json")
    assert result.code == 1
    document = result.json
    assert document["command"] == "nir doctor"
    assert document["file"] == str(wrong)
    assert document["reads"] is False
    assert "head" in document["nir_says"]
    (error,) = (finding for finding in document["findings"] if finding["severity"] == "error")
    assert (error["rule"], error["where"], error["mendable"]) == ("shape_mismatch", "lif -> head", False)
    assert document["deploy"]["command"].startswith("spikec export")
    assert {"importer", "effect", "grade", "says", "nodes"} <= document["importers"][0].keys()


def test_repair(spikec, twice, tmp_path):
    assert spikec("nir", "doctor", twice).code == 1
    out = tmp_path / "out.nir"
    result = spikec("nir", "repair", twice, "-o", out)
    assert result.code == 0
    assert "input -> fc: kept once" in result.out
    nir.read(str(out))
    assert spikec("nir", "doctor", out).code == 0
    assert "nothing to correct" in spikec("nir", "repair", out, "-o", tmp_path / "again.nir").out


def test_repair_says_what_is_left(spikec, wrong, tmp_path):
    result = spikec("nir", "repair", wrong, "-o", tmp_path / "out.nir", "--json")
    assert result.code == 1
    assert [finding["rule"] for finding in result.json["left"]] == ["shape_mismatch"]
    assert result.json["reads"] is False


def test_repair_keeps_its_input(spikec, twice):
    content = twice.read_bytes()
    result = spikec("nir", "repair", twice, "-o", twice)
    assert result.code == 1
    assert "give -o another name, or --in-place" in result.err
    assert twice.read_bytes() == content
    assert spikec("nir", "repair", twice, "--in-place").code == 0
    assert twice.read_bytes() != content
    nir.read(str(twice))


def test_compare(spikec, sound, twice, tmp_path):
    nodes, edges = lif_net()
    names = {name: f"x.{name}" for name in nodes}
    renamed = write(tmp_path / "b.nir", {names[n]: nodes[n] for n in nodes}, [(names[a], names[b]) for a, b in edges])
    result = spikec("nir", "compare", sound, renamed)
    assert result.code == 0
    assert "same graph up to names" in result.out
    assert "lif = x.lif" in result.out
    nodes["fc"]["bias"] = nodes["fc"]["bias"] + 0.25
    other = write(tmp_path / "c.nir", nodes, edges)
    result = spikec("nir", "compare", sound, other, "--json")
    assert result.code == 3
    assert result.json["same"] is False
    assert "bias differs in 5 of 5 numbers" in result.json["differences"][0]
    assert spikec("nir", "compare", sound, other, "--tolerance", "0.3").code == 0
    assert spikec("nir", "compare", sound, twice).code == 3
    assert spikec("nir", "compare", sound, write(tmp_path / "d.nir", *conv_net())).code == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "ACTION"),
        (["docter", "a.nir"], "did you mean 'doctor'?"),
        (["doctor"], "FILE.nir"),
        (["doctor", "absent.nir"], "there is no file absent.nir"),
        (["doctor", "."], "is a folder"),
        (["doctor", "/dev/null"], "is a device"),
        (["repair", "absent.nir", "-o", "out.nir"], "there is no file absent.nir"),
        (["repair", "absent.nir", "--in-place"], "there is no file absent.nir"),
        (["repair", "absent.nir"], "-o/--out --in-place"),
        (["repair", "absent.nir", "-o", "x/out.nir"], "the directory x does not exist"),
        (["compare", "absent.nir"], "B.nir"),
        (["compare", "absent.nir", "other.nir"], "there is no file absent.nir"),
        (["compare", "a.nir", "b.nir", "--tolerance", "-1"], "at least 0"),
        (["compare", "a.nir", "b.nir", "--tolerance", "much"], "not a number"),
        (["compare", "a.nir", "b.nir", "--tolerence", "1"], "did you mean '--tolerance'?"),
    ],
)
def test_mistakes(spikec, words, sentence):
    result = spikec("nir", *words)
    assert result.code == 1
    assert sentence in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_a_file_that_is_no_graph(spikec, tmp_path):
    (tmp_path / "text.nir").write_text("hello")
    assert spikec("nir", "doctor", "text.nir").code == 1
    result = spikec("nir", "repair", "text.nir", "-o", "out.nir")
    assert result.code == 1
    assert "cannot be repaired" in result.err
    assert spikec("nir", "compare", "text.nir", "text.nir").code == 1


def test_python_returns_what_the_commands_print(spikec, sound, wrong, twice, tmp_path):
    assert spikec("nir", "doctor", wrong).out == f"{tc.nir.diagnose(wrong)}\n"
    said = spikec("nir", "repair", twice, "-o", tmp_path / "out.nir").out
    assert said.startswith(f"{tc.nir.repair(twice, tmp_path / 'out.nir')}\n")
    assert spikec("nir", "compare", sound, wrong).out == f"{tc.nir.compare(sound, wrong)}\n"
