"""Random modules, written as source text from a grammar of idioms: converted equal, or refused; never different."""

from __future__ import annotations

import torch
from helpers.drawn import drawn
from helpers.idioms import network, sources
from hypothesis import given, note, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.frontend import canonicalize


@settings(max_examples=drawn(150), deadline=None)
@given(sources(), st.integers(0, 3))
def test_converted_equal_or_refused(drawn, seed):
    source, outside = drawn
    note(f"{outside}\n{source}")
    module = network(source, outside).eval()
    generator = torch.Generator().manual_seed(seed)
    example, images = torch.rand(2, 3, 6, 6, generator=generator), torch.randn(5, 3, 6, 6, generator=generator)
    try:
        graph = canonicalize(module, example)
    except tc.ToolchainError:
        return
    for each in (*module.modules(), *graph.modules()):
        if getattr(each, "levels", None) is not None:
            each.levels = 2**20  # rounding in folded weights may move a value across a step
    with torch.no_grad():
        expected, found = module(images), graph(images)
    assert float((found - expected).abs().max()) <= 1e-3 * float(expected.abs().max().clamp(min=1e-6))
