"""Every file of the corpus: what the doctor finds, and what a repair makes of it."""

import warnings

import h5py
import nir
import numpy as np
import pytest
from helpers.nir_files import attempt, lif_net, read, write
from helpers.nir_float import execute
from nir_files.corpus import CASES

import spikec as tc
from spikec.errors import GraphError
from spikec.nir.findings import RULES

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return request.param


@pytest.fixture
def path(case, tmp_path):
    case.make(tmp_path / "file.nir")
    return tmp_path / "file.nir"


def _reads(path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nir.read(str(path))
    except Exception:
        return False
    return True


def test_expected_findings(case, path):
    found = tc.nir.diagnose(path)
    assert {finding.rule for finding in found.errors} == case.errors
    assert case.others <= {finding.rule for finding in found.findings} - case.errors
    assert str(found)


def test_says_whether_nir_reads_it(case, path):
    found = tc.nir.diagnose(path)
    if found.reads is not None:
        assert found.reads == _reads(path)
    if not _reads(path):
        assert found.errors or found.reads is None


def test_repair_keeps_the_meaning_and_is_done_in_one_go(case, path, tmp_path):
    before = tc.nir.diagnose(path)
    content = path.read_bytes()
    out = tmp_path / "out.nir"
    done, refused = attempt(tc.nir.repair, path, out)
    assert path.read_bytes() == content
    if refused:
        assert "cannot be repaired" in refused
        assert not out.exists()
        assert case.means is None
        return
    assert not any(finding.mendable for finding in done.after.findings)
    assert bool(done.after.reads) == _reads(out)
    assert done.after.reads or done.left
    lasting = {finding.rule for finding in before.findings if not finding.mendable and finding.severity == "error"}
    assert {finding.rule for finding in done.left} <= lasting
    again = tc.nir.repair(out, tmp_path / "again.nir")
    assert again.changes == ()
    assert tc.nir.repair(out, tmp_path / "again.nir").changes == ()
    if case.means is not None:
        assert done.left == ()
        nir.read(str(out))
        _same_outputs(case.means, read(out))


def _same_outputs(wanted, found):
    nodes = wanted[0]
    shape = next(node["shape"] for node in nodes.values() if node["type"] == "Input")
    inputs = np.random.default_rng(3).uniform(-1, 2, (6, *np.asarray(shape).tolist()))
    expected, output = execute(*wanted, inputs), execute(*found, inputs)
    assert np.ptp(expected) > 0
    assert expected.shape == output.shape
    assert np.allclose(expected, output, rtol=0, atol=1e-9)


def test_every_rule_has_a_case():
    wanted = set().union(*(case.errors | case.others for case in CASES))
    beyond = {"unreadable_object"}  # needs a damaged file: test_damage.py
    assert RULES.keys() - wanted == beyond


def test_what_a_copy_would_lose_is_named(tmp_path):
    """Metadata of a graph inside go with it, which is said; a link to nothing stops the repair."""
    case = next(case for case in CASES if case.name == "graph inside")
    case.make(tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        file["node/nodes/block/metadata/note"] = "kept?"
    assert any(
        "metadata of the graph" in change for change in tc.nir.repair(tmp_path / "a.nir", tmp_path / "b.nir").changes
    )
    case = next(case for case in CASES if case.name == "link to nothing")
    case.make(tmp_path / "c.nir")
    with pytest.raises(GraphError, match="a link to nothing"):
        tc.nir.repair(tmp_path / "c.nir", tmp_path / "d.nir")


def test_no_control_characters_reach_the_terminal(tmp_path):
    nodes, edges = lif_net()
    path = write(tmp_path / "a.nir", {**nodes, "x\x1b[31m": {"type": "\x1b[2J"}}, edges, version="\x1b]0;x")
    assert "\x1b" not in str(tc.nir.diagnose(path))


def test_severities(tmp_path):
    """Of a file that nir reads: what frameworks do differently or must be told is a warning, the rest is a note."""
    found = tc.nir.diagnose(write(tmp_path / "a.nir", *lif_net(), version=None)).findings
    assert {finding.severity for finding in found if finding.rule in ("reset", "dt_unknown")} == {"warning"}
    assert {finding.severity for finding in found if finding.rule in ("version", "not_in_nir")} == {"note"}


@pytest.mark.parametrize("name", ["deployment", "edited deployment", "portable form"])
def test_a_deployment_is_exported_again_instead(name, tmp_path):
    next(case for case in CASES if case.name == name).make(tmp_path / "a.nir")
    with pytest.raises(GraphError, match=r"cannot be repaired: .*deployment.*; export it again$"):
        tc.nir.repair(tmp_path / "a.nir", tmp_path / "b.nir")
    assert not (tmp_path / "b.nir").exists()


def test_what_lies_outside_of_the_graph_is_left_out_and_named(tmp_path):
    path = write(tmp_path / "a.nir", *lif_net(), change=lambda file: file.create_group("weights"))
    assert "left out what lies outside of /node: weights" in tc.nir.repair(path, tmp_path / "b.nir").changes
    with h5py.File(tmp_path / "b.nir") as file:
        assert set(file) == {"node", "version"}
        assert file["version"][()].decode() == nir.version


def test_a_copy_that_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    def full(path, data):
        path.touch()
        raise OSError(28, "No space left on device")

    path, out = write(tmp_path / "a.nir", *lif_net()), tmp_path / "b.nir"
    out.write_bytes(b"before")
    real = type(out).write_bytes
    beside = lambda at: at.parent == tmp_path  # noqa: E731
    monkeypatch.setattr(type(out), "write_bytes", lambda at, data: (full if beside(at) else real)(at, data))
    with pytest.raises(GraphError, match="No space left"):
        tc.nir.repair(path, out)
    assert out.read_bytes() == b"before"
    assert {each.name for each in tmp_path.iterdir()} == {"a.nir", "b.nir"}
