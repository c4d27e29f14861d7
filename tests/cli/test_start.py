"""Commands that only read integers start fast: they load no torch, and help not even NumPy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from helpers.networks import digits_network

import spikec as tc
from spikec.ir import build

#: Runs commands in one process in which some packages cannot be imported, and prints their exit codes.
_REFUSING = """
import contextlib, io, json, os, sys
from importlib.abc import MetaPathFinder
os.environ["SPIKEC_DEBUG"] = "1"

class Refusing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise RuntimeError(f"{name} is imported")

REFUSED, commands = json.loads(sys.argv[1])
sys.meta_path.insert(0, Refusing())
from spikec.cli import main
codes = []
for words in commands:
    with contextlib.redirect_stdout(io.StringIO()):
        codes.append(main(words))
print(json.dumps(codes))
"""
_HEAVY = ("torch", "torchvision", "sklearn", "scipy", "pandas", "matplotlib", "PIL", "safetensors", "lava")


def _codes(refused, commands, script=_REFUSING):
    words = [sys.executable, "-c", script, json.dumps([refused, commands])]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "net.nir"
    tc.save(build(digits_network()), path)
    return str(path)


def test_commands_that_read_integers_need_no_torch(file, tmp_path):
    commands = [
        ["inspect", file],
        ["inspect", file, "--json"],
        ["diff", file, file],
        *(["check", file, "--target", chip] for chip in ("loihi1", "loihi2", "cortex-m4")),
        *(["map", file, "--target", chip] for chip in ("loihi2", "cortex-m4")),
        ["map", file, "--target", "loihi1", "--svg", str(tmp_path / "map.svg")],
        ["nir", "doctor", file],
        ["nir", "compare", file, file],
        ["doctor", "--quick"],
    ]
    codes, told = _codes(_HEAVY, commands)
    assert codes == [0] * len(commands), told


def test_the_refusal_is_seen(file):
    """What the tests here rest on: a command that needs torch fails."""
    codes, told = _codes(_HEAVY, [["run", file, "--limit", "1"]])
    assert codes == [1]
    assert "torch is imported" in told


def test_the_process_that_reads_files_needs_no_torch():
    script = _REFUSING[: _REFUSING.index("from spikec.cli")]
    script += "from spikec.hdf5 import child\nchild._warm_up()\nchild._load_nir()\nprint('[]')\n"
    _codes(_HEAVY, [], script)


def test_help_needs_no_numpy():
    commands = [["--help"], ["--version"], ["check", "--help"], ["export", "--help"]]
    codes, told = _codes((*_HEAVY, "numpy", "h5py", "nir"), commands)
    assert codes == [0] * len(commands), told
