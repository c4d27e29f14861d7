"""A small integer graph for the 8x8 digits, made by hand, and the command line called as a function."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from toolchain.cli import main
from toolchain.ir import (
    Affine,
    Convolution,
    Flatten,
    InputNode,
    IntegerGraph,
    Population,
    Readout,
    SumPool,
    build,
    save,
)


def _digits_graph(timesteps=3, seed=0):
    rng = np.random.default_rng(seed)
    conv = Convolution(
        "conv",
        ("input",),
        (1, 8, 8),
        (3, 8, 8),
        rng.integers(-128, 128, (3, 1, 3, 3)),
        rng.integers(-500, 500, 3),
        (1, 1),
        (1, 1),
        (1, 1),
    )
    theta = np.full((3, 8, 8), 9000)
    fire = Population("fire", ("conv",), (3, 8, 8), "if", theta, theta // 2)
    pool = SumPool("pool", ("fire",), (3, 8, 8), (3, 4, 4), (2, 2), (2, 2))
    flat = Flatten("flat", ("pool",), (3, 4, 4), (48,))
    head = Affine("head", ("flat",), (48,), (10,), rng.integers(-128, 128, (10, 48)), np.zeros(10, np.int64))
    nodes = [
        InputNode("input", (1, 8, 8), "uint8", 1 / 255),
        conv,
        fire,
        pool,
        flat,
        head,
        Readout("readout", ("head",), (10,), np.zeros(10, np.int64), 0.01),
    ]
    return IntegerGraph({node.name: node for node in nodes}, timesteps, "pipelined")


@pytest.fixture(scope="session")
def digits_graph():
    """``digits_graph(timesteps=3, seed=0) -> IntegerGraph``."""
    return _digits_graph


@pytest.fixture(scope="session")
def net(tmp_path_factory):
    """A NIR file of :func:`digits_graph`."""
    return save(build(_digits_graph()), tmp_path_factory.mktemp("net") / "net.nir")


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
