"""Fixtures of the Lava tests: the target, skipping where Lava is not installed."""

import importlib.util

import pytest


@pytest.fixture(scope="session")
def lava():
    """The Lava target; skips the test where it cannot run."""
    from targets.lava import LavaTarget

    missing = LavaTarget.available()
    if missing is not None:
        pytest.skip(missing)
    assert importlib.util.find_spec("lava") is not None
    return LavaTarget()
