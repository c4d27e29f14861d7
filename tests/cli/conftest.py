"""A small integer graph for the 8x8 digits, made by hand, and the command line called as a function."""

import json
from types import SimpleNamespace

import pytest
from helpers.networks import digits_network

from spikec.cli import main
from spikec.ir import build, save


@pytest.fixture(scope="session")
def digits_graph():
    """``digits_graph(timesteps=3, seed=0) -> IntegerGraph``."""
    return digits_network


@pytest.fixture(scope="session")
def net(tmp_path_factory):
    """A NIR file of :func:`digits_graph`."""
    return save(build(digits_network()), tmp_path_factory.mktemp("net") / "net.nir")


@pytest.fixture
def spikec(capsys, tmp_path, monkeypatch):
    """``spikec("run", "net.nir", ...) -> code, out, err, and json for --json``, in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        document = json.loads(out) if "--json" in words and out else None
        return SimpleNamespace(code=code, out=out, err=err, json=document)

    return call
