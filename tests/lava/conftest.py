"""Fixtures of the Lava tests: the target, skipping where Lava is not installed."""

import importlib.util
import tempfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def lava():
    """The Lava target; skips the test where it cannot run."""
    from spikec.targets.lava import LavaTarget

    missing = LavaTarget.available()
    if missing is not None:
        pytest.skip(missing)
    assert importlib.util.find_spec("lava") is not None
    return LavaTarget()


@pytest.fixture
def leftovers(tmp_path, monkeypatch):
    """Runs of this test use ``tmp_path``; calling the fixture returns their living processes and shared memory."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    tags: set[str] = set()  # of all jobs seen so far: their folders may be gone

    def find():
        processes = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                ended = (entry / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if not ended and b"spikec.targets.lava.worker" in command and str(tmp_path).encode() in command:
                processes.append(int(entry.name))
        tags.update(path.name for path in tmp_path.glob("spikec_*") if path.is_dir())
        return processes, [b.name for tag in tags for b in Path("/dev/shm").glob(f"{tag}_*")]

    return find
