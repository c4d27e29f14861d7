"""``docs/nir-profile.schema.json`` describes the metadata that is written, and refuses other metadata."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import nir
import numpy as np
import pytest
from helpers.json_schema import errors

import spikec as tc

_DOCS = Path(__file__).parents[2] / "docs"
_SCHEMA = json.loads((_DOCS / "nir-profile.schema.json").read_text())


def _plain(value, shown=None):
    """Values as JSON has them; of an array the first ``shown`` numbers."""
    if isinstance(value, dict):
        return {key: _plain(part, shown) for key, part in value.items()}
    if isinstance(value, np.ndarray) and shown is not None:
        value = value.reshape(-1)[:shown]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _document(graph, shown=None):
    nodes = {}
    for name, node in graph.nodes.items():
        nodes[name] = {"type": type(node).__name__} | ({"spikec": node.metadata["spikec"]} if node.metadata else {})
    return _plain({"graph": graph.metadata["spikec"], "nodes": nodes}, shown)


def test_schema_describes_what_is_built(any_deployment):
    assert list(errors(_SCHEMA, _document(any_deployment))) == []


def test_schema_describes_what_is_read(deployment, tmp_path):
    loaded = tc.load(tc.save(deployment("signed"), tmp_path / "net.nir"))
    document = json.loads(json.dumps(_document(loaded), default=lambda value: value.decode()))
    assert list(errors(_SCHEMA, document)) == []
    assert "metadata_sha256" in document["graph"]


def test_schema_names_the_dtypes_of_the_file(any_deployment):
    for node in any_deployment.nodes.values():
        defined = _SCHEMA["$defs"][type(node).__name__]["properties"]
        for key, value in node.metadata.get("spikec", {}).items():
            part = defined["spikec"]["properties"][key]
            part = _SCHEMA["$defs"][part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else part
            assert part.get("x-dtype") == (str(value.dtype) if isinstance(value, np.ndarray) else None), key


def _every_edit(document):
    """Documents with one key removed, added, or of another type, and where they were edited."""
    for path in _paths(document):
        *owners, key = path
        for edit in ("removed", "renamed", "other type"):
            edited = copy.deepcopy(document)
            owner = edited
            for name in owners:
                owner = owner[name]
            value = owner.pop(key)
            if edit == "renamed":
                owner[f"{key}!"] = value
            elif edit == "other type":
                owner[key] = [[None]]
            yield edited, path, edit


def _paths(value, before=()):
    for key, part in value.items() if isinstance(value, dict) else ():
        yield (*before, key)
        yield from _paths(part, (*before, key))


_OPTIONAL = {
    "producer",
    "dt",
    "info",
    "calibrated",
    "source_sha256",
    "decode",
    "op",
    "weight_exp",
    "groups",
    "margin",
    "origin",
}
_OPTIONAL |= {
    "folded_divisor",
    "v_threshold_neg_int",
    "reset",
    "spike_cmp",
    "max_spikes_per_step",
    "scale",
    "v_init_int",
}


@pytest.mark.parametrize("name", ["signed", "calibrated", "graded"])
def test_schema_refuses_other_metadata(name, deployment):
    for edited, path, edit in _every_edit(_document(deployment(name), shown=4)):
        node = path[0] == "nodes" and len(path) == 2 and path[1] not in ("input", "output")
        pool = path[-1] == "spikec" and "pool" in path[1]
        allowed = edit == "removed" and (path[-1] in _OPTIONAL or node or pool)
        assert allowed or list(errors(_SCHEMA, edited)), (path, edit)


def test_schema_knows_several_spikes_per_step(deployment):
    for name, right in (("qcfs", True), ("signed", True), ("graded", False), ("calibrated", False)):
        document = _document(deployment(name))
        for node in document["nodes"].values():
            if "max_spikes_per_step" in node.get("spikec", {}):
                node["spikec"]["max_spikes_per_step"] = 3
        assert (not list(errors(_SCHEMA, document))) == right, name


def test_page_names_every_key_and_node_type(any_deployment):
    page = (_DOCS / "nir-profile.md").read_text()
    for node in [any_deployment, *any_deployment.nodes.values()]:
        assert isinstance(node, nir.NIRGraph) or f"`{type(node).__name__}`" in page
        for key in node.metadata.get("spikec", {}):
            assert f"`{key}`" in page
    for item in json.loads(any_deployment.metadata["spikec"]["requires"]):
        assert f"`{item}`" in page
