"""Sets in parts: whatever their number and whoever dies, they say what one process says."""

import itertools
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.drawn import drawn
from helpers.networks import digits_network
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.cli import main
from spikec.cluster import slurm
from spikec.errors import DataError, ToolchainError
from spikec.ir import build, save
from spikec.models.data import open_dataset
from spikec.sharding import run as running
from spikec.sharding import worker
from spikec.sharding.job import Folder, Job, piece_size
from spikec.sharding.run import DEATHS_MOST, Where, executed
from spikec.sharding.work import Work

#: What tells of the run itself.
VOLATILE = ("images_per_second", "trace", "command")
MINE = """
import os, signal
from pathlib import Path
import numpy as np

class Digits:
    targets = [i % 10 for i in range(20)]
    def __len__(self): return 20
    def __getitem__(self, i):
        order, here = Path("order"), Path(f"read-{i}")
        asked = order.read_text().split() if order.exists() else []
        if asked == ["die", str(i)] or (asked == ["once", str(i)] and not here.exists()):
            here.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if asked == ["wrong", str(i)]:
            return np.zeros((1, 9, 8), np.uint8), i % 10
        print("an image talks")
        return np.full((1, 8, 8), 7 * i, np.uint8), i % 10

digits = Digits()
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    """A NIR file in an empty working directory, beside ``mine.py:digits``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return save(build(digits_network()), tmp_path / "net.nir")


@pytest.fixture
def spikec(capsys, net):
    def call(*words):
        code = main([*map(str, words)])
        out, err = capsys.readouterr()
        found = json.loads(out) if "--json" in words and code == 0 else {}
        return SimpleNamespace(code=code, err=err, json={k: v for k, v in found.items() if k not in VOLATILE})

    return call


@pytest.fixture
def here(monkeypatch):
    """Shards are computed in this process, the last one first; a list of the orders."""
    given = []

    def compute(folder, where, watch):
        for first, last in reversed(watch.pending().values()):
            given.append((first, last))
            worker._Shards(folder.place).compute(first, last)

    monkeypatch.setattr(running, "_by_workers", compute)
    return given


@settings(max_examples=drawn(200), deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 300), st.integers(1, 10**5))
def test_every_image_is_in_one_piece_and_every_piece_in_one_shard(images, size, number):
    job = Job("", "", "", None, images, "", Work(), size)
    parts = [job.images_of(piece) for piece in range(job.pieces)] if job.pieces < 5000 else []
    assert [i for part in parts[:50] for i in range(part.start, part.stop)] == list(range(min(images, 50 * size)))[
        : len(parts[:50]) * size
    ]
    assert not parts or (parts[0].start, parts[-1].stop) == (0, images)
    shards = job.shards(number)
    assert len(shards) == min(number, job.pieces)
    assert (shards[0].start, shards[-1].stop) == (0, job.pieces)
    assert all(one.stop == two.start for one, two in itertools.pairwise(shards))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize(
    "command", ["run", *(pytest.param(command, marks=pytest.mark.thorough) for command in ("energy", "report"))]
)
def test_any_number_of_shards_says_the_same(spikec, here, command, tmp_path):
    words = (command, "net.nir", "--limit", "90", "--json") + (("--verify", "0") if command == "report" else ())
    one = spikec(*words)
    assert one.code == 0, one.err
    for number in (1, 2, 5):
        here.clear()
        found = spikec(*words, "--shards", number)
        assert found.json == one.json
        assert len(here) == number
    assert not list(tmp_path.glob(".shards*"))


def test_traces_have_the_same_bytes_and_steps_stop_as_early(spikec, here):
    for words in (("--record", "spikes"), ("--early-exit", "margin")):
        one = spikec("run", "net.nir", "--limit", "70", "-o", "one.npz", "--json", *words)
        two = spikec("run", "net.nir", "--limit", "70", "-o", "two.npz", "--json", "--shards", "3", *words)
        assert one.json == two.json
        with open("one.npz", "rb") as first, open("two.npz", "rb") as second:
            assert first.read() == second.read()


