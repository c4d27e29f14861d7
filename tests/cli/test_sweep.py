"""``spikec sweep``: tables, documents and exit codes."""

import csv
import json

import pytest

GRID = """
[defaults]
limit = 20
energy = ["loihi2"]

[grid]
model = "digits-cnn"
method = ["qcfs", "error-free"]
schedule = "pipelined"
timesteps = 2

[[run]]
model = "mine.py:net"
"""


@pytest.fixture
def grid(spikec, tmp_path):
    """A grid of which one run is done, one refused and one fails while ``mine.py`` is broken."""
    (tmp_path / "mine.py").write_text(
        "import pathlib, spikec.models as models\n\ndef net():\n"
        "    assert pathlib.Path('right').exists(), 'it is\\nbroken'\n    return models.pretrained('digits-cnn')\n"
    )
    (tmp_path / "grid.toml").write_text(GRID)
    return tmp_path / "grid.toml"


def test_runs_are_kept_and_failed_ones_retried(spikec, grid, tmp_path):
    first = spikec("sweep", grid, "-o", "results", "--jobs", 1, "--json")
    assert first.code == 1
    assert first.json["states"] == {"done": 1, "refused": 1, "failed": 1, "missing": 0}
    assert [run["state"] for run in first.json["runs"]] == ["done", "refused", "failed"]
    done, refused, failed = first.json["runs"]
    assert 0 < done["energy"]["loihi2"]["p5"] <= done["energy"]["loihi2"]["p95"]
    assert "layerwise" in refused["error"]["message"]
    assert "broken" in failed["error"]["message"]

    path = tmp_path / "results" / "runs" / f"{done['id']}.json"
    path.write_text(path.read_text()[:-100])
    (tmp_path / "right").write_text("")
    again = spikec("sweep", grid, "-o", "results", "--jobs", 1, "--retry-failed")
    assert again.code == 0
    assert f"{done['id']}.json is damaged: computed again" in again.err
    assert "3 runs: 2 done, 1 refused; 2 of them now" in again.out
    assert "refused: ErrorFree runs with" in again.out
    assert "loihi2, at least" in again.out  # not everything is priced there
    assert json.loads(path.read_text())["correct"] == done["correct"]
    with (tmp_path / "results" / "summary.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert len(rows) == 3
    row = rows[done["id"]]
    assert (float(row["accuracy"]), row["method"], row["timesteps"]) == (done["accuracy"], "qcfs", "2")
    assert float(row["loihi2_p50_joule"]) == done["energy"]["loihi2"]["p50"]
    assert row["loihi2_lower_bound"] == "True"
    assert rows[refused["id"]]["accuracy"] == ""
    assert "layerwise" in rows[refused["id"]]["error"]


def test_dry_run_lists_and_writes_nothing(spikec, grid, tmp_path):
    before = sorted(tmp_path.iterdir())
    result = spikec("sweep", grid, "-o", "results", "--dry-run")
    assert result.code == 0
    assert "3 runs, 2 missing, 1 refused; 0 excluded" in result.out
    assert "digits-cnn error-free T=2 pipelined int8/layer: ErrorFree runs with" in result.out
    document = spikec("sweep", grid, "-o", "results", "--dry-run", "--json", "--limit", 3).json
    assert [run["configuration"]["limit"] for run in document["runs"]] == [3, 3, 3]
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("absent.toml", "-o", "r"), 1, "absent.toml"),
        (("grid.toml",), 1, "-o/--out"),
        (("grid.toml", "-o", "mine.py"), 1, "mine.py is a file, give a folder"),
        (("grid.toml", "-o", "r", "--no-wait"), 1, "belong to --executor slurm"),
        (("grid.toml", "-o", "r", "--executor", "slrm"), 1, "did you mean 'slurm'?"),
        (("grid.toml", "-o", "r", "--executor", "slurm", "--slurm-option", "=3"), 1, "KEY=VALUE"),
        (("grid.toml", "-o", "r", "--executor", "slurm"), 4, "SLURM is not here"),
        (("wrong.toml", "-o", "r"), 1, "2 mistakes"),
    ],
)
def test_refusals(spikec, grid, tmp_path, monkeypatch, words, code, says):
    (tmp_path / "wrong.toml").write_text('[grid]\nmodel = "digits-cn"\nbits = 1\n')
    monkeypatch.setenv("PATH", str(tmp_path))
    result = spikec("sweep", *words)
    assert result.code == code
    assert says in result.err
    assert len(result.err.strip().splitlines()) == (3 if "mistakes" in says else 1)  # one a line
    assert not (tmp_path / "r").exists()
