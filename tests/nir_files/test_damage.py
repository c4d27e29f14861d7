"""Damaged and mutated files: a diagnosis in every case, no traceback, no hang."""

import time

import h5py
import numpy as np
import pytest
from helpers.drawn import drawn
from helpers.nir_files import attempt, conv_net, lif_net, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spikec as tc
from spikec.errors import GraphError
from spikec.ir.profile.reading import read_nir

FAST = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    return [write(folder / f"{name}.nir", *net) for name, net in (("conv", conv_net()), ("lif", lif_net()))]


def _diagnosed(path, seconds=5):
    before = time.monotonic()
    found = tc.nir.diagnose(path, seconds=seconds)
    assert time.monotonic() - before < 15 * seconds  # by the clock, ten times the seconds of work
    assert str(found)
    return found


# --- bytes: in a process of its own, since the HDF5 library crashes and hangs on some of these -----------------------


@settings(FAST, max_examples=drawn(20))
@given(
    flips=st.lists(st.tuples(st.integers(0, 2**30), st.integers(0, 255)), min_size=1, max_size=20), lif=st.booleans()
)
def test_changed_bytes(sound, tmp_path, flips, lif):
    content = bytearray(sound[lif].read_bytes())
    for place, byte in flips:
        content[place % len(content)] = byte
    path = tmp_path / "flipped.nir"
    path.write_bytes(content)
    _diagnosed(path)


@settings(FAST, max_examples=drawn(8))
@given(share=st.floats(0, 0.99))
def test_cut_off(sound, tmp_path, share):
    content = sound[0].read_bytes()
    path = tmp_path / "cut.nir"
    path.write_bytes(content[: int(share * len(content))])
    assert [finding.rule for finding in _diagnosed(path).findings] == ["damaged"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; child.tree_of = lambda *_, **__: os.abort()", "crashes"),
        ("def endless(*_, **__):\n    while True: pass\nchild.tree_of = endless", "does not end"),
        ("def full(*_, **__): raise MemoryError\nchild.tree_of = full", "fails"),
    ],
)
def test_a_reader_that_dies_is_a_finding(sound, reader_code, code, said):
    reader_code(code)
    (finding,) = tc.nir.diagnose(sound[0], seconds=1).findings
    assert finding.rule == "damaged"
    assert said in finding.message
    with pytest.raises(GraphError, match=rf"^{sound[0]} cannot be read: the HDF5 library {said}.*; get it again$"):
        read_nir(sound[0], seconds=1)


def test_a_reader_that_does_not_start_is_told(sound, reader_code):
    reader_code("raise SystemExit(3)")
    with pytest.raises(GraphError, match=r"^cannot read \S+: the process that reads files does not start: "):
        tc.nir.diagnose(sound[0])


def test_nir_that_dies_leaves_the_findings(sound, reader_code):
    """The tree is sent before nir is asked."""
    reader_code("import os; child.verdict = lambda content: content and os.abort()")
    found = tc.nir.diagnose(sound[1])
    assert "crashes" in found.nir_says
    assert [finding.rule for finding in found.errors] == ["nir_read"]


def test_an_unreadable_part_is_named(tmp_path):
    """A checksum that does not hold: one dataset cannot be read, the rest can."""

    def change(file):
        weight = file["node/nodes/fc/weight"][()]
        del file["node/nodes/fc/weight"]
        made = file["node/nodes/fc"].create_dataset("weight", data=weight, chunks=weight.shape, fletcher32=True)
        change.place = made.id.get_chunk_info(0).byte_offset

    path = write(tmp_path / "file.nir", *lif_net(), change=change)
    content = bytearray(path.read_bytes())
    content[change.place] ^= 255
    path.write_bytes(content)
    found = tc.nir.diagnose(path)
    assert {"unreadable_object", "missing_field"} <= {finding.rule for finding in found.errors}
    assert "fc/weight" in str(found)
    with pytest.raises(GraphError, match="not read whole"):
        tc.nir.repair(path, tmp_path / "out.nir")


def test_no_file_is_the_only_error(tmp_path):
    for path in (tmp_path / "absent.nir", tmp_path, "/dev/zero"):
        with pytest.raises(GraphError):
            tc.nir.diagnose(path)


# --- structure: sound HDF5 with anything in it, so that this process may read it -----------------------------------

