"""Files as they are written: packed by us, read by HDF5, by nir and through the process that reads files."""

from __future__ import annotations

import copy
import io

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.hdf5 import writing
from spikec.hdf5.child import tree_of
from spikec.hdf5.wire import Narrowed, narrowed, receive_tree, send_tree


def _read(graph: nir.NIRNode, place: str) -> np.ndarray:
    content = io.BytesIO()
    writing.write_graph(content, graph)
    with h5py.File(content) as file:
        return file[place][()]


@settings(max_examples=25, deadline=None)
@given(
    shape=st.sampled_from([(7,), (300, 3), (3, 5, 3, 3), (2, 130, 70), (1, 4000)]),
    dtype=st.sampled_from(["f4", "f8", "i1", "i4", "i8", "u2"]),
    spread=st.sampled_from([0, 1, 30, 127]),
    seed=st.integers(0, 99),
)
def test_hdf5_reads_what_is_packed(shape, dtype, spread, seed):
    array = np.random.default_rng(seed).integers(0 if dtype == "u2" else -spread, spread + 1, shape).astype(dtype)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writing, "_LARGE", 1)
        patched.setattr(writing, "_CHUNK", 256)
        read = _read(
            nir.Affine(array[None], np.zeros(1), metadata={"more": {"held": array}}), "node/metadata/more/held"
        )
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_large_weights_are_small_and_read_by_nir(tmp_path):
    weight = np.clip(np.rint(np.random.default_rng(0).normal(0, 25, (500, 700))), -127, 127).astype(np.float32)
    graph = nir.NIRGraph(
        {"in": nir.Input({"input": np.array([700])}), "a": nir.Affine(weight, np.zeros(500, np.float32)),
         "out": nir.Output({"output": np.array([500])})},
        [("in", "a"), ("a", "out")],
    )  # fmt: skip
    content = io.BytesIO()
    writing.write_graph(content, graph)
    again = io.BytesIO()
    writing.write_graph(again, copy.deepcopy(graph))
    assert content.getvalue() == again.getvalue()
    assert len(content.getvalue()) < 1.6 * weight.size
    path = tmp_path / "net.nir"
    path.write_bytes(content.getvalue())
    np.testing.assert_array_equal(nir.read(path).nodes["a"].weight, weight)
    nir.write(tmp_path / "theirs.nir", graph)
    with h5py.File(path) as ours, h5py.File(tmp_path / "theirs.nir") as theirs:
        names: list[list[str]] = [[], []]
        ours.visit(names[0].append)
        theirs.visit(names[1].append)
        assert names[0] == names[1]


def test_fields_are_those_of_nir_and_not_copied():
    weight = np.ones((2, 3))
    node = nir.Affine(weight, np.zeros(2), metadata={"spikec": {"weight_int": weight}})
    fields = writing.fields_of(node)
    assert list(fields) == list(node.to_dict())
    assert fields["weight"] is node.weight
    assert fields["metadata"]["spikec"]["weight_int"] is weight


@pytest.mark.parametrize("odd", [-0.0, 0.5, 40000.0, np.nan, np.inf, -129.0, None])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_what_is_sent_narrow_comes_back_in_every_bit(odd, dtype):
    array = (np.arange(2**16 + 5) % 255 - 127).astype(dtype).reshape(-1, 1)
    if odd is not None:
        array[-2] = odd
    sent = narrowed(array)
    assert isinstance(sent, Narrowed) == _fits(array)
    back = sent.values.astype(sent.kind) if isinstance(sent, Narrowed) else sent
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()


def _fits(array: np.ndarray) -> bool:
    """Whether its numbers, none of them a negative zero, are whole and within 16 bits, 8 for those of two bytes."""
    bits = 8 if array.dtype.itemsize == 2 else 16
    return all(
        np.isfinite(x) and x == int(x) and -(2 ** (bits - 1)) <= x < 2 ** (bits - 1) and not (x == 0 and np.signbit(x))
        for x in array[-2:].reshape(-1)
    )


def test_a_tree_travels_narrow_and_arrives_wide():
    weight = (np.arange(2**15) % 200 - 100).astype(np.float32).reshape(2, -1)
    content = io.BytesIO()
    writing.write_graph(content, nir.Affine(weight, np.full(2, 0.5)))
    pipe = io.BytesIO()
    send_tree(pipe, tree_of(content.getvalue(), 2**22, kept=narrowed))
    assert len(pipe.getvalue()) < 1.1 * weight.size
    pipe.seek(0)

    def fill(view: memoryview) -> None:
        assert pipe.readinto(view) == len(view)

    found = receive_tree(fill, 2**22).node
    expected = tree_of(content.getvalue(), 2**22).node
    assert found["weight"].data.dtype == np.float32
    np.testing.assert_array_equal(found["weight"].data, weight)
    np.testing.assert_array_equal(found["bias"].data, expected["bias"].data)
