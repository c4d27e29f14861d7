"""Weights are kept in few bits; what reads them computes as with Python's integers, up to the ends of every type."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from dataclasses import replace

import nir
import numpy as np
import pytest
import torch
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.analysis.branches import merged_branches
from spikec.ir import Affine, Convolution, InputNode, IntegerGraph, Readout
from spikec.ir.integers import magnitude
from spikec.ir.operations import Synapse
from spikec.ir.operations.weights import narrow, row_blocks
from spikec.ir.profile import hashes
from spikec.ir.sound import _operation

_ENDS = [s * 2**bits + off for bits in (6, 7, 14, 15, 20) for s in (1, -1) for off in (-1, 0, 1)]
_WEIGHTS = st.lists(st.sampled_from([*_ENDS, 0, 1, -1]), min_size=6, max_size=6)


def _affine(values, exponent=0, sources=("input",), name="a"):
    weight = np.array(values, dtype=np.int64).reshape(2, 3)
    return Affine(name, sources, (3,), (2,), weight, np.zeros(2, np.int64), exponent)


def _convolution(values):
    weight = np.array(values, dtype=np.int64).reshape(2, 3, 1, 1)
    return Convolution("c", ("input",), (3, 2, 2), (2, 2, 2), weight, np.zeros(2, np.int64), (1, 1), (0, 0), (1, 1))


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_the_narrowest_type_that_holds_them(bits):
    for value in (2 ** (bits - 1) - 1, -(2 ** (bits - 1))):
        node = _affine([value, 0, 1, -1, 0, 0])
        assert node.narrow_weight.dtype.itemsize * 8 == bits
        assert node.weight.dtype == np.int64
        assert int(node.weight[0, 0]) == value
        assert magnitude(node.narrow_weight) == abs(value)


def test_what_is_no_array_of_integers_stays():
    for given_weight in (np.ones((2, 3)), [[1, 2]], None):
        assert replace(_affine([0] * 6), weight=given_weight).weight is given_weight


def test_copies_hold_the_same_weights():
    node = _affine([127, -128, 128, 0, 1, 2])
    for other in (copy.copy(node), copy.deepcopy(node), pickle.loads(pickle.dumps(node)), replace(node, name="b")):
        assert other.narrow_weight.dtype == np.int16
        np.testing.assert_array_equal(other.weight, node.weight)


def test_writing_into_what_was_read_changes_nothing_kept():
    for value in (1, 2**40):
        node = _affine([value] * 6)
        node.weight[0] = 5
        assert (node.weight == value).all()


@settings(max_examples=drawn(60), deadline=None)
@given(values=_WEIGHTS, x=st.lists(st.integers(-300, 300), min_size=3, max_size=3), spread=st.integers(0, 300))
def test_readers_do_not_wrap(values, x, spread):
    for node in (_affine(values), _convolution(values)):
        rows = [values[:3], values[3:]]
        each = np.broadcast_to(np.reshape(x, (3, *[1] * (len(node.input_shape) - 1))), node.input_shape)
        sums = [sum(w * a for w, a in zip(row, x, strict=True)) for row in rows]
        for dtype in (torch.float64, torch.int64):
            found = node.apply(torch.from_numpy(each.copy())[None].to(dtype))[0]
            assert [int(v) for v in found.reshape(2, -1)[:, 0]] == sums
        low, high, partial = node.interval(each.astype(np.int64), each.astype(np.int64) + spread)
        for row, first, last in zip(rows, low.reshape(2, -1)[:, 0], high.reshape(2, -1)[:, 0], strict=True):
            ends = [sorted((w * a, w * (a + spread))) for w, a in zip(row, x, strict=True)]
            assert (int(first), int(last)) == (sum(e[0] for e in ends), sum(e[1] for e in ends))
            assert partial >= max(abs(int(first)), abs(int(last)))
        assert [int(m) for m in node.nonzero().reshape(-1)] == [int(w != 0) for w in values]
        after = np.full(node.output_shape, 2**40)
        back = node.pull_back(after, node.nonzero()).reshape(3, -1)[:, 0]
        assert back.tolist() == [sum(int(row[i] != 0) for row in rows) * 2**40 for i in range(3)]
        written = node.to_nir()
        assert [int(w) for w in np.asarray(written.weight, np.float64).reshape(-1)] == values
        found = type(node).from_nir("a", written, ("input",), node.input_shape)
        np.testing.assert_array_equal(found.weight, node.weight)
        assert found.narrow_weight.dtype == node.narrow_weight.dtype
        assert f"[{min(values)}, {max(values)}]" in node.numbers or min(values) == max(values)


@settings(max_examples=drawn(30), deadline=None)
@given(values=_WEIGHTS, exponent=st.integers(0, 16))
def test_mantissas_and_exponents(values, exponent):
    node = _affine([value << exponent for value in values], exponent)
    assert node.narrow_mantissas.reshape(-1).tolist() == node.mantissas.reshape(-1).tolist() == values


@settings(max_examples=drawn(30), deadline=None)
@given(first=_WEIGHTS, second=_WEIGHTS)
def test_branches_are_added_beyond_their_own_bits(first, second):
    nodes = [InputNode("input", (3,), "uint8", 1.0), _affine(first, name="a"), _affine(second, name="b")]
    nodes.append(Readout("readout", ("a", "b"), (2,), np.zeros(2, np.int64), 1.0))
    graph = IntegerGraph({node.name: node for node in nodes}, 4, "pipelined")
    ((names, merged),) = merged_branches(graph, graph.readout)
    assert names == ["a", "b"]
    assert merged.weight.reshape(-1).tolist() == [a + b for a, b in zip(first, second, strict=True)]


@given(rows=st.integers(1, 40), columns=st.integers(1, 40), size=st.integers(1, 100))
def test_blocks_are_all_rows_once(rows, columns, size):
    found = [row for block in row_blocks((rows, columns), size) for row in range(rows)[block]]
    assert found == list(range(rows))


def test_large_layers_are_widened_block_by_block():
    """Bytes of Python's arrays at once, by the number of weights: one for the weights, and little else."""
    weight = (np.arange(2**22) % 255 - 127).astype(np.int8).reshape(1024, -1)
    node = Affine("a", ("input",), (weight.shape[1],), (len(weight),), weight, np.zeros(len(weight), np.int64))
    assert isinstance(node, Synapse)
    uses = {
        "narrow": (lambda: narrow(weight.astype(np.float32)), 5.2),
        "structure": (lambda: node.structure(), 1.1),
        "nonzero": (lambda: node.nonzero(), 3.2),
        "pull-back": (lambda: node.pull_back(np.ones(node.output_shape, np.int64), node.structure()), 4.0),
        "soundness": (lambda: list(_operation(node)), 0.5),
        "hash": (lambda: hashes.content_sha256(nir.NIRGraph({"a": held}, [], type_check=False)), 1.0),
    }
    held = nir.Affine(weight.astype(np.float32), np.zeros(len(weight), np.float32))
    list(_operation(_affine([1] * 6)))  # torch imports what it needs for shapes alone
    for what, (use, most) in uses.items():
        tracemalloc.start()
        use()
        peak = tracemalloc.get_traced_memory()[1] / weight.size
        tracemalloc.stop()
        assert peak < most, what
