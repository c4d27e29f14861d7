"""Hashes of a file: those of the documentation, of the values alone, for both versions of the profile."""

from __future__ import annotations

import hashlib
import shutil
import struct
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
from helpers.drawn import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.ir import decode
from spikec.ir.metadata import KEY, SCHEMA, WRITTEN
from spikec.ir.profile.hashes import content_sha256, metadata_sha256

_OLD = Path(__file__).parent / "files" / "of_0_1_0.nir"


def _sha(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "little") + part for part in parts)).hexdigest()


def _graph(schema, weight, **metadata):
    nodes = {
        "input": nir.Input({"input": np.array([2])}),
        "a": nir.Affine(np.asarray(weight, np.float32), np.zeros(2, np.float32), metadata={KEY: metadata}),
        "output": nir.Output({"output": np.array([2])}),
    }
    return nir.NIRGraph(nodes, [("input", "a"), ("a", "output")], metadata={KEY: {"schema": schema}}, type_check=False)


def test_the_bytes_are_those_of_the_documentation():
    """By hand, from docs/nir-profile.md."""
    graph = _graph("spikec.nir/1.1", [[1, -2], [300, 0]], scale=0.5, op="affine", weight_exp=3)
    ends = [b"a", b"output", b"input", b"a"]
    numbers = [b"bias", b"<i1(2,)", b"\0", b"weight", b"<i2(2, 2)", struct.pack("<4h", 1, -2, 300, 0)]
    assert content_sha256(graph) == _sha(b"a", b"Affine", *numbers, b"input", b"Input", b"output", b"Output", *ends)
    assert metadata_sha256(graph) == _sha(
        b"/schema", b"str", b"spikec.nir/1.1", b"a/op", b"str", b"affine",
        b"a/scale", b"<f8(1,)", struct.pack("<d", 0.5), b"a/weight_exp", b"<i1(1,)", b"\3",
    )  # fmt: skip


def test_the_first_version_has_the_hashes_it_had():
    graph = _graph("spikec.nir/1", [[1, -2], [300, 0]], scale=0.5, op="affine")
    ends = [b"a", b"output", b"input", b"a"]
    numbers = [b"bias", b"(2,)", bytes(16), b"weight", b"(2, 2)", struct.pack("<4d", 1, -2, 300, 0)]
    assert content_sha256(graph) == _sha(b"a", b"Affine", *numbers, b"input", b"Input", b"output", b"Output", *ends)
    scale = b"(1,)" + struct.pack("<d", 0.5)
    assert metadata_sha256(graph) == _sha(b"/schema", b"spikec.nir/1", b"a/op", b"affine", b"a/scale", scale)
    assert content_sha256(_graph("", [[1, -2], [300, 0]])) != content_sha256(
        graph.nodes and _graph(SCHEMA, [[0, 0]] * 2)
    )


_ENDS = [s * 2**bits + off for bits in (7, 8, 15, 16, 23) for s in (1, -1) for off in (-1, 0, 1)]
_VALUES = st.lists(st.one_of(st.sampled_from([*_ENDS, 0]), st.sampled_from([0.5, -0.25])), min_size=4, max_size=4)


def _narrowest(values):
    """Type and bytes, by Python's own numbers."""
    whole = all(v == int(v) for v in values)
    letters = ((1, "b"), (2, "h"), (4, "i"), (8, "q"))
    size, letter = next(
        ((s, c) for s, c in letters if whole and all(-(2 ** (8 * s - 1)) <= v < 2 ** (8 * s - 1) for v in values)),
        (8, "d"),
    )
    few = values[:1] if len(set(values)) == 1 else values
    packed = struct.pack(f"<{len(few)}{letter}", *(few if letter == "d" else map(int, few)))
    return f"<{'f' if letter == 'd' else 'i'}{size}(2, 2)".encode(), packed


