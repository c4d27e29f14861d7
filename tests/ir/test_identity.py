"""The identity of a deployment: whatever changes what is computed changes it, and nothing else does."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from helpers.cases import CASES, steps_of
from helpers.drawn import drawn
from helpers.graphs import random_graph, random_images, random_outputs
from helpers.networks import one_layer, small_network
from helpers.nodes import affine, graph_of, population, readout
from helpers.sequences import random_sequence_graph
from hypothesis import given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.errors import MissingImplementation
from spikec.ir import IntegerGraph, build, decode
from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, Population
from spikec.ir.input_statistics import InputStatistics
from spikec.ir.kinds import IF, CubaLIF, Kind, Maximum
from spikec.ir.measured import Measured
from spikec.ir.operations import Synapse
from spikec.ir.profile.hashes import content_sha256

_SETTINGS = settings(max_examples=drawn(8), deadline=None)
_FILES = Path(__file__).parent / "files"
SEEDS = st.integers(0, 2**32)

#: Fields that say what things are called, where they come from, and, of a population, what a unit is for reports.
_NODE_NAMES = {"name", "sources"}
_PROVENANCE = {"content_sha256", "source_sha256", "producer", "info", "measured", "calibrated"}


def _drawn(seed, kinds=CASES) -> IntegerGraph:
    rng = np.random.default_rng(seed)
    kind, schedule, drain = kinds[int(rng.integers(len(kinds)))]
    common = {"kind": kind, "schedule": schedule, "timesteps": steps_of(kind, 4), "drain": drain}
    if seed % 3 == 0:
        return random_sequence_graph(rng, image=bool(rng.integers(2)))
    if seed % 3 == 1:
        return random_outputs(rng, **common)
    return random_graph(rng, **common, maxima=kind != "cuba_lif")


def renamed(graph: IntegerGraph, rng) -> IntegerGraph:
    """Other names of all nodes, late ones after what they are of."""
    new = {name: f"n{number}" for number, name in zip(rng.permutation(len(graph.nodes)), graph.nodes, strict=True)}
    nodes = {}
    for node in graph:
        if isinstance(node, Delayed):
            changed = Delayed.named(new[node.of], node.shape, node.steps)
            new[node.name] = changed.name
        else:
            changed = replace(node, name=new[node.name], sources=tuple(new[s] for s in node.sources))
        nodes[changed.name] = changed
    return replace(graph, nodes=nodes)


@_SETTINGS
@given(seed=SEEDS)
def test_is_that_of_the_file_and_of_the_file_read_back(seed, tmp_path_factory):
    graph = _drawn(seed)
    path = tmp_path_factory.mktemp("identity") / "net.nir"
    assert decode(build(graph)).deployment_sha256 == graph.deployment_sha256
    if seed % 8 == 0:  # a process reads the file, which takes its time
        assert decode(tc.load(tc.save(build(graph), path))).deployment_sha256 == graph.deployment_sha256


@_SETTINGS
@given(seed=SEEDS)
def test_names_order_and_provenance_are_no_part_of_it(seed):
    graph, rng = _drawn(seed), np.random.default_rng(seed)
    assert renamed(graph, rng).deployment_sha256 == graph.deployment_sha256
    shuffled = {n: replace(x, sources=tuple(rng.permutation(x.sources).tolist())) for n, x in graph.nodes.items()}
    assert replace(graph, nodes=shuffled).deployment_sha256 == graph.deployment_sha256
    hits = {stage: np.ones(1, bool) for stage in ("network", "spiking")}
    about = replace(
        graph,
        content_sha256="0" * 64,
        source_sha256="1" * 64,
        producer="somebody",
        info={"method": "another", "note": "text"},
        measured=Measured("digits", (b"123456",), hits, "", 4),
        calibrated=InputStatistics(1, 1, 1, 0, 0, 0, 0, 0.0, 1.0, 0.0, 1.0, (0.0, 1.0, 2.0)),
    )
    assert about.deployment_sha256 == graph.deployment_sha256
    units = {n: replace(x, scale=np.ones(1)) if isinstance(x, Population) else x for n, x in graph.nodes.items()}
    assert replace(graph, nodes=units).deployment_sha256 == graph.deployment_sha256
    assert {f.name for f in fields(IntegerGraph)} == _PROVENANCE | {
        "nodes", "timesteps", "schedule", "drain", "format"
    }  # fmt: skip  # a new field has to be on either side


def _other(value, rng):
    """Another value of the same kind."""
    match value:
        case np.ndarray():
            changed = value.copy().reshape(-1)
            changed[int(rng.integers(changed.size))] += 1
            return changed.reshape(value.shape)
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}x"
        case tuple():
            at = int(rng.integers(len(value)))
            return (*value[:at], _other(value[at], rng), *value[at + 1 :])
        case Maximum():
            return IF()
        case None:
            return 2  # 1 is what the one field that has a default of its own means by None
    assert is_dataclass(value)
    names = [each.name for each in fields(value)]
    if not names:
        return CubaLIF()
    name = str(rng.choice(names))
    return _made(value, name, _other(getattr(value, name), rng))


def _made(value, name, changed):
    """``replace`` without checks: what is wrong in a file still is another file."""
    copy = object.__new__(type(value))
    for each in fields(value):
        object.__setattr__(copy, each.name, changed if each.name == name else getattr(value, each.name))
    return copy


def test_numbers_of_numpy_are_those_of_python():
    """A default that NumPy holds is a default: the file that holds the graph has the identity of the graph."""
    graph = small_network(np.random.default_rng(0))
    changed = {}
    for node in graph:
        plain = {each.name: value for each in fields(node) if type(value := getattr(node, each.name)) in (int, bool)}
        changed[node.name] = replace(node, **{name: np.asarray(value)[()] for name, value in plain.items()})
    assert any(type(node.weight_exp) is np.int64 for node in changed.values() if isinstance(node, Synapse))
    other = replace(graph, nodes=changed)
    assert other.deployment_sha256 == graph.deployment_sha256 == decode(build(other)).deployment_sha256


@_SETTINGS
@given(seed=SEEDS)
def test_every_field_of_every_node_is_part_of_it(seed):
    graph, rng = _drawn(seed), np.random.default_rng(seed)
    for node in graph:
        skipped = _NODE_NAMES | ({"scale"} if isinstance(node, Population) else set())
        if isinstance(node, Delayed):
            skipped = {each.name for each in fields(Delayed)} - {"steps"}
        for each in fields(node):
            if each.name in skipped:
                continue
            value = getattr(node, each.name)
            if value is None and each.name == "leak":
                continue
            if each.name == "shape" and not isinstance(node, InputNode):
                continue  # that of its numbers, which are counted
            other = _made(node, each.name, _other(value, rng))
            changed = replace(graph, nodes={**graph.nodes, node.name: other})
            assert changed.deployment_sha256 != graph.deployment_sha256, f"{node.name}.{each.name}"


def test_every_setting_of_the_graph_is_part_of_it():
    graph = small_network(np.random.default_rng(0))
    others = [
        replace(graph, timesteps=5),
        replace(graph, schedule="layerwise"),
        replace(graph, drain=1),
        replace(graph, format="loihi2"),
    ]
    assert len({each.deployment_sha256 for each in (graph, *others)}) == 5
    assert replace(graph, format="generic24").deployment_sha256 == graph.deployment_sha256, "that is what none means"


def test_sequences_have_the_length_they_have():
    graph = random_sequence_graph(np.random.default_rng(3))
    assert graph.lasting(9).deployment_sha256 == graph.deployment_sha256


@_SETTINGS
@given(seed=SEEDS, steps=st.integers(1, 6))
def test_what_gives_another_trace_is_another_deployment(seed, steps):
    """The golden model decides: two graphs of one identity give equal traces."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, timesteps=steps)
    layer = graph.populations[int(rng.integers(len(graph.populations)))]
    changes = [
        {"v_init": layer.v_init + rng.integers(-1, 2, layer.shape)},
        {"theta": np.maximum(1, layer.theta + rng.integers(-1, 2, layer.shape))},
        {"neuron": IF(spikes=int(rng.integers(1, 4)))},
    ]
    other = replace(graph, nodes={**graph.nodes, layer.name: replace(layer, **changes[int(rng.integers(3))])})
    images = random_images(rng, graph) * graph.input.scale
    first, second = tc.simulate(graph, images), tc.simulate(other, images)
    if tc.compare(first, second) is not None:
        assert graph.deployment_sha256 != other.deployment_sha256


