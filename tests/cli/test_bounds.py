"""Numbers that nobody means: refused with the number and the way out, before anything is started."""

import os
import resource
import shlex
import subprocess
import sys

import pytest

from spikec.cli import _sentence, main
from spikec.cluster import local
from spikec.errors import DataError
from spikec.processors import check_number, cores
from spikec.simulation.golden import parse_memory
from spikec.sweeping import read_grid
from spikec.whole_files import write_text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "digits-cnn", "-T", "2000000", "-o", "o.nir"], "must be at most [0-9]+, not 2000000"),
        (["export", "digits-cnn", "--bits", "9", "-o", "o.nir"], "must be at most 8, not 9"),
        (
            ["train", "digits-cnn", "--through-spikes", "40000", "-o", "w.safetensors"],
            "must be at most 32768, not 40000",
        ),
        (["train", "digits-cnn", "--levels", "9" * 12, "-o", "w.safetensors"], "levels must be at most 16777216"),
        (["advise", "digits-cnn", "--threads", "1000000"], "--threads: 1000000 is more than"),
        (["run", "o.nir", "--limit", "9" * 40], "must be at most 18446744073709551616"),
        (["c", "o.nir", "-o", "x\0"], "'x.{1,3}x00' holds a zero byte; leave it out"),
        (["run", "o.nir", "--memory", "10000TB"], "10000TB' is more than the .* GB that there are; give less|memory"),
    ],
)
def test_options_are_bounded(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    capsys_err = capsys.readouterr().err
    import re

    assert re.search(message, capsys_err), capsys_err
    assert "internal error" not in capsys_err


def test_threads_and_workers_are_bounded_by_the_machine():
    check_number("threads", None)
    check_number("threads", max(64, 8 * cores()))
    with pytest.raises(DataError, match=rf"threads: 1000000 is more than {max(64, 8 * cores())}, .*{cores()} cores"):
        check_number("threads", 1000000)
    with pytest.raises(DataError, match="threads: 24921 is more than"):
        local.shares(3, 2, 24921)
    with pytest.raises(DataError, match="jobs: 24921 is more than"):
        local.shares(10**6, 24921)
    assert local.shares(3, 24921)[0] == 3  # no more than runs
    with pytest.raises(DataError, match="that there are; give less"):
        parse_memory("1000TB")


def test_grids_are_counted_before_they_are_made():
    axes = {
        "model": "digits-cnn",
        "timesteps": list(range(1, 151)),
        "seed": list(range(150)),
        "calibration": [*range(1, 151)],
    }
    with pytest.raises(DataError, match="the grid has 3,375,000 runs, and at most 100,000 are taken"):
        read_grid({"grid": axes})
    with pytest.raises(DataError, match=r"timesteps: must be a whole number of at most [0-9]+, not 2000000"):
        read_grid({"grid": {"model": "digits-cnn", "timesteps": [4, 2000000]}})
    method = {"name": "offset-spikes", "rho": list(range(2000)), "x": list(range(2000))}
    with pytest.raises(DataError, match="4,000,000 combinations"):
        read_grid({"grid": {"model": "digits-cnn", "method": [method]}})


def test_pipes_are_refused_by_every_command_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a.toml", "a.pt", "a.safetensors", "a.onnx", "a.py", "a.npz", "a.nir"):
        os.mkfifo(name)
    for words in (
        ["export", "digits-cnn", "--weights", "a.pt"],
        ["export", "digits-cnn", "--weights", "a.safetensors"],
        ["export", "digits-cnn", "--data", "npz:a.npz"],
        ["export", "digits-cnn", "--format", "a.toml"],
        ["export", "a.onnx"],
        ["export", "a.py:net"],
        ["train", "digits-cnn", "--recipe", "a.toml"],
    ):
        out = "o.safetensors" if words[0] == "train" else "o.nir"
        assert main([*words, "-o", out]) == 1
        said = capsys.readouterr().err.strip()
        assert said.count("\n") == 0
        assert "internal error" not in said
    assert main(["sweep", "a.toml", "-o", "out"]) == 1
    assert "a.toml is a pipe" in capsys.readouterr().err
    assert main(["run", "a.nir"]) == 1


def _limited(kilobytes: int) -> subprocess.CompletedProcess[str]:
    """A command that loads torch in so much address space. One thread: each takes some of it."""
    limited = f"ulimit -v {kilobytes}; exec {shlex.quote(sys.executable)} -m spikec train digits-cnn -o w.safetensors"
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    return subprocess.run(["sh", "-c", limited], capture_output=True, text=True, env=alone, timeout=300)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_too_little_address_space_for_torch_is_one_sentence(tmp_path, monkeypatch):
    """The largest library of torch has more than 300 MB, and Python with all that comes before it has less."""
    monkeypatch.chdir(tmp_path)
    found = _limited(330_000)
    assert found.returncode == 1
    assert found.stderr.startswith("spikec: not enough address space to load a library (")
    assert found.stderr.endswith("failed to map segment from shared object): raise the limit (ulimit -v)\n")
    assert found.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_any_limit_of_address_space_is_named(tmp_path, monkeypatch):
    """Whatever fails first: a library that finds no room, or Python itself."""
    monkeypatch.chdir(tmp_path)
    found = _limited(180_000)
    assert found.returncode == 1
    assert found.stderr.startswith("spikec: not enough ")
    assert "(ulimit -v)" in found.stderr
    assert found.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_library_without_room_is_found_in_what_others_say_of_it(monkeypatch):
    room = "libcublas.so.12: failed to map segment from shared object"
    numpy = ImportError("Error importing numpy: " + "you should not try to import it from its source directory " * 20)
    numpy.__cause__ = ImportError(f"libx.so: {room}")
    for error in (OSError(room), ImportError(room), numpy):
        assert _sentence(error).startswith("not enough address space to load a library (lib")
        assert _sentence(error).endswith(f"{room}): raise the limit (ulimit -v)")
    no_limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    for limits, said in (
        (no_limit, "a smaller network"),
        ((10**9, 10**9), "raise the limit of this shell (ulimit -v)"),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda which, found=limits: found)
        assert _sentence(MemoryError()).endswith(said)


def test_names_that_are_no_utf_8_can_be_written(tmp_path):
    write_text(tmp_path / "page.html", b"n\xff".decode(errors="surrogateescape"))
    assert (tmp_path / "page.html").read_text() == "n\\udcff"