@settings(max_examples=drawn(60), deadline=None)
@given(values=_VALUES)
def test_numbers_are_hashed_as_the_narrowest_that_hold_them(values):
    graph = _graph(WRITTEN, np.reshape(values, (2, 2)))
    expected = [b"a", b"Affine", b"bias", b"<i1(2,)", b"\0", b"weight", *_narrowest(values)]
    ends = [b"a", b"output", b"input", b"a"]
    found = content_sha256(graph)
    assert found == _sha(*expected, b"input", b"Input", b"output", b"Output", *ends)
    for kind in ("f8", ">f4", "i8", "i4"):
        held = np.reshape(values, (2, 2)).astype(kind)
        if (held == np.reshape(values, (2, 2))).all():  # whatever holds them
            graph.nodes["a"].weight = np.asfortranarray(held)
            assert content_sha256(graph) == found


@settings(max_examples=drawn(60), deadline=None)
@given(
    values=st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=5),
    place=st.integers(0, 4),
    more=st.sampled_from([1, -1, 2**8, 2**16, 2**32]),
)
def test_every_number_is_part_of_it(values, place, more):
    """Also where some type would make it the same as another."""
    other = list(values)
    other[place % len(values)] += more
    one, two = (metadata_sha256(_graph(WRITTEN, np.eye(2), held=np.array(each, np.int64))) for each in (values, other))
    assert one != two


@pytest.mark.parametrize("size", [2**16 - 1, 2**16, 2**16 + 1, 2**17 + 3])
@pytest.mark.parametrize("value", [128, -129, 2**15, 0.5, np.nan])
def test_one_odd_number_in_a_later_part_counts(size, value):
    plain = np.arange(size) % 255 - 127
    array = plain.astype(np.float64)
    array[-1] = value
    kind = "<f8" if value != value or value % 1 else "<i4" if abs(value) >= 2**15 else "<i2"
    digest = hashlib.sha256()
    for part in (
        b"/schema",
        b"str",
        WRITTEN.encode(),
        b"a/held",
        f"{kind}({size},)".encode(),
        array.astype(kind).tobytes(),
    ):
        digest.update(len(part).to_bytes(8, "little") + part)
    assert metadata_sha256(_graph(WRITTEN, np.eye(2), held=array)) == digest.hexdigest()


def _edited(path, name, change):
    with h5py.File(path, "r+") as file:
        value = file[name][()]
        del file[name]
        file[name] = change(value)


def test_files_of_the_first_version_are_read_and_checked(tmp_path):
    graph = tc.load(_OLD)
    about = graph.metadata[KEY]
    assert about["schema"] == SCHEMA
    assert decode(graph).content_sha256 == content_sha256(graph)
    neurons = next(name for name, node in graph.nodes.items() if isinstance(node, nir.IF))
    synapse = next(name for name, node in graph.nodes.items() if isinstance(node, nir.Affine))
    changes = {
        f"node/nodes/{neurons}/metadata/spikec/v_init_int": "metadata was changed after the file was written",
        f"node/nodes/{synapse}/bias": "content_sha256 does not match",
        "node/metadata/spikec/schema": "content_sha256 does not match",  # what is hashed follows from it
    }
    for place, said in changes.items():
        copy = tmp_path / "edited.nir"
        shutil.copy(_OLD, copy)
        _edited(copy, place, lambda value: WRITTEN if place.endswith("schema") else value + 1)  # noqa: B023
        with pytest.raises(tc.GraphError, match=said):
            tc.load(copy)


def test_a_graph_keeps_the_version_it_was_read_with(tmp_path):
    """So what was measured of it, which names its hash, is still of it."""
    graph = tc.load(_OLD)
    again = tc.load(tc.save(graph, tmp_path / "again.nir"))
    assert again.metadata[KEY]["schema"] == SCHEMA
    assert again.metadata[KEY]["content_sha256"] == graph.metadata[KEY]["content_sha256"]


def test_the_version_cannot_be_exchanged_for_the_other(deployment, tmp_path):
    path = tc.save(deployment("qcfs"), tmp_path / "net.nir")
    assert tc.load(path).metadata[KEY]["schema"] == WRITTEN
    _edited(path, "node/metadata/spikec/schema", lambda value: SCHEMA)
    with pytest.raises(tc.GraphError, match="content_sha256 does not match"):
        tc.load(path)