def test_branches_that_are_alike_count_as_often_as_they_are_there():
    def branching(*names):
        nodes = [InputNode("input", (2,), "uint8", 1.0)]
        for name in names:
            nodes += [affine(f"w.{name}", ["input"], np.eye(2)), population(name, [f"w.{name}"], (2,))]
            nodes += [affine(f"out.{name}", [name], np.eye(2))]
        return graph_of([*nodes, readout("readout", [f"out.{name}" for name in names], 2)])

    one, two, three = (branching(*"abc"[:number]) for number in (1, 2, 3))
    assert len({each.deployment_sha256 for each in (one, two, three)}) == 3
    assert branching("c", "b").deployment_sha256 == two.deployment_sha256


def test_who_feeds_whom_counts_where_nodes_feed_themselves():
    """Two layers of one kind, each fed back to itself or crosswise: only the edges differ."""

    def looped(first, second):
        shape, zero = (2,), np.zeros(2, np.int64)
        late = {of: Delayed.named(of, shape) for of in ("a", "b")}
        nodes = [InputNode("input", shape, "int8", 1.0, encoding="sequence"), *late.values()]
        for name, size, back in (("a", 1, first), ("b", 2, second)):
            nodes += [affine(f"w{name}", ["input"], size * np.eye(2)), affine(f"r{name}", [late[back].name], np.eye(2))]
            nodes += [Population(name, (f"w{name}", f"r{name}"), shape, CubaLIF(), zero + 5, zero)]
        last = [affine("w", ["a"], np.eye(2)), affine("x", ["b"], np.eye(2)), readout("readout", ["w", "x"], 2)]
        return graph_of([*nodes, *last], timesteps=1)

    own, crossed = looped("a", "b"), looped("b", "a")
    assert own.deployment_sha256 != crossed.deployment_sha256
    assert looped("a", "a").deployment_sha256 not in (own.deployment_sha256, crossed.deployment_sha256)


