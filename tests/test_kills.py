"""A short round of the benchmark that kills commands at random moments."""

import os

import pytest

from benchmarks.kills import rounds


@pytest.mark.thorough
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this system does not show its processes")
def test_what_is_killed_goes_on_to_the_same_files(tmp_path):
    """Interrupted training, resumed: the same weights, nothing temporary, no process left."""
    (found,) = rounds(tmp_path, ["train"], kills=2, seed=5)
    assert found.complaints == []
    assert found.kills == 2
