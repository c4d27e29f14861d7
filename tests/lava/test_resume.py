"""Chunks on disk that are not what the job would give are computed again."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.networks import digits_network

import spikec as tc
from spikec.errors import ToolchainError
from spikec.targets.lava import LavaTarget, program, resume
from spikec.targets.lava.job import Results

EXPECTED = {"a": {"counts": ((2, 3), np.dtype(np.int8))}}


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A chunk on disk; the job is an empty one."""
    monkeypatch.setattr(resume, "_path", lambda folder, _: folder / "chunk.npz")
    monkeypatch.setattr(resume, "expected", lambda _: EXPECTED)
    resume.save_chunk(tmp_path, SimpleNamespace(), Results({"a": {"counts": np.ones((2, 3), np.int8)}}, 1.5))
    return tmp_path


def test_a_sound_chunk_is_taken(kept):
    found = resume.load_chunk(kept, SimpleNamespace())
    assert found.seconds == 1.5
    np.testing.assert_array_equal(found.arrays["a"]["counts"], np.ones((2, 3)))


@pytest.mark.parametrize(
    "members",
    [
        {"counts:a": np.ones((2, 4), np.int8)},
        {"counts:a": np.ones((2, 3), np.int16)},
        {"counts:a": np.ones((2, 3), object)},
        {"counts:b": np.ones((2, 3), np.int8)},
        {},
        {"counts:a": np.ones((2, 3), np.int8), "seconds:": np.array(np.nan)},
        {"counts:a": np.ones((2, 3), np.int8), "seconds:": np.ones(3)},
        {"counts:a": np.ones((2, 3), np.int8), "seconds:": np.array("x")},
    ],
)
def test_other_arrays_are_no_results(kept, members):
    np.savez(kept / "chunk.npz", **{"seconds:": np.array(1.0), **members})
    assert resume.load_chunk(kept, SimpleNamespace()) is None


def test_damage_anywhere_is_no_result_or_the_same(kept):
    whole = (kept / "chunk.npz").read_bytes()
    for at in range(0, len(whole), 7):
        (kept / "chunk.npz").write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        found = resume.load_chunk(kept, SimpleNamespace())
        assert found is None or (found.arrays["a"]["counts"] == 1).all()
        (kept / "chunk.npz").write_bytes(whole[:at])
        assert resume.load_chunk(kept, SimpleNamespace()) is None


@pytest.mark.lava
@pytest.mark.skipif(LavaTarget.available() is not None, reason="Lava is not installed")
@pytest.mark.parametrize("place", ["pipe", "file", "file/x", "/dev/full", "x" * 300, "loop", b"a", "\0"])
def test_a_place_that_takes_no_chunks_is_told_before_the_work(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    (tmp_path / "file").touch()
    os.symlink("loop", "loop")
    monkeypatch.setattr(program, "run_job", lambda *_, **__: pytest.fail("the work began"))
    images = np.zeros((1, 1, 8, 8), np.float32)
    with pytest.raises(ToolchainError, match="finished chunks"):
        tc.compile(tc.ir.build(digits_network()), "lava", resume_dir=place).run(images)


def test_a_missing_folder_is_made_and_is_empty(tmp_path):
    assert resume.results_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert not list((tmp_path / "a" / "b").iterdir())
