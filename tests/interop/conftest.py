"""A small deployment with a skip and a readout of two branches, as integers and as NIR."""

import numpy as np
import pytest
from helpers.networks import residual_network


@pytest.fixture(scope="session")
def deployment():
    """``deployment(seed=0, timesteps=5) -> IntegerGraph``."""
    return residual_network


@pytest.fixture(scope="session")
def images():
    """Float images for it whose integers are 0 to 7."""
    return np.random.default_rng(1).integers(0, 8, (3, 1, 6, 6)).astype(np.float32) / 2
