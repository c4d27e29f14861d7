"""Deployment files: bit for bit what was built, byte-identical for identical graphs, readable by plain NIR."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import fields

import nir
import numpy as np
import pytest
from helpers.same import same

import spikec as tc
from spikec.ir import decode, diff, text


def _assert_same(first, second):
    """Two values of metadata or of node fields; HDF5 hands scalars back as numpy scalars and strings as bytes."""
    if isinstance(first, dict):
        assert set(first) == set(second)
        for key in first:
            _assert_same(first[key], second[key])
    elif isinstance(first, str):
        assert first == (second.decode() if isinstance(second, bytes) else str(second))
    else:
        first, second = np.asarray(first), np.asarray(second)
        assert first.shape == second.shape
        assert first.dtype.kind == second.dtype.kind
        assert first.tobytes() == second.astype(first.dtype).tobytes()


def test_what_is_read_is_what_was_written(any_deployment, tmp_path):
    loaded = tc.load(tc.save(any_deployment, tmp_path / "net.nir"))
    assert set(loaded.nodes) == set(any_deployment.nodes)
    assert sorted(loaded.edges) == sorted(any_deployment.edges)
    for name, node in any_deployment.nodes.items():
        read = loaded.nodes[name]
        assert type(read) is type(node)
        for field in ("weight", "bias", "r", "v_threshold", "v_reset"):
            if hasattr(node, field):
                array = getattr(read, field)
                assert array.dtype == np.float32
                assert array.tobytes() == getattr(node, field).tobytes()
        for field in ("stride", "padding", "dilation", "groups", "kernel_size", "start_dim", "end_dim"):
            if hasattr(node, field):
                np.testing.assert_array_equal(getattr(read, field), getattr(node, field))
        _assert_same(node.metadata, read.metadata)
    profile = loaded.metadata["spikec"]
    assert len(str(profile.pop("metadata_sha256"))) in (64, len(str(b"" + b"0" * 64)))
    _assert_same(any_deployment.metadata["spikec"], profile)


def test_what_is_decoded_is_what_was_built(any_deployment, tmp_path):
    built, read = decode(any_deployment), decode(tc.load(tc.save(any_deployment, tmp_path / "net.nir")))
    assert list(built.nodes) == list(read.nodes)
    for node in built:
        assert same(node, read.nodes[node.name])
    for field in fields(built):
        if field.name != "nodes":
            assert getattr(built, field.name) == getattr(read, field.name)
    assert diff(any_deployment, read) == []
    assert text(any_deployment) == text(read)


def test_identical_graphs_give_identical_bytes(any_deployment, tmp_path):
    first = tc.save(any_deployment, tmp_path / "first.nir").read_bytes()
    again = tc.save(tc.load(tmp_path / "first.nir"), tmp_path / "again.nir").read_bytes()
    any_deployment.nodes = dict(reversed(any_deployment.nodes.items()))
    any_deployment.edges = any_deployment.edges[::-1]
    shuffled = tc.save(any_deployment, tmp_path / "shuffled.nir").read_bytes()
    assert first == again == shuffled


def test_plain_nir_reads_the_file_with_its_type_check(any_deployment, tmp_path):
    path = tc.save(any_deployment, tmp_path / "net.nir")
    requires = json.loads(any_deployment.metadata["spikec"]["requires"])
    if "nir_type_check=off" in requires:
        with pytest.raises(ValueError):
            nir.read(path, type_check=True)
    graph = nir.read(path, type_check="nir_type_check=off" not in requires)
    assert set(graph.nodes) == set(any_deployment.nodes)


def test_saving_leaves_the_graph_as_it_is(deployment, tmp_path):
    graph = deployment("qcfs")
    tc.save(graph, tmp_path / "net.nir")
    assert graph.metadata == deployment("qcfs").metadata
    assert list(graph.nodes) == list(deployment("qcfs").nodes)


def test_what_an_edited_graph_needs_is_listed_in_its_file(deployment, tmp_path):
    graph = deployment("qcfs")
    for node in graph.nodes.values():
        if isinstance(node, nir.IF):
            node.metadata["spikec"]["kind"] = "signed_if"
    graph.metadata["spikec"]["drain"] = 2
    listed = graph.metadata["spikec"]["requires"]
    read = tc.load(tc.save(graph, tmp_path / "net.nir"))
    assert {"signed_spikes", "drain", *json.loads(listed)} == set(json.loads(read.metadata["spikec"]["requires"]))
    assert graph.metadata["spikec"]["requires"] == listed
    assert tc.decode(read).drain == 2


def test_several_spikes_per_step_are_required_of_readers(deployment, tmp_path):
    """One spike per step asks for nothing: files are what they were."""
    graph = deployment("qcfs")
    assert "max_spikes_per_step" not in json.loads(graph.metadata["spikec"]["requires"])
    graph.nodes["last"].metadata["spikec"]["max_spikes_per_step"] = 3
    read = tc.load(tc.save(graph, tmp_path / "net.nir"))
    assert "max_spikes_per_step" in json.loads(read.metadata["spikec"]["requires"])
    assert tc.decode(read).nodes["last"].neuron.spikes == 3
    assert "spikes 3" in text(read, layer="last")
    assert "spikes" not in text(read, layer="merged")


def test_an_unsound_graph_is_not_written(edited, tmp_path):
    path = tmp_path / "net.nir"
    path.write_bytes(b"before")
    with pytest.raises(tc.GraphError):
        tc.save(edited("qcfs", ("set", "timesteps", 0)), path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["net.nir"]


def test_an_existing_file_is_replaced_and_readable_by_all_that_umask_allows(deployment, tmp_path):
    path = tmp_path / "net.nir"
    path.write_bytes(b"before")
    before = os.umask(0o027)
    try:
        tc.save(deployment("qcfs"), path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["net.nir"]


def test_a_place_that_cannot_be_written_is_named(deployment, tmp_path):
    with pytest.raises(tc.GraphError, match=r"^cannot write \S+/none/net\.nir: No such file or directory$"):
        tc.save(deployment("qcfs"), tmp_path / "none" / "net.nir")
    (tmp_path / "folder").mkdir()
    with pytest.raises(tc.GraphError, match=r"^cannot write \S+/folder: Is a directory$"):
        tc.save(deployment("qcfs"), tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


def test_an_edit_in_memory_of_what_the_hash_covers_is_not_written(deployment, tmp_path):
    graph = deployment("qcfs")
    graph.nodes["stem"].weight[0, 0, 0, 0] += 1
    with pytest.raises(tc.GraphError, match="the node was edited"):
        tc.save(graph, tmp_path / "net.nir")


def test_listing_is_stable(deployment):
    listing = text(deployment("qcfs"))
    assert listing == text(deployment("qcfs"))
    head, table, totals = listing.strip().split("\n\n")
    assert head.splitlines()[:2] == ["spikec.nir/1", "T 3, pipelined"]
    rows = [row.split()[:4] for row in table.splitlines()]
    assert rows == [
        ["node", "kind", "shape", "from"],
        ["input", "input", "uint8", "2x6x6"],
        ["stem", "conv", "3x3", "4x6x6"],
        ["spikes", "if", "4x6x6", "stem"],
        ["tall", "conv", "3x3", "4x6x6"],
        ["padded.1", "conv", "5x5", "4x6x6"],
        ["merged.synapse", "conv", "1x1", "4x6x6"],
        ["merged", "if", "4x6x6", "tall"],
        ["hidden.pool", "sumpool", "2x2", "4x3x3"],
        ["hidden.flatten", "flatten", "36", "hidden.pool"],
        ["hidden", "affine", "5", "hidden.flatten"],
        ["last", "if", "5", "hidden"],
        ["classes", "affine", "3", "last"],
        ["readout", "integrator", "3", "classes"],
    ]
    assert totals.splitlines()[0].startswith("3 layers, 293 neurons, ")


def test_listing_of_one_node(deployment):
    detail = text(deployment("qcfs"), "hidden")
    assert detail.startswith("hidden: affine 5\nfrom  hidden.flatten\nto    last\n")
    with pytest.raises(tc.GraphError, match="there is no node 'nothing'; nodes: input, stem, "):
        text(deployment("qcfs"), "nothing")