ODD = [
    3,
    -1,
    np.nan,
    2**62,
    "same",
    "",
    b"\xff\xfe",
    np.zeros(0),
    np.zeros((2, 0, 3)),
    np.zeros((1,) * 9),
    np.arange(64).reshape(4, 4, 4),
    np.full((5, 5), np.inf),
    np.array([0, 0]),
    np.array([-1, 2**40]),
    np.array(["a", "b"], dtype=object),
    np.zeros(3, [("a", "f4")]),
    np.array([1 + 2j]),
    np.ones(5, bool),
    h5py.Empty("f4"),
    h5py.SoftLink("/node"),
    h5py.ExternalLink("absent.h5", "/x"),
]
PLACES = [
    "node",
    "version",
    "node/type",
    "node/edges",
    "node/nodes",
    "node/metadata",
    *(f"node/nodes/{name}" for name in (*conv_net()[0], *lif_net()[0], "new", "a/b")),
    *(
        f"node/nodes/{name}/{key}"
        for name, node in conv_net()[0].items()
        for key in (*node, "nodes", "edges", "metadata")
    ),
    *(f"node/nodes/{name}/{key}" for name, node in lif_net()[0].items() for key in (*node, "metadata/dt")),
]
KINDS = [
    "Input",
    "Output",
    "Affine",
    "Linear",
    "Scale",
    "Conv1d",
    "Conv2d",
    "SumPool2d",
    "AvgPool2d",
    "Flatten",
    "Delay",
]
KINDS += ["Threshold", "I", "IF", "LI", "LIF", "CubaLI", "CubaLIF", "NIRGraph", "Nothing"]
STEPS = st.one_of(
    st.tuples(st.just("delete"), st.sampled_from(PLACES), st.none()),
    st.tuples(st.just("put"), st.sampled_from(PLACES), st.integers(0, len(ODD) - 1)),
    st.tuples(st.just("copy"), st.sampled_from(PLACES), st.sampled_from(PLACES)),
    st.tuples(st.just("link"), st.sampled_from(PLACES), st.sampled_from(PLACES)),
    st.tuples(st.just("kind"), st.sampled_from([p for p in PLACES if p.endswith("/type")]), st.sampled_from(KINDS)),
    st.tuples(st.just("edge"), st.text(max_size=3), st.sampled_from(["conv", "fc", "lif", "output", "x"])),
)


def _mutate(file, step):
    what, place, other = step
    try:
        if what == "edge":
            old = [tuple(pair) for pair in file["node/edges"][()]]
            del file["node/edges"]
            edges = np.array([*old, (other, place.encode()), (place.encode(), other)], dtype=object)
            file["node"].create_dataset("edges", data=edges, dtype=h5py.string_dtype())
            return
        if what in ("copy", "link"):
            held = file[other]
            if what == "copy" and len(str(place)) > 200:
                return
        if place in file:
            del file[place]
        if what == "put":
            file[place] = ODD[other]
        elif what == "kind":
            file[place] = other
        elif what == "copy":
            file.copy(held, place)
        elif what == "link":
            file[place] = held
    except (KeyError, ValueError, TypeError, OSError, RuntimeError, AttributeError):
        pass  # what cannot be done is left


@settings(FAST, max_examples=drawn(30))
@given(steps=st.lists(STEPS, min_size=1, max_size=5), lif=st.booleans())
def test_mutated_structure(here, tmp_path, steps, lif):
    path = write(tmp_path / "mutated.nir", *(lif_net() if lif else conv_net()))
    with h5py.File(path, "r+") as file:
        for step in steps:
            _mutate(file, step)
    found = tc.nir.diagnose(path)
    assert str(found)
    if found.reads is False:
        assert found.errors
    out, again = tmp_path / "out.nir", tmp_path / "again.nir"
    out.unlink(missing_ok=True)
    done, refused = attempt(tc.nir.repair, path, out)
    if refused:
        assert "cannot be repaired" in refused
        return
    assert not [finding for finding in done.after.findings if finding.mendable]
    assert done.after.reads or done.left
    assert tc.nir.repair(out, again).changes == ()
    same, refused = attempt(tc.nir.compare, out, again)
    nested = any(finding.rule == "nested_graph" for finding in done.after.findings)
    assert same.same if not refused else done.left or nested
