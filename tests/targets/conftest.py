"""Small graphs with a known place on a chip."""

from __future__ import annotations

import pytest
from helpers.networks import two_convolutions


@pytest.fixture
def network():
    """``network(channels=, size=, kernel=, kind=, schedule=, timesteps=, theta=)``."""
    return two_convolutions
