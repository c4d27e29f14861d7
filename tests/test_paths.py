"""What is no path, wherever one is asked for: one sentence that says what the path is of."""

import io
import os
import pathlib
import re

import numpy as np
import pytest
from torch import nn

import spikec as tc
from spikec.arguments import file_path
from spikec.deployment.weights_file import weights_file
from spikec.energy import load_profile
from spikec.errors import ToolchainError
from spikec.models import load_weights, save_weights
from spikec.models.data import open_dataset, open_sequences
from spikec.models.recipes import load_recipe
from spikec.reporting.compare import read_report
from spikec.sweeping.store import Store
from spikec.targets import netx
from spikec.training.checks import output_file

NO_PATHS = [
    b"",
    b"a.nir",
    0,
    1.5,
    [],
    {},
    object(),
    io.BytesIO(b"x"),
    np.array("a.nir"),
    bytearray(b"a"),
    "\0",
    "\ud800",
    "a\0b",
    "x" * 300,
    "x" * 5000,
    "y" * 300 + "/x",
]


class Named:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


class Own(type(pathlib.Path())):
    pass


def _calls(graph):
    network = nn.Linear(2, 2)
    return [
        tc.load,
        lambda path: tc.save(graph, path),
        tc.nir.diagnose,
        lambda path: netx.write(graph, path),
        lambda path: load_weights(network, path),
        lambda path: save_weights(network, path, {}),
        load_recipe,
        load_profile,
        read_report,
        Store,
        lambda path: open_dataset("digits", path),
        lambda path: open_sequences("npz:a.npz", path),
        lambda path: open_dataset(path),
        lambda path: output_file("the log", path),
        lambda path: tc.nir.repair(path, "o.nir"),
        weights_file,
    ]


@pytest.mark.parametrize("value", NO_PATHS, ids=lambda value: repr(value)[:20])
def test_what_is_no_path_is_one_sentence(one_layer, tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    graph = tc.ir.build(one_layer(weight=[[1]], bias=[0], theta=2))
    for call in _calls(graph):
        with pytest.raises(ToolchainError) as raised:
            call(value)
        assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_paths_of_any_type_are_taken():
    for value in ("a/b", pathlib.PurePath("a/b"), Own("a/b"), Named("a/b"), Named(np.str_("a/b"))):
        assert file_path(value, "a file") == pathlib.Path("a/b")
    with pytest.raises(TypeError, match=r"a file is named by its path, .* not by Named"):
        file_path(Named(b"a/b"), "a file")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("x" * 5000, "the data root cannot be x{77}...: the name is too long for this system; give a shorter one"),
        ("a\0b", "the data root cannot be 'a.x00b': a path holds no zero bytes; leave them out"),
        ("\ud800", "the data root cannot be '.ud800': it holds half of a character, which no file name does"),
    ],
)
def test_text_that_no_file_can_be_called_is_said_to_be_so(path, why):
    with pytest.raises(ToolchainError, match=why):
        open_dataset("digits", path)


def test_weights_that_cannot_be_written_are_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    for name, why in (("none/w", "No such file"), ("file/w", "Not a directory"), ("loop", "Too many levels")):
        with pytest.raises(ToolchainError, match=f"cannot write .*{name}: {why}.*; choose another path"):
            save_weights(nn.Linear(2, 2), tmp_path / name, {})


def test_no_place_asks_for_a_file_in_a_way_that_raises():
    """``Path.exists`` and its like raise ``OSError`` for names that are too long, and for folders that may not be
    searched; ``os.path.exists`` and its like answer."""
    asked = re.compile(r"(?<!os\.path)\.(exists|is_dir|is_file|is_symlink|is_mount|is_fifo)\(\)")
    root = pathlib.Path(tc.__file__).parent
    files = [pathlib.Path(place) / name for place, _, names in os.walk(root, followlinks=True) for name in names]
    sources = [file for file in files if file.suffix == ".py"]
    assert len(sources) > 500
    assert [f"{file}: {found[0]}" for file in sources for found in asked.finditer(file.read_text())] == []
