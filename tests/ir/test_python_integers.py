"""Whole deployments, run from the nodes of the file in Python integers: what the golden model gives."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.python_integers import outputs_of

import spikec as tc


@pytest.mark.parametrize("name", ["qcfs", "layerwise", "signed", "graded", "rectangular"])
def test_the_golden_model_gives_what_python_integers_give(name, deployment):
    graph = deployment(name)
    scale = float(graph.nodes["input"].metadata["spikec"]["scale"])
    pixels = np.random.default_rng(3).integers(0, 256, (2, 2, 6, 6))
    found = tc.simulate(graph, pixels * scale).output
    for image, output in zip(pixels, found, strict=True):
        assert output.tolist() == outputs_of(graph, image)["readout"]
