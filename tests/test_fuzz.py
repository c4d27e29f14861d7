"""The benchmark of changed files: what it starts from is sound, and its files do not depend on how many share them."""

import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import fuzz, fuzz_containers, fuzz_watching
from spikec.guarded.arrays import read_arrays


class Recorder:
    """In the place of a worker: keeps what it should read."""

    def __init__(self):
        self.asked = []

    def read(self, reader, path):
        self.asked.append((reader, path.name, path.read_bytes()))
        return {"was": "refused", "text": ""}


def share(folder, first, of, count):
    return fuzz.Share("others", folder, folder / "found", count, 3, first, of, 5.0)


@pytest.mark.thorough
def test_shares_make_the_files_of_one_process(tmp_path):
    """Also: every file of the corpus is accepted before it is changed, else _shares raises."""
    args = SimpleNamespace(jobs=3, keep=tmp_path, seed=3, patience=5.0, start=0)
    parts = fuzz._shares(tmp_path / "others", "others", 200, args)
    recorders = [Recorder() for _ in parts]
    for recorder, part in zip(recorders, parts, strict=True):
        fuzz.others_round(recorder, part)
    alone = Recorder()
    fuzz.others_round(alone, share(parts[0].folder, 0, 1, 200))
    together = [item for number in range(67) for r in recorders for item in r.asked[number : number + 1]]
    assert len({reader for reader, _, _ in alone.asked}) > 15
    assert sorted(together) == sorted(alone.asked)
    rest = SimpleNamespace(**{**vars(args), "start": 150})
    recorders = [Recorder() for _ in parts]
    for recorder, part in zip(recorders, fuzz._shares(tmp_path / "rest", "others", 200, rest), strict=True):
        fuzz.others_round(recorder, part)
    assert sorted(item for r in recorders for item in r.asked) == sorted(alone.asked[150:])


def test_what_is_inside_an_archive_is_changed_and_whole_outside(tmp_path):
    path, differing = tmp_path / "x.npz", 0
    np.savez_compressed(path, x=np.arange(400.0))
    whole = path.read_bytes()
    for seed in range(40):
        changed = fuzz_containers.changed_inside(np.random.default_rng(seed), whole)
        assert changed == fuzz_containers.changed_inside(np.random.default_rng(seed), whole)
        path.write_bytes(changed)
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
        try:
            differing += not np.array_equal(read_arrays(path)["x"], np.arange(400.0))
        except Exception:
            continue
    assert differing
    assert fuzz_containers.changed_inside(np.random.default_rng(0), b"plain") is None


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """A worker without a process, that answers what ``worker.says`` holds, one after the other."""
    made = fuzz_watching.Worker.__new__(fuzz_watching.Worker)
    made._patience, made._turn, made.says = 5.0, fuzz_watching.Turn(tmp_path), []
    monkeypatch.setattr(made, "_asked", lambda *_: {"was": made.says.pop(0), "text": ""})
    return made


def test_a_hang_counts_where_it_is_seen_twice(worker, tmp_path):
    worker.says = ["hang", "accepted", "refused"]
    assert worker.read("x", tmp_path) == {"was": "refused", "text": "", "slow": True}
    worker.says = ["hang", "accepted", "hang"]
    assert worker.read("x", tmp_path)["was"] == "hang"
    worker.says = ["crash"]
    assert worker.read("x", tmp_path)["was"] == "crash"


def test_the_table_counts_what_was_found():
    tally = fuzz.Tally("*.x")
    tally.found.update(["accepted", "hang", "refused"])
    other = fuzz.Tally("*.x", slow=2)
    other.found.update(["hang"])
    tally.add(other)
    assert fuzz.table([tally]).splitlines()[-1] == "| *.x | 4 | 1 | 1 | 0 | 2 | 0 | 0 | 0 | 0 | 2 | 0 |"
    assert json.dumps(tally.found)
