"""``tc.nir.compare``: renamed and reordered graphs are the same, one changed number or edge is found."""

import itertools
from functools import partial

import numpy as np
import pytest
from helpers.drawn import drawn
from helpers.nir_files import chain, conv_net, convolution, dense, ends, f32, full, lif_net, neurons, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.errors import GraphError
from spikec.nir.matching import Labelled, Undecided, match

FAST = settings(deadline=None, max_examples=drawn(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
pytestmark = pytest.mark.usefixtures("here")


def _random(seed):
    """A graph of layers with skips and recurrence; layers repeat, so that kinds and shapes alone do not tell."""
    rng = np.random.default_rng(seed)
    first, last = ends((4,), (4,))
    nodes, edges, names = {"input": first}, [], ["input"]
    for i in range(int(rng.integers(2, 9))):
        seed = int(rng.integers(3))  # few, so that some nodes are equal
        nodes[f"w{i}"] = {"type": "Linear", "weight": f32(4, 4, seed=seed)}
        nodes[f"n{i}"] = neurons("LIF", 4, tau=full(4, 2 + seed))
        edges += [(str(rng.choice(names)), f"w{i}"), (f"w{i}", f"n{i}")]
        names.append(f"n{i}")
    for _ in range(3):
        edges.append((str(rng.choice(names[1:])), f"n{int(rng.integers(len(names) - 1))}"))
    edges += [(name, "output") for name in names[1:] if not any(a == name for a, _ in edges)]
    return {**nodes, "output": last}, list(dict.fromkeys(edges))


def _shuffled(nodes, edges, seed):
    rng = np.random.default_rng(seed)
    new = dict(zip(nodes, (f"x{i}" for i in rng.permutation(len(nodes))), strict=True))
    order = rng.permutation(sorted(nodes, key=lambda name: new[name]))
    again = {new[str(name)]: nodes[str(name)] for name in order}
    return again, [(new[edges[i][0]], new[edges[i][1]]) for i in rng.permutation(len(edges))], new


def _compare(tmp_path, a, b, **options):
    return tc.nir.compare(write(tmp_path / "a.nir", *a), write(tmp_path / "b.nir", *b), **options)


@FAST
@given(seed=st.integers(0, 10**6))
def test_names_and_order_do_not_matter(tmp_path, seed):
    a = _random(seed)
    *b, _ = _shuffled(*a, seed + 1)
    found = _compare(tmp_path, a, b)
    assert found.same
    assert sorted(found.names) == sorted(a[0])
    mapped = sorted((found.names[x], found.names[y]) for x, y in a[1])
    assert mapped == sorted(b[1])  # the map is one, whichever it is
    for x, y in found.names.items():
        assert all(np.array_equal(a[0][x][key], b[0][y][key]) for key in a[0][x])


@FAST
@given(seed=st.integers(0, 10**6), change=st.sampled_from([1e-6, 0.5]))
def test_one_number_is_found(tmp_path, seed, change):
    a = _random(seed)
    nodes, edges, new = _shuffled(*a, seed + 1)
    place = str(np.random.default_rng(seed).choice([name for name in a[0] if name[0] == "w"]))
    weight = a[0][place]["weight"].astype(np.float64)
    weight[1, 2] += change
    nodes[new[place]] = {"type": "Linear", "weight": weight}
    found = _compare(tmp_path, a, (nodes, edges))
    assert not found.same
    assert any("weight" in one for one in found.differences)
    assert _compare(tmp_path, a, (nodes, edges), tolerance=2 * change).same
    assert not _compare(tmp_path, a, (nodes, edges), tolerance=change / 2).same


@FAST
@given(seed=st.integers(0, 10**6))
def test_one_edge_is_found(tmp_path, seed):
    a = _random(seed)
    nodes, edges, _ = _shuffled(*a, seed + 1)
    assert not _compare(tmp_path, a, (nodes, edges[1:])).same


def test_the_largest_difference_is_told(tmp_path):
    nodes, edges = lif_net()
    weight = nodes["fc"]["weight"].copy()
    weight[2, 3] += 4
    weight[0, 0] += 1
    found = _compare(tmp_path, (nodes, edges), ({**nodes, "fc": {**nodes["fc"], "weight": weight}}, edges))
    (told,) = found.differences
    assert "fc = fc: weight differs in 2 of 30 numbers, most at (2, 3)" in told


def test_a_node_without_partner_is_told(tmp_path):
    nodes, edges = lif_net()
    found = _compare(tmp_path, (nodes, edges), ({**nodes, "lif": neurons("CubaLIF", 5)}, edges))
    assert any("lif of a: LIF" in one for one in found.differences)
    assert any("lif of b: CubaLIF" in one for one in found.differences)


def test_edges_of_like_nodes_are_told(tmp_path):
    nodes, edges = lif_net()
    other = [pair for pair in edges if pair != ("rec", "lif")] + [("rec", "rec")]
    found = _compare(tmp_path, (nodes, edges), (nodes, other))
    assert "only a has the edge rec -> lif" in found.differences
    assert "only b has the edge rec -> rec" in found.differences


def test_ways_to_write_the_same(tmp_path):
    """Defaults, one number per axis, other types of number, graphs inside graphs."""
    nodes, edges = lif_net()
    old = {
        **nodes,
        "lif": {**nodes["lif"], "v_reset": None},
        "fc": {**nodes["fc"], "bias": nodes["fc"]["bias"].astype("f8")},
    }
    assert _compare(tmp_path, (nodes, edges), (old, edges)).same
    nodes, edges = conv_net()
    conv = {**nodes["conv"], "stride": 1, "padding": np.array([1])}
    assert _compare(tmp_path, (nodes, edges), ({**nodes, "conv": conv}, edges)).same
    valid = [convolution((2, 8, 8), f32(4, 2, 3, 3), padding=p) for p in ("valid", (0, 0), "same")]
    nets = [chain(("input", ends((2, 8, 8), ())[0]), ("c", c), ("output", ends((), (4, 6, 6))[1])) for c in valid]
    assert _compare(tmp_path, nets[0], nets[1]).same
    assert not _compare(tmp_path, nets[0], nets[2]).same
    first, last = ends((6,), (5,))
    flat = chain(("input", first), ("fc", dense(5, 6)), ("output", last))
    inside = {"type": "NIRGraph", **dict(zip(("nodes", "edges"), flat, strict=True))}
    nested = chain(("input", first), ("block", inside), ("output", last))
    assert _compare(tmp_path, flat, nested).names["fc"] == "block.fc"


def test_metadata_are_not_compared(tmp_path):
    a, b = (write(tmp_path / f"{n}.nir", *lif_net(), metadata={"note": n}) for n in "ab")
    assert tc.nir.compare(a, b).same


def test_files_that_were_not_read_whole_are_refused(tmp_path):
    path = write(tmp_path / "a.nir", *lif_net())
    bad = write(tmp_path / "b.nir", *lif_net(), change=lambda file: file["node"].pop("edges"))
    with pytest.raises(GraphError, match=r"b\.nir cannot be compared"):
        tc.nir.compare(path, bad)
    nodes, edges = lif_net()
    with pytest.raises(GraphError, match="no node haed"):
        tc.nir.compare(path, write(tmp_path / "c.nir", nodes, [*edges, ("lif", "haed")]))
    with pytest.raises(GraphError, match="tolerance"):
        tc.nir.compare(path, path, tolerance=-1)


def _plain(edges):
    names = {end for pair in edges for end in pair}
    return Labelled(dict.fromkeys(sorted(names), 0), edges)


def test_regular_graphs_that_colours_cannot_tell():
    """Six nodes in one ring or in two, all of one colour: only the search can tell."""
    ring = [(str(i), str((i + 1) % 6)) for i in range(6)]
    two = [(str(i), str(i // 3 * 3 + (i + 1) % 3)) for i in range(6)]
    assert match(_plain(ring), _plain(two)) is None
    turned = [(str((i * 5) % 6), str(((i + 1) * 5) % 6)) for i in range(6)]
    assert match(_plain(ring), _plain(turned)) is not None


def test_the_search_ends():
    """Two strongly regular graphs with the same parameters (Shrikhande and rook's graph) and few tries."""
    rook = [((a, b), (c, d)) for a, b, c, d in itertools.product(range(4), repeat=4) if (a == c) != (b == d)]
    steps = [(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)]
    shrikhande = [
        ((a, b), ((a + x) % 4, (b + y) % 4)) for a, b in itertools.product(range(4), repeat=2) for x, y in steps
    ]
    a, b = (_plain([(str(x), str(y)) for x, y in edges]) for edges in (rook, shrikhande))
    with pytest.raises(Undecided):
        match(a, b, tries=20)
    assert match(a, b) is None
    assert match(a, a) is not None


def test_a_search_without_an_answer_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("spikec.nir.comparing.match", partial(match, tries=3))
    with pytest.raises(GraphError, match="too regular to be compared"):
        _compare(tmp_path, lif_net(), lif_net())


def test_thousands_of_nodes():
    """A long chain of equal nodes: neither recursion nor a search."""
    chained = [(str(i), str(i + 1)) for i in range(3000)]
    assert match(_plain(chained), _plain(chained)) is not None
