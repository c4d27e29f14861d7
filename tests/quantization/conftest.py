"""An executor of NIR files that shares no code with the product: ``helpers/nir_executor.py``."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import nir_executor


@pytest.fixture(scope="session")
def execute_nir() -> Callable[..., SimpleNamespace]:
    """``execute_nir(nir_graph, real_images) -> spikes, counts, output``."""
    return nir_executor.execute_nir


@pytest.fixture(scope="session")
def integer_levels() -> Callable[..., tuple[dict[str, np.ndarray], np.ndarray]]:
    """``integer_levels(nir_graph, real_images) -> levels by population, output``."""
    return nir_executor.integer_levels
