"""The process that reads files, where it is forked from a command instead of started."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from helpers.networks import digits_network

import spikec as tc
from spikec.ir import build

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only forked on Linux")

#: Runs a command with a file open, then tells of the process that reads files.
_COMMAND = """
import contextlib, io, json, os, signal, sys
before = json.loads(sys.argv[1])["before"]
exec(before)
held = os.open(sys.executable, os.O_RDONLY)
from spikec.cli import main
from spikec.hdf5 import starting
with contextlib.redirect_stdout(io.StringIO()):
    code = main(json.loads(sys.argv[1])["words"])
(server,) = starting._current
pid = server.process.pid
status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status"))
found = {
    "code": code,
    "kind": type(server.process).__name__,
    "open": sorted(os.readlink(f"/proc/{pid}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{pid}/fd")),
    "session": os.getsid(pid) == pid,
    "threads": int(status["Threads"]),
    "caught": int(status["SigCgt"], 16) & sum(1 << s - 1 for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)),
    "plugins": os.environ.get("HDF5_PLUGIN_PRELOAD"),
}
starting.close()
found["ended"] = server.process.poll()
print(json.dumps(found))
"""


def _told(words, before=""):
    words = [sys.executable, "-c", _COMMAND, json.dumps({"words": words, "before": before})]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("forking") / "net.nir"
    tc.save(build(digits_network()), path)
    return path


def test_it_keeps_nothing_of_the_command(file):
    found = _told(["inspect", str(file)])
    assert found["code"] == 0
    assert found["kind"] == "Forked"
    assert found["open"] == [os.devnull] * 3 + ["socket"]
    assert found["session"]
    assert found["threads"] == 1
    assert found["caught"] == 0
    assert found["plugins"] == "::"
    assert found["ended"] == 0


def test_a_damaged_file_is_refused_as_ever(file, tmp_path):
    damaged = tmp_path / "damaged.nir"
    damaged.write_bytes(file.read_bytes()[:-2000])
    assert _told(["inspect", str(damaged)])["code"] == 1


@pytest.mark.parametrize(
    "before", ["import numpy", "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"]
)
def test_commands_in_a_larger_program_start_it(file, before):
    """Where NumPy is loaded it may have threads, and HDF5 was not told to load no plugins."""
    assert _told(["inspect", str(file)], before)["kind"] == "Popen"


def test_commands_that_run_networks_start_it(file):
    assert _told(["ranges", str(file)])["kind"] == "Popen"
