"""Worker processes: they share the work, survive each other's deaths and stop when told."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from helpers.thorough import every_second

import spikec as tc
from spikec.cluster.local import shares
from spikec.processes import has_ended
from spikec.sweeping import look, read_grid
from spikec.sweeping.measure import measure
from spikec.sweeping.store import Store

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


@pytest.mark.thorough
def test_two_sweeps_share_a_folder_and_find_what_one_process_finds(told):
    """Each run is made once, whoever makes it, and a third sweep has nothing left to do."""
    told("")
    grid = read_grid({"grid": {"model": ["mine.py:net", "digits-cnn"], "limit": 20, "timesteps": [1, 2]}})
    seen, sweeps = [], []

    def one_sweep():
        sweeps.append(tc.sweep(grid, "results", jobs=1, threads=1, progress=lambda *what: seen.append(what[1:])))

    threads = [threading.Thread(target=one_sweep) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [each.states["done"] for each in sweeps] == [4, 4]
    assert sorted(seen) == sorted([("done", n, 4) for n in (1, 2, 3, 4)] * 2)
    assert sum(found["warnings"] == [] for found in Store("results").all()) == 4
    for run in grid.runs:
        alone, found = measure(run.configuration), sweeps[0].results[run.configuration.id]
        volatile = ("finished", "seconds", "threads", "sha256")
        assert {k: v for k, v in found.items() if k not in volatile} == {
            k: v for k, v in alone.items() if k not in volatile
        }
        assert found["threads"] == 1
    before = {path: path.stat().st_mtime_ns for path in Store("results").runs.iterdir()}
    assert tc.sweep(grid, "results").made == 0
    assert {path: path.stat().st_mtime_ns for path in Store("results").runs.iterdir()} == before
    assert len((Store("results").folder / "summary.csv").read_text().splitlines()) == 5


def test_a_worker_that_is_killed_fails_its_run_only(told):
    told("die")
    first, second = tc.sweep(GRID, "results", jobs=1)
    assert (first["state"], second["state"]) == ("failed", "done")
    assert "killed by SIGKILL" in first["error"]["message"]
    assert "a network talks" in first["error"]["message"]
    told("")
    again = tc.sweep(GRID, "results")
    assert (again.made, again.states["failed"]) == (0, 1)


@pytest.mark.parametrize("number", every_second([signal.SIGTERM, signal.SIGKILL]))
def test_an_end_from_outside_keeps_what_is_finished_and_ends_the_workers(told, tmp_path, number):
    (tmp_path / "grid.toml").write_text('[grid]\nmodel = ["digits-cnn", "mine.py:net"]\nlimit = 20\ntimesteps = 2\n')
    told("sleep")
    words = [sys.executable, "-m", "spikec", "sweep", "grid.toml", "-o", "results", "--jobs", "1"]
    process = subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    asleep = tmp_path / "asleep"
    while not (asleep.exists() and asleep.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    end = time.monotonic() + 3
    while not has_ended(int(asleep.read_text())):
        assert time.monotonic() < end, "the worker is alive"
        time.sleep(0.02)
    if number == signal.SIGTERM:
        assert process.returncode == 143
        assert "the same command goes on" in err
        assert err.endswith("spikec: terminated\n")
        assert "Traceback" not in err
        assert (tmp_path / "results" / "summary.csv").read_text().count("\n") == 2
    assert [found["state"] for found in Store("results").all()] == ["done"]
    assert look(read_grid(tmp_path / "grid.toml"), "results").states["missing"] == 1
