"""A C compiler, a cache of these tests' own, and a network written by hand."""

from __future__ import annotations

import pytest
from helpers.c_code import by_hand

from spikec.targets.c import CTarget
from spikec.targets.c.compilers import find_compiler


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory):
    """The folder that libraries are kept in while these tests run."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPIKEC_CACHE", str(folder))
        yield folder / "c"


@pytest.fixture(scope="session")
def compiler():
    missing = CTarget.available()
    if missing is not None:
        pytest.skip(missing)
    return find_compiler()


@pytest.fixture(scope="session")
def hand():
    """The graph and the source of :func:`helpers.c_code.by_hand`."""
    return by_hand()
