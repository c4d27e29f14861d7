"""Worker processes: they share the work, survive each other's deaths and stop when told."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import toolchain as tc
from toolchain.sweep import read_grid
from toolchain.sweep.local import shares
from toolchain.sweep.measure import measure
from toolchain.sweep.store import Store

#: The run that is asked to misbehave comes first, so that another one follows it in the same worker.
GRID = {"grid": {"model": ["mine.py:net", "digits-cnn"], "limit": 20, "timesteps": 2}}


@pytest.mark.parametrize(
    ("runs", "jobs", "threads", "expected"),
    [
        (100, None, None, (8, 1)),
        (100, 2, None, (2, 4)),
        (100, None, 4, (2, 4)),
        (100, None, 16, (1, 16)),
        (3, None, None, (3, 2)),
        (1, None, None, (1, 8)),
        (100, 16, None, (16, 1)),
        (100, 3, 1, (3, 1)),
    ],
)
def test_cores_are_shared_out(monkeypatch, runs, jobs, threads, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert shares(runs, jobs, threads) == expected


def test_results_are_those_of_one_process_and_made_once(told):
    told("")
    seen = []
    result = tc.sweep(GRID, "results", jobs=2, threads=1, progress=lambda *what: seen.append(what[1:]))
    assert result.states == {"done": 2, "refused": 0, "failed": 0, "missing": 0}
    assert seen == [("done", 1, 2), ("done", 2, 2)]
    for run in result.plan.runs:
        alone = measure(run.configuration)
        found = result.results[run.configuration.id]
        volatile = ("finished", "seconds", "threads", "sha256")
        assert {k: v for k, v in found.items() if k not in volatile} == {
            k: v for k, v in alone.items() if k not in volatile
        }
        assert found["threads"] == 1
    before = {path: path.stat().st_mtime_ns for path in Store("results").runs.iterdir()}
    assert tc.sweep(GRID, "results").made == 0
    assert {path: path.stat().st_mtime_ns for path in Store("results").runs.iterdir()} == before


def test_a_worker_that_is_killed_fails_its_run_only(told):
    told("die")
    result = tc.sweep(GRID, "results", jobs=1)
    first, second = result
    assert (first["state"], second["state"]) == ("failed", "done")
    assert "killed by SIGKILL" in first["error"]["message"]
    assert "a network talks" in first["error"]["message"]
    told("")
    assert tc.sweep(GRID, "results").states["failed"] == 1
    again = tc.sweep(GRID, "results", retry_failed=True)
    assert again.made == 1
    assert again.states["done"] == 2


def test_two_sweeps_into_one_folder_share_the_work(told):
    told("")
    grid = read_grid({"grid": {"model": "digits-cnn", "limit": 20, "timesteps": [1, 2, 3]}})
    made = []
    sweeps = [threading.Thread(target=lambda: made.append(tc.sweep(grid, "results", jobs=1))) for _ in range(2)]
    for each in sweeps:
        each.start()
    for each in sweeps:
        each.join()
    assert [each.states["done"] for each in made] == [3, 3]
    assert len(Store("results").all()) == 3
    lines = Store("results").folder.joinpath("summary.csv").read_text().splitlines()
    assert len(lines) == 4


def test_an_interrupt_keeps_what_is_finished_and_stops_the_workers(told, tmp_path):
    (tmp_path / "grid.toml").write_text('[grid]\nmodel = ["digits-cnn", "mine.py:net"]\nlimit = 20\ntimesteps = 2\n')
    told("sleep")
    words = [sys.executable, "-m", "toolchain", "sweep", "grid.toml", "-o", "results", "--jobs", "1"]
    process = subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    asleep = tmp_path / "asleep"
    while not (asleep.exists() and asleep.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in err
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.kill(int(asleep.read_text()), 0)
    assert [found["state"] for found in Store("results").all()] == ["done"]
    assert (tmp_path / "results" / "summary.csv").read_text().count("\n") == 2
    told("")
    assert tc.sweep(tmp_path / "grid.toml", "results").made == 1
