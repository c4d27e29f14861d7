"""A network that does what a file tells it, and a SLURM that consists of two scripts."""

import os
import sys
from types import SimpleNamespace

import pytest

from spikec.sweeping import read_grid

_NET = """
import os, time, signal
from pathlib import Path
import spikec.models as models

def net():
    print("a network talks")
    order = Path("order").read_text() if Path("order").exists() else ""
    if order == "raise":
        raise RuntimeError("told to")
    if order == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if order == "sleep":
        Path("asleep").write_text(str(os.getpid()))
        time.sleep(600)
    return models.pretrained("digits-cnn")
"""

_SBATCH = """
import os, pathlib, subprocess, sys
state = pathlib.Path(os.environ["FAKE_SLURM"])
words = sys.argv[1:]
with (state / "calls").open("a") as file:
    print(*words, file=file)
if (state / "refuse").exists():
    sys.exit((state / "refuse").read_text())
options = dict(word[2:].split("=", 1) for word in words if "=" in word)
first, last = options["array"].split("%")[0].split("-")
if not (state / "queue").exists():
    tasks = []
    for index in range(int(first), int(last) + 1):
        env = {**os.environ, "SLURM_ARRAY_TASK_ID": str(index), "SLURM_CPUS_PER_TASK": options["cpus-per-task"]}
        log = open(options["output"].replace("%a", str(index)), "w")
        tasks.append(subprocess.Popen(["sh", words[-1]], env=env, cwd=options["chdir"], stdout=log, stderr=log))
    for task in tasks:
        task.wait()
print("41;cluster")
"""

_SQUEUE = """
import os, pathlib, sys
state = pathlib.Path(os.environ["FAKE_SLURM"])
if (state / "down").exists():
    sys.exit("slurm_load_jobs error: Unable to contact slurm controller")
if not (state / "queue").exists():
    sys.exit("slurm_load_jobs error: Invalid job id specified")
print((state / "queue").read_text())
"""

_SINFO = """
import os, pathlib
print((pathlib.Path(os.environ["FAKE_SLURM"]) / "nodes").read_text())
"""


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Work in an empty directory that holds ``mine.py:net``; ``told("raise")`` makes it misbehave, ``told("")`` not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(_NET)
    return (tmp_path / "order").write_text


@pytest.fixture
def slurm_state(tmp_path, monkeypatch):
    """Folder of a SLURM that runs job arrays at once. ``queue``: what is queued, then nothing runs; ``refuse``: what
    sbatch says; ``down``: the controller does not answer; ``calls``: how sbatch was called; ``nodes``: what sinfo
    says of cores."""
    state = tmp_path / "slurm"
    state.mkdir()
    for name, text in (("sbatch", _SBATCH), ("squeue", _SQUEUE), ("sinfo", _SINFO)):
        (state / name).write_text(f"#!{sys.executable}{text}")
        (state / name).chmod(0o755)
    monkeypatch.setenv("FAKE_SLURM", str(state))
    monkeypatch.setenv("PATH", f"{state}{os.pathsep}{os.environ['PATH']}")
    return state


@pytest.fixture
def configurations():
    """``configurations(grid table, ...) -> list of Configuration`` on the digits, 20 images unless it says more."""

    def make(**grid):
        return [run.configuration for run in read_grid({"grid": {"model": "digits-cnn", "limit": 20, **grid}}).runs]

    return make


@pytest.fixture
def finished():
    """A list of (configuration id, state) in the order of arrival, and the function that fills it."""
    arrived = []
    return SimpleNamespace(arrived=arrived, call=lambda configuration, state: arrived.append((configuration.id, state)))
