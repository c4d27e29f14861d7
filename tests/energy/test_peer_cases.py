"""The cases handed to other tools, and the comparison, which tells a wrong number from a right one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_what_entered_every_layer_is_handed_over():
    from benchmarks.peer_cases import convolutions, describe

    case = convolutions()["behind a 2x2 pool"]
    plan, arrays = describe(case)
    assert [layer["pool"] for layer in plan["layers"]] == [None, "pool"]
    raster = case.trace.spikes["n"]
    np.testing.assert_array_equal(arrays["pool/entering"], raster)
    blocks = raster[..., :10, :12].reshape(2, 4, 8, 5, 2, 6, 2).sum(axis=(4, 6))
    np.testing.assert_array_equal(arrays["conv/entering"], blocks)
    np.testing.assert_allclose(arrays["first/entering"][:, 3], case.images, atol=1e-7)


def test_a_number_that_differs_is_shown_beside_ours():
    from benchmarks.peer_cases import convolutions
    from benchmarks.peer_counts import equal, ours, row

    case = convolutions()["ternary"]
    found = {tool: ours(case, tool) for tool in ("neurobench", "sinabs", "syops", "keras-spiking")}
    assert "**" not in row("ternary", case, found)
    wrong = {**found["syops"], "MACs": found["syops"]["MACs"] * (1 + 1e-9)}
    assert equal("syops", wrong, found["syops"]) == {"ACs": True, "MACs": False}
    assert row("ternary", case, {**found, "syops": wrong}).count("**") == 2
