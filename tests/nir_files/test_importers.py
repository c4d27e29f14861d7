"""What importers do: the table is sound, and entries apply where their properties do."""

import pytest
from helpers.nir_files import conv_net, convolution, dense, f32, lif_net, write
from nir_files.corpus import CASES

import spikec as tc
from spikec.nir.importers import table
from spikec.nir.traits import NAMES

pytestmark = pytest.mark.usefixtures("here")


def _said(path, importer):
    return [entry.says for entry in tc.nir.diagnose(path).importers if entry.importer.startswith(importer)]


def test_entries_are_graded_and_say_something():
    assert {entry.effect for entry in table()} == {"fails", "differs"}
    assert {entry.grade for entry in table()} <= {"run", "code", "issue"}
    assert all(entry.says and entry.when and not entry.nodes for entry in table())
    assert len(set(table())) == len(table())


def test_no_property_is_idle():
    assert set(NAMES) <= {one for entry in table() for one in entry.when}


def test_every_entry_applies_to_some_file(tmp_path):
    seen = set()
    for case in CASES:
        case.make(tmp_path / "file.nir")
        seen |= {(e.importer, e.says) for e in tc.nir.diagnose(tmp_path / "file.nir").importers}
        (tmp_path / "file.nir").unlink()
    pool = {"type": "SumPool2d", "kernel_size": [2, 2], "stride": [2, 2], "padding": [1, 1]}
    nodes, edges = conv_net(pool=pool)
    threshold = nodes["last"]["v_threshold"].copy()
    threshold[0] = 2
    more = {
        "w": dense(5, 64, seed=3),
        "c": convolution((2, 8, 8), f32(4, 2, 3, 3, seed=5)),
        "last": {**nodes["last"], "v_threshold": threshold},
    }
    edges = [*edges, ("flat", "w"), ("w", "last"), ("input", "c"), ("c", "fire")]
    write(tmp_path / "file.nir", {**nodes, **more}, edges, metadata={"a": 1})
    seen |= {(e.importer, e.says) for e in tc.nir.diagnose(tmp_path / "file.nir").importers}
    assert {(e.importer, e.says) for e in table()} == seen


def test_versions_decide(tmp_path):
    new, old = (write(tmp_path / f"{v}.nir", *conv_net(), version=v) for v in ("1.0.6", "1.0.5"))
    assert _said(new, "nir up to 1.0.5")
    assert not _said(old, "nir up to 1.0.5")
    assert not _said(write(tmp_path / "odd.nir", *conv_net(), version="x"), "nir up to 1.0.5")


def test_only_what_applies(tmp_path):
    path = write(tmp_path / "lif.nir", *lif_net())
    assert not _said(path, "Rockpool")
    assert any("random" in said for said in _said(path, "nirtorch 2.6"))
    assert any("one step of latency" in said for said in _said(write(tmp_path / "if.nir", *conv_net()), "Spyx"))