def test_what_is_finished_is_kept_and_what_is_damaged_is_computed_again(spikec, here, tmp_path):
    words = ("run", "net.nir", "--data", "mine.py:digits", "--json", "--shard-dir", "kept", "--shards")
    one = spikec(*words, "2")
    assert one.code == 0, one.err
    assert here == [(10, 20), (0, 10)]
    here.clear()
    assert spikec(*words, "5").json == one.json
    assert here == []
    piece = tmp_path / "kept/pieces/7.npz"
    before = piece.read_bytes()
    piece.write_bytes(before[:-40])
    (tmp_path / "kept/pieces/13.npz").unlink()
    assert spikec(*words, "5").json == one.json
    assert here == [(12, 16), (4, 8)]
    said = spikec("energy", "net.nir", "--data", "mine.py:digits", "--shard-dir", "kept", "--shards", "2")
    assert said.code == 1
    assert "holds the shards of another run" in said.err
    (tmp_path / "mine.py").write_text(MINE + "\n# another set, as far as anybody can tell\n")
    assert "holds the shards of another run" in spikec(*words, "5").err


def test_an_error_is_that_of_one_process(spikec, here, tmp_path):
    (tmp_path / "order").write_text("wrong 13")
    words = ("run", "net.nir", "--data", "mine.py:digits")
    one, two = spikec(*words, "--quiet"), spikec(*words, "--quiet", "--shards", "4")
    assert (one.code, one.err) == (two.code, two.err)
    assert one.code == 1
    assert "image 13 is uint8 [1, 9, 8]" in one.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--executor", "local"), "--executor says how shards run: give --shards N too"),
        (("energy", "--jobs", "2"), "--jobs says how"),
        (("report", "--shard-dir", "d"), "--shard-dir says how"),
        (("run", "--shards", "2", "--slurm-option", "time=1"), "belongs to --executor slurm"),
        (("run", "--shards", "0"), "at least 1"),
        (("energy", "--shards", "2", "--as", "neurobench"), "rasters of one process"),
    ],
)
def test_options_that_say_nothing_are_refused(spikec, words, said):
    found = spikec(words[0], "net.nir", *words[1:])
    assert found.code == 1
    assert said in found.err


