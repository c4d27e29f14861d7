"""One version, and a source distribution that would come out the same again."""

from __future__ import annotations

import io
import os
import re
import tarfile
from pathlib import Path

import pytest

import spikec
from benchmarks.release import settled
from spikec.versions import versions

ROOT = Path(spikec.__file__).resolve().parent.parent


def test_there_is_one_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", spikec.__version__)
    assert versions()["spikec"] == spikec.__version__
    assert f"\n## [{spikec.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text()
    citation = ROOT / "CITATION.cff"
    if citation.is_file():
        assert re.search(rf'^version: "?{re.escape(spikec.__version__)}"?$', citation.read_text(), re.MULTILINE)


@pytest.mark.parametrize("seconds", [0, 10**9])
def test_a_source_distribution_forgets_when_and_by_whom_it_was_packed(tmp_path, seconds):
    made = []
    for number, names in enumerate((["a/x", "a/y"], ["a/y", "a/x"])):
        path = tmp_path / f"{number}.tar.gz"
        with tarfile.open(path, "w:gz") as out:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size, member.mtime, member.uid, member.uname = 1, number, number, f"user{number}"
                out.addfile(member, io.BytesIO(name[-1].encode()))
        os.utime(path, (number, number))
        settled(path, seconds)
        made.append(path.read_bytes())
    assert made[0] == made[1]
    with tarfile.open(tmp_path / "0.tar.gz") as held:
        assert held.getnames() == ["a/x", "a/y"]
        assert held.extractfile("a/y").read() == b"y"
        assert {member.mtime for member in held} == {seconds}
