"""report.json against its schema; files that appear whole, and the same every time."""

import hashlib
import json
import math
import os
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.cases import CASES, steps_of
from helpers.graphs import random_graph, random_images

import spikec.reporting
from spikec.errors import DataError, ToolchainError
from spikec.ir.kinds import kinds
from spikec.reporting import report
from spikec.simulation import simulate
from spikec.whole_files import write_text

SCHEMA = json.loads((Path(spikec.reporting.__file__).parent / "schema.json").read_text(encoding="utf-8"))
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
KNOWN = {"$schema", "$defs", "$ref", "title", "description", "type", "required", "properties", "additionalProperties"}
KNOWN |= {"items", "minItems", "maxItems", "enum", "const", "minimum", "maximum", "pattern", "anyOf"}


def problems(value, schema, where="report"):
    """What violates the JSON Schema keywords our schema uses; an unknown keyword is an error of the test."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema:
        return problems(value, SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]], where)
    if "anyOf" in schema:
        found = [problems(value, option, where) for option in schema["anyOf"]]
        return [] if [] in found else min(found, key=len)
    if "const" in schema and value != schema["const"]:
        return [f"{where} is {value!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where} is {value!r}"]
    allowed = schema.get("type", [])
    allowed = [allowed] if isinstance(allowed, str) else allowed
    is_type = [
        isinstance(value, TYPES[t]) and not (isinstance(value, bool) and t in ("integer", "number")) for t in allowed
    ]
    if allowed and not any(is_type):
        return [f"{where} is a {type(value).__name__}, not {allowed}"]
    if isinstance(value, dict):
        return _of_object(value, schema, where)
    if isinstance(value, list):
        short, long = schema.get("minItems", 0), schema.get("maxItems", math.inf)
        found = [] if short <= len(value) <= long else [f"{where} has {len(value)} items"]
        return found + [p for i, item in enumerate(value) for p in problems(item, schema["items"], f"{where}[{i}]")]
    if isinstance(value, str):
        return [] if re.search(schema.get("pattern", ""), value) else [f"{where} is {value!r}"]
    if isinstance(value, int | float) and not isinstance(value, bool):
        inside = schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
        return [] if inside and math.isfinite(value) else [f"{where} is {value}"]
    return []


def _of_object(value, schema, where):
    named = schema.get("properties", {})
    found = [f"{where}.{name} is missing" for name in schema.get("required", []) if name not in value]
    for name, item in value.items():
        rest = schema.get("additionalProperties", True)
        if name in named:
            found += problems(item, named[name], f"{where}.{name}")
        elif rest is False:
            found.append(f"{where}.{name} is not in the schema")
        elif isinstance(rest, dict):
            found += problems(item, rest, f"{where}.{name}")
    return found


def _written(folder, deployment, arguments):
    report(deployment.graph, path=folder / "report.html", **arguments)
    return (folder / "report.html").read_bytes(), (folder / "report.json").read_bytes()


def _no_constants(name):
    raise AssertionError(f"{name} in the JSON document")


def test_the_document_follows_the_schema(tmp_path, deployment, arguments):
    _, raw = _written(tmp_path, deployment, arguments)
    document = json.loads(raw, parse_constant=_no_constants)
    assert problems(document, SCHEMA) == []
    assert document["verification"]["identical"] is False


@pytest.mark.parametrize("number", [3, 40])
def test_documents_of_other_measures_follow_it(deployment, arguments, number):
    """Few images give no interval; the correlation with equal numbers is not defined."""
    labels = np.ones((number, 3), np.float32)
    given = {"images": deployment.images[:number], "labels": labels, "metric": ["mae", "correlation"]}
    given["ann_logits"] = deployment.ann_logits[:number]
    bare = report(deployment.graph, estimates=(), fits=(), path=None, **given)
    document = json.loads(json.dumps(bare.to_json()))
    assert problems(document, SCHEMA) == []
    mae, correlation = document["quality"]
    assert (mae["interval"] is None) == (mae["network"]["interval"] is None) == (number == 3)
    assert (correlation["value"], correlation["network"]) == (None, None)
    assert "not defined" in bare.html()
    assert "not defined" in bare.text()


def test_a_minimal_document_follows_it_too(deployment):
    bare = report(deployment.graph, images=deployment.images, labels=deployment.labels, estimates=(), path=None)
    assert problems(json.loads(json.dumps(bare.to_json())), SCHEMA) == []


def test_a_document_from_before_classes_had_names_follows_it(made):
    """``names`` came later, under the same number of the schema."""
    document = json.loads(json.dumps(made.to_json()))
    assert document["confusion"].pop("names")
    assert problems(document, SCHEMA) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.pop("network"), "report.network is missing"),
        (lambda d: d.update(extra=1), "report.extra is not in the schema"),
        (lambda d: d["accuracy"]["snn"].update(value=1.5), "report.accuracy.snn.value is 1.5"),
        (lambda d: d["populations"][0].update(neurons="32"), "report.populations[0].neurons is a str"),
        (lambda d: d.update(schema="spikec.report/2"), "report.schema is"),
    ],
)
def test_the_check_can_fail(made, change, says):
    document = json.loads(json.dumps(made.to_json()))
    change(document)
    (found,) = problems(document, SCHEMA)
    assert found.startswith(says)


@pytest.mark.parametrize(("kind", "schedule", "drain"), CASES)
def test_documents_of_every_kind_name_it(kind, schedule, drain):
    rng = np.random.default_rng(3)
    graph = random_graph(rng, kind=kind, schedule=schedule, timesteps=steps_of(kind, 2), drain=drain)
    images = random_images(rng, graph, 3) * graph.input.scale
    made = report(graph, images=images, labels=np.zeros(3), trace=simulate(graph, images), estimates=(), path=None)
    document = json.loads(json.dumps(made.to_json()))
    assert problems(document, SCHEMA) == []
    *populations, readout = (row["kind"] for row in document["populations"])
    assert set(populations) == {kind} <= set(kinds())
    assert readout == "integrator"


def test_numbers_that_are_none_are_named(made):
    synapse = replace(made.synapses[0], spikes_per_synapse=float("nan"))
    with pytest.raises(DataError, match=r"report\.synapses\[0\]\.spikes_per_synapse is nan"):
        replace(made, synapses=(synapse,)).to_json()


def test_same_arguments_same_bytes(tmp_path, deployment, arguments):
    first = _written(tmp_path / "a", deployment, arguments)
    assert first == _written(tmp_path / "b", deployment, arguments)
    assert first[1] != _written(tmp_path / "c", deployment, {**arguments, "seed": 8})[1]


def test_date_is_given_or_from_the_environment_or_absent(monkeypatch, deployment, arguments):
    def date(**given):
        return report(deployment.graph, path=None, estimates=(), **{**arguments, **given}).provenance.date

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert date() == "2026-11-23"
    assert date(date=None) == "1970-01-02 00:00 UTC"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    with pytest.raises(DataError, match="SOURCE_DATE_EPOCH"):
        date(date=None)
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert date(date=None) is None


def test_the_hash_sees_every_pixel_and_label(deployment, arguments, made):
    images, labels = deployment.images.copy(), deployment.labels.copy()
    images[3, 0, 1, 2] += 1 / 15
    labels[5] = (labels[5] + 1) % 3
    for changed in ({"images": images}, {"labels": labels}):
        other = report(deployment.graph, path=None, estimates=(), **{**arguments, **changed})
        assert other.provenance.data_sha256 != made.provenance.data_sha256


def test_the_hash_is_that_of_type_shape_and_bytes(deployment, arguments, made):
    """Images as little-endian float32, then labels as int64 or numbers as float32, as plain Python packs them."""

    def hashed(*arrays):
        digest = hashlib.sha256()
        for code, values in arrays:
            shape = tuple(int(size) for size in values.shape)
            digest.update(f"{ {'f': '<f4', 'q': '<i8'}[code] }{shape}".encode())
            digest.update(struct.pack(f"<{values.size}{code}", *values.reshape(-1).tolist()))
        return digest.hexdigest()

    images = ("f", deployment.images)
    assert made.provenance.data_sha256 == hashed(images, ("q", deployment.labels))
    numbers = np.random.default_rng(1).normal(size=(40, 3))
    given = {**arguments, "labels": numbers.astype(np.float32), "estimates": (), "fits": ()}
    assert report(deployment.graph, path=None, **given).provenance.data_sha256 == hashed(images, ("f", numbers))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_text(path, "old")

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(ToolchainError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_nothing_is_written_where_the_document_cannot_be(tmp_path, made):
    synapse = replace(made.synapses[0], spikes_per_synapse=float("inf"))
    with pytest.raises(DataError):
        replace(made, synapses=(synapse,)).write(tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_file_names(tmp_path, made):
    assert made.write(tmp_path / "a.html") == (tmp_path / "a.html", tmp_path / "a.json")
    assert made.write(tmp_path / "new" / "b.html", tmp_path / "c.json")[1] == tmp_path / "c.json"
    assert (tmp_path / "new" / "b.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(ToolchainError, match="another name"):
        made.write(tmp_path / "d.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolchainError, match="cannot write"):
        made.write(tmp_path / "file" / "e.html")