def test_without_slurm(spikec, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = spikec("run", "net.nir", "--shards", "2", "--executor", "slurm")
    assert found.code == 4
    assert "no sbatch" in found.err


def test_a_shard_that_dies_is_repeated(spikec, tmp_path):
    words = ("run", "net.nir", "--data", "mine.py:digits", "--json")
    one = spikec(*words)
    (tmp_path / "order").write_text("once 13")
    found = spikec(*words, "--shards", "2", "--jobs", "2", "--threads", "1")
    assert (tmp_path / "read-13").exists()
    assert found.json == one.json


@pytest.mark.thorough
def test_a_shard_that_always_dies_is_given_up(spikec, tmp_path):
    (tmp_path / "order").write_text("die 13")
    words = ("run", "net.nir", "--data", "mine.py:digits", "--shards", "2", "--jobs", "2", "--threads", "1")
    found = spikec(*words, "--shard-dir", "kept")
    assert found.code == 1
    assert f"the shard of images 10 to 19 died {DEATHS_MOST} times without getting further" in found.err
    assert "killed by SIGKILL" in found.err
    assert "an image talks" in found.err
    assert {f"{piece}.npz" for piece in range(13)} <= {path.name for path in (tmp_path / "kept/pieces").iterdir()}


@pytest.fixture
def folder(net, tmp_path):
    """A job of 20 pieces of the digits."""
    data = open_dataset("digits").subset(slice(20))
    job = Job.of(net, digits_network(), ("digits", None), 20, data.fingerprint(), Work())
    assert job.pieces == 20
    return Folder(tmp_path / "shards", job)


class Cluster:
    """A SLURM that is a list of tasks. Each look at the queue lets every task do one piece; ``doomed``: numbers of
    pieces at which a task ends instead, each once; ``always``: such ones that end every task."""

    def __init__(self, folder, monkeypatch, doomed=(), always=()):
        self.folder, self.doomed, self.always = folder, list(doomed), set(always)
        self.submitted, self.tasks, self.cancelled = [], {}, []
        self.down = 0
        for name in ("submit", "living_tasks", "queued", "cancel"):
            monkeypatch.setattr(slurm, name, getattr(self, name))

    def submit(self, place, orders, worker, **about):
        job = str(len(self.submitted))
        self.submitted.append(orders)
        made = slurm.Submission(place / job, job, tuple((id,) for id in orders))
        self.tasks[job] = {str(n): range(*orders[id]) for n, (id,) in enumerate(made.tasks)}
        return made

    def living_tasks(self, job):
        self.down -= 1
        return None if self.down >= 0 else set(self.tasks[job])

    def queued(self, place, ids=None):
        return []

    def cancel(self, made):
        self.cancelled.append(made.job)

    def pause(self, seconds):
        for tasks in self.tasks.values():
            for number, pieces in list(tasks.items()):
                left = [piece for piece in pieces if piece in self.folder.missing()]
                if left and left[0] not in self.doomed and left[0] not in self.always:
                    worker._Shards(self.folder.place).compute(left[0], left[0] + 1)
                else:
                    del tasks[number]
                    if left and left[0] in self.doomed:
                        self.doomed.remove(left[0])


def test_tasks_that_die_are_submitted_again(folder, monkeypatch):
    cluster = Cluster(folder, monkeypatch, doomed=[3, 3, 4, 17], always=())
    cluster.down = 4  # a controller that does not answer is no verdict
    monkeypatch.setattr(running.time, "sleep", cluster.pause)
    monkeypatch.setattr(running._by_slurm, "__defaults__", (cluster.pause,))
    seen = []
    found = [part for part, _ in executed(folder, Where("slurm", 2), seen.append)]
    assert [(part.start, part.stop) for part in found] == [(i, i + 1) for i in range(20)]
    again = [id for orders in cluster.submitted[1:] for id in orders]
    assert sorted(again) == ["0-10"] * 3 + ["10-20"]
    assert list(cluster.submitted[0]) == ["0-10", "10-20"]
    assert seen == sorted(seen)
    assert seen[-1] == 20


def test_tasks_that_always_die_are_given_up(folder, monkeypatch):
    cluster = Cluster(folder, monkeypatch, always=[5])
    monkeypatch.setattr(running._by_slurm, "__defaults__", (cluster.pause,))
    with pytest.raises(ToolchainError, match=f"images 0 to 9 died {DEATHS_MOST} times without getting further: job "):
        list(executed(folder, Where("slurm", 2)))
    assert folder.missing() == {5, 6, 7, 8, 9}


def test_a_worker_refuses_what_is_not_what_was_cut(folder, net, tmp_path):
    document = json.loads((tmp_path / "shards/job.json").read_text())
    for key, value, said in (("graph_sha256", "0" * 64, "has changed"), ("fingerprint", "0", "is not what the shards")):
        (tmp_path / "shards/job.json").write_text(json.dumps({**document, key: value}))
        (tmp_path / "tasks.json").write_text("[[[0, 2]]]")
        assert worker.main([str(tmp_path / "shards"), "--tasks", str(tmp_path / "tasks.json"), "--index", "0"]) == 0
        with pytest.raises(DataError, match=said):
            Folder(tmp_path / "shards").check()
    work = document["work"]
    for wrong in (
        {}, [], None, {**document, "images": 0}, {**document, "images": "9"}, {**document, "size": True},
        {**document, "graph": None}, {**document, "data_root": 1}, {**document, "more": 1}, {**document, "work": []},
        {**document, "work": {**work, "compiling": []}}, {**document, "work": {**work, "keep": "some"}},
        {**document, "size": document["images"] + 1}, {**document, "data": ""}, {**document, "graph_sha256": "0"},
        {**document, "work": {**work, "keep": []}}, {**document, "work": {**work, "record": ["spikes"]}},
    ):  # fmt: skip
        (tmp_path / "shards/job.json").write_text(json.dumps(wrong))
        with pytest.raises(DataError, match=r"not what spikec writes for shards .* if nothing else lies in it$"):
            Folder(tmp_path / "shards")


def test_values_that_do_not_exist_are_named(folder, tmp_path):
    document = json.loads((tmp_path / "shards/job.json").read_text())
    for changes, said in (
        ({"images": 10**39}, f"images is {10**39}"[:70]),
        ({"record": "zzz"}, "record is 'zzz'"),
        ({"target": ""}, "target is ''"),
        ({"target": "loihi2"}, "target is 'loihi2'"),
    ):
        inside = changes.keys() <= document["work"].keys()
        wrong = {**document, "work": {**document["work"], **changes}} if inside else {**document, **changes}
        (tmp_path / "shards/job.json").write_text(json.dumps(wrong))
        with pytest.raises(DataError, match="not what spikec writes") as raised:
            Job.read(tmp_path / "shards/job.json")
        assert f"({said}" in str(raised.value)
        assert f"name another folder, or remove {tmp_path}/shards if nothing else lies in it" in str(raised.value)
    right = {**document["work"], "running": {"memory": "1GB", "threads": 1}, "record": "membranes"}
    (tmp_path / "shards/job.json").write_text(json.dumps({**document, "work": right}))
    assert Job.read(tmp_path / "shards/job.json").work.record == "membranes"


def test_a_worker_refuses_a_set_of_another_size(folder, tmp_path):
    """The first images of a larger number are all that there are, and have their fingerprint."""
    document = json.loads((tmp_path / "shards/job.json").read_text())
    (tmp_path / "shards/job.json").write_text(json.dumps({**document, "images": 21}))
    (tmp_path / "tasks.json").write_text("[[[0, 2]]]")
    assert worker.main([str(tmp_path / "shards"), "--tasks", str(tmp_path / "tasks.json"), "--index", "0"]) == 0
    with pytest.raises(DataError, match="is not what the shards were cut from"):
        Folder(tmp_path / "shards").check()


@pytest.mark.parametrize("wrong", [[], {}, None, {"kind": "DataError"}, {"message": "m"}])
def test_a_damaged_error_of_a_process_is_one_sentence(folder, wrong):
    (folder.place / "failed.json").write_text(json.dumps(wrong))
    with pytest.raises(DataError, match=r"not what spikec writes for shards .* name another folder, or remove"):
        folder.check()


def _slurm_answers():
    return shutil.which("sbatch") is not None and subprocess.run(["sinfo"], capture_output=True).returncode == 0


@pytest.mark.thorough
@pytest.mark.skipif(not _slurm_answers(), reason="there is no SLURM here")
def test_a_real_slurm(spikec, tmp_path):
    words = ("run", "net.nir", "--data", "mine.py:digits", "--json")
    one = spikec(*words)
    (tmp_path / "order").write_text("once 13")
    found = spikec(*words, "--shards", "2", "--executor", "slurm", "--shard-dir", "kept")
    assert found.json == one.json
    assert len(list((tmp_path / "kept/slurm").iterdir())) == 2  # the second one of the shard that died


def test_a_worker_answers_line_by_line(folder, tmp_path):
    words = [sys.executable, "-m", "spikec.sharding.worker", str(folder.place)]
    lines = "".join(
        json.dumps({"id": id, "order": order, "wait": False}) + "\n" for id, order in (("a", [0, 3]), ("b", [3, 4]))
    )
    answer = subprocess.run(words, input=lines, capture_output=True, text=True)
    assert answer.stdout.split() == ["done", "done"], answer.stderr
    assert folder.missing() == set(range(4, 20))
    assert np.array_equal(folder.read(0).outputs["output"].shape, [1, 10])


@pytest.mark.parametrize("images", [32, 63, 64, 65, 127, 129, 1000, 20_000, 10**6])
def test_pieces_are_small_and_not_few(images):
    size = piece_size(Work(), digits_network(), images)
    assert 1 <= size <= 256
    assert -(-images // size) >= 32


def test_other_commands_do_not_cut_their_images(spikec):
    assert "one process: leave it out" in spikec("advise", "digits-cnn", "--shards", "2").err
    found = spikec("verify", "net.nir", "--shards", "2")
    assert found.code != 0
    assert "--shards" in found.err


@pytest.mark.parametrize(
    "other",
    [
        {"graph_sha256": "0" * 64}, {"images": 19}, {"fingerprint": "another"}, {"version": "0.0"},
        {"work": Work(keep="all")},
    ],
)  # fmt: skip
def test_a_folder_belongs_to_one_run(folder, other):
    """Of one network, set, options and version; where they lie does not matter."""
    Folder(folder.place, replace(folder.job, graph="elsewhere.nir"))
    with pytest.raises(DataError, match="holds the shards of another run"):
        Folder(folder.place, replace(folder.job, **other))


@pytest.mark.parametrize("compiling", [{"overflow": "wrap"}, {"format": "loihi1"}, {"device": "cpu"}])
def test_a_job_with_registers_is_read_again(folder, compiling):
    """What the command line gives the golden model beyond its stated options."""
    path = folder.place / "job.json"
    found = json.loads(path.read_text())
    found["work"]["compiling"] = compiling
    path.write_text(json.dumps(found))
    assert Job.read(path).work.compiling == compiling
