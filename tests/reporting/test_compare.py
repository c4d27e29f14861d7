"""``spikec report diff``: what changed between two reports."""

from __future__ import annotations

import copy
import json
import os

import pytest

from spikec.cli import main
from spikec.errors import DataError
from spikec.reporting.compare import compare_reports, read_report


@pytest.fixture
def documents(made):
    one = json.loads(json.dumps(made.to_json()))
    return one, copy.deepcopy(one)


def test_equal_reports_have_no_difference(documents):
    assert compare_reports(*documents) == []


def test_a_report_from_before_classes_had_names_is_compared(tmp_path, documents, capsys):
    """In either place; that one has names is no difference in what was measured."""
    old, new = documents
    assert old["confusion"].pop("names")
    assert compare_reports(old, new) == compare_reports(new, old) == []
    new["confusion"]["rows"][1]["right"]["value"] = 0.0
    (change,) = compare_reports(old, new)
    assert (change.name, change.b) == ("class 1", 0.0)
    for name, document in (("old", old), ("new", new)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    assert main(["report", "diff", str(tmp_path / "old.json"), str(tmp_path / "new.json")]) == 0
    assert "class 1" in capsys.readouterr().out


def test_every_part_is_compared(documents):
    a, b = documents
    b["network"]["timesteps"] = 8
    b["accuracy"]["snn"] = {"count": 1, "total": 40, "value": 0.025, "low": 0.004, "high": 0.129}
    b["confusion"]["rows"][0]["right"]["value"] = 0.0
    b["energies"][0]["total"]["p50"] *= 2
    b["fits"].pop(0)
    b["populations"][0]["dead"] += 3
    b["verification"] = None
    b["provenance"]["versions"]["torch"] = "9"
    found = {(change.part, change.name): change for change in compare_reports(a, b)}
    profile, chip = a["energies"][0]["profile"], a["fits"][0]["target"]
    layer = a["populations"][0]["name"]
    assert {
        ("network", "timesteps"),
        ("accuracy", "integer network"),
        ("accuracy", "class 0"),
        ("energy", profile),
        ("fit", f"{chip}, cores"),
        ("layers", f"{layer}, dead"),
        ("verification", "identical"),
        ("provenance", "torch"),
    } <= set(found)
    assert found["energy", profile].note == "2.00 times"
    assert found["accuracy", "integer network"].note.endswith("intervals lie apart")
    assert found["fit", f"{chip}, cores"].b is None


def test_what_was_deployed_and_all_that_was_measured_is_compared(documents):
    a, b = documents
    layer, profile, chip = a["populations"][0]["name"], a["energies"][0]["profile"], a["fits"][1]["target"]
    other = {"measure": "mae", "value": 0.5}
    b["title"], b["network"]["weights"] = "another", 1
    b["accuracy"]["snn"]["value"] -= 0.01  # the intervals stay, and so overlap
    b["curve"][0]["accuracy"]["value"] = 0.0
    a["quality"].append({**other, "value": 0.25})
    b["quality"].append(other)
    b["synops_per_image"] *= 3
    b["energies"] = b["energies"][1:]
    b["fits"][1]["violations"].append({"severity": "error"})
    b["populations"][0]["rate"] = 1.0
    b["verification"]["identical"] = True
    b["provenance"].update(command="spikec report b.nir", data_sha256="0" * 64)
    found = {(change.part, change.name): change for change in compare_reports(a, b)}
    assert set(found) == {
        ("about", "title"),
        ("network", "weights"),
        ("accuracy", "integer network"),
        ("accuracy", "after 1 steps"),
        ("quality", "mae"),
        ("work", "synops per image"),
        ("energy", profile),
        ("fit", f"{chip}, errors"),
        ("layers", f"{layer}, rate"),
        ("verification", "identical"),
        ("provenance", "command"),
        ("provenance", "data_sha256"),
    }
    assert found["accuracy", "integer network"].note == "-1.00 points, intervals overlap"
    assert found["work", "synops per image"].note == "3.00 times"
    assert (found["quality", "mae"].a, found["quality", "mae"].b) == (0.25, 0.5)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "spikec.report/2"}', "[" * 100_000])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"no report|no sound JSON"):
        read_report(path)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo.json")
    for path in (tmp_path / "fifo.json", "/dev/zero", tmp_path):
        with pytest.raises(DataError, match=r"is a (pipe|folder)"):
            read_report(path)


def test_a_document_that_lacks_a_part_is_refused(documents):
    a, b = documents
    del b["provenance"]["versions"]
    with pytest.raises(DataError, match="lacks"):
        compare_reports(a, b)


def test_the_command(tmp_path, made, documents, capsys):
    made.write(tmp_path / "a.html")
    documents[1]["images"] = 41
    (tmp_path / "b.json").write_text(json.dumps(documents[1]))
    words = ["report", "diff", str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert main(words) == 0
    assert "41" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    (change,) = json.loads(capsys.readouterr().out)["changes"]
    assert (change["a"], change["b"]) == (40, 41)
    assert main(["report", "diff", str(tmp_path / "a.html"), words[3]]) == 1
    assert "beside the page" in capsys.readouterr().err
