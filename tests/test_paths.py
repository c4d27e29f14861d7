"""What is no path, wherever one is asked for: one sentence that says what the path is of."""

import io
import pathlib

import numpy as np
import pytest
from torch import nn

import spikec as tc
from spikec.arguments import file_path
from spikec.energy import load_profile
from spikec.errors import ToolchainError
from spikec.models import load_weights, save_weights
from spikec.models.data import open_dataset
from spikec.models.recipes import load_recipe
from spikec.reporting.compare import read_report
from spikec.sweeping.store import Store
from spikec.targets import netx

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


def test_names_that_are_too_long_are_one_sentence():
    with pytest.raises(ToolchainError, match="cannot read"):
        load_weights(nn.Linear(2, 2), "x" * 5000)