def _sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "little") + part for part in parts)).digest()


def test_the_bytes_are_those_of_the_documentation():
    """By hand, from docs/nir-profile.md: an image of two pixels, a weight matrix, a readout. So it is the same for
    every version of Python and numpy, and for weights that are held in fewer bits."""
    weight = np.array([[1, -2]])
    graph = graph_of([InputNode("input", (2,), "uint8", 0.5), affine("w", ["input"], weight), readout("out", ["w"], 1)])
    one, pixels = (
        struct.pack("<q", 0),
        _sha(_sha(b"InputNode", b"shape", b"[1", b"i2", b"dtype", b"suint8", b"scale", b"f" + struct.pack("<d", 0.5))),
    )
    synapse = _sha(
        b"Affine ", b"input_shape", b"[1", b"i2", b"output_shape", b"[1", b"i1",
        b"weight", b"<i8(1, 2)", struct.pack("<qq", 1, -2), b"bias", b"<i8(1,)", one,
    )  # fmt: skip
    weights = _sha(synapse, _sha(b"i0", pixels))
    end = _sha(b"Readout", b"shape", b"[1", b"i1", b"v_init", b"<i8(1,)", one, b"scale", b"f" + struct.pack("<d", 0.5))
    last = _sha(end, _sha(b"i0", weights))
    settings = [b"sdrain", b"i0", b"sformat", b"sgeneric24", b"sschedule", b"spipelined", b"stimesteps", b"i4"]
    pairs = [part for pair in zip(settings[::2], settings[1::2], strict=True) for part in (b"[2", *pair)]
    expected = _sha(b"sspikec deployment 1", *pairs, b"[3", *sorted([pixels, weights, last]), b"[1", last)
    assert graph.deployment_sha256 == expected.hex()
    narrow = {**graph.nodes, "w": replace(graph.nodes["w"], weight=weight.astype(np.int8))}
    assert replace(graph, nodes=narrow).deployment_sha256 == expected.hex()


def test_what_it_cannot_hold_is_named():
    class Odd(Kind):
        pass

    graph = one_layer(weight=[[1]], bias=[0], theta=[2])
    odd = _made(graph.nodes["dense"], "weight_exp", {1, 2})
    with pytest.raises(MissingImplementation, match="cannot hold a set"):
        _ = replace(graph, nodes={**graph.nodes, "dense": odd}).deployment_sha256


def test_methods_that_differ_in_initial_membranes_are_told_apart(digits_of_methods):
    identities, contents = zip(*digits_of_methods, strict=True)
    assert len(set(contents)) == 1, "the weights are those of one network"
    assert len(set(identities)) == len(identities)


@pytest.fixture
def digits_of_methods():
    graph = decode(build(small_network(np.random.default_rng(1))))
    found = []
    for shift in range(4):
        nodes = {
            n: replace(x, v_init=x.v_init + shift) if isinstance(x, Population) else x for n, x in graph.nodes.items()
        }
        made = decode(build(replace(graph, nodes=nodes)))
        found.append((made.deployment_sha256, made.content_sha256))
    return found


def test_a_file_of_version_0_1_0_is_read_and_its_hashes_hold():
    graph = tc.decode(tc.load(_FILES / "of_0_1_0.nir"))
    first_version = build(one_layer(weight=[[3, -2], [1, 4], [-3, 2]], bias=[2, 0, 5], theta=[7, 9, 11]))
    same = decode(first_version)
    first_version.metadata["spikec"]["schema"] = "spikec.nir/1"
    assert graph.deployment_sha256 == same.deployment_sha256
    assert graph.content_sha256 == content_sha256(first_version)
    assert graph.measured is not None
    assert graph.measured.of(graph)
    assert not graph.measured.of(replace(graph, timesteps=3))


def test_what_was_measured_is_of_one_deployment():
    graph = decode(build(small_network(np.random.default_rng(1))))
    hits = {stage: np.ones(1, bool) for stage in ("network", "spiking")}
    found = Measured("digits", (b"123456",), hits, graph.content_sha256, 4, {}, graph.deployment_sha256)
    assert Measured.read(found.text()).of(graph)
    layer = graph.populations[0]
    moved = replace(graph, nodes={**graph.nodes, layer.name: replace(layer, v_init=layer.v_init + 1)})
    assert not found.of(moved), "its weights are the same, and T"
