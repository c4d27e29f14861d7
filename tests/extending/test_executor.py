"""An executor from outside runs, is verified and brings its options to the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

import spikec as tc
from spikec.cli import main
from spikec.ir import IntegerGraph, as_integer
from spikec.simulation import Trace
from spikec.targets.base import TARGETS, target_names
from spikec.targets.options import Option, Options


@dataclass(frozen=True)
class FaultyProgram:
    """The general path of the golden model, whose readout is ``off`` by a number."""

    graph: IntegerGraph
    off: int

    def run(self, images: Any, *, record: str | None = None) -> Trace:
        trace = tc.simulate(self.graph, images, record=record, measure=True)
        outputs = {name: output + self.off for name, output in trace.outputs.items()}
        curves = {name: curve + self.off for name, curve in trace.output_curves.items()}
        return replace(trace, target="faulty", outputs=outputs, output_curves=curves)


class FaultyTarget:
    name: ClassVar[str] = "faulty"
    options: ClassVar[Options] = Options("options of a toy", (Option("off", "added to every output", least=0),))

    @classmethod
    def available(cls) -> str | None:
        return None

    def compile(self, graph: Any, *, off: int = 0) -> FaultyProgram:
        return FaultyProgram(as_integer(graph), off)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    TARGETS.register("faulty")(FaultyTarget)
    yield
    TARGETS.forget("faulty")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("net") / "net.nir"
    assert main(["export", "digits-cnn", "-T", "2", "-o", str(out)]) == 0
    return str(out)


def test_python_compiles_and_crosschecks(deployment):
    graph, images = tc.load(deployment), np.random.default_rng(0).random((6, 1, 8, 8)).astype(np.float32)
    assert "faulty" in target_names()
    assert tc.compare(tc.simulate(graph, images), tc.compile(graph, target="faulty").run(images)) is None
    same = tc.crosscheck(graph, "faulty", images)
    assert same.identical
    assert same.images == 6
    difference, compared = tc.crosscheck(graph, "faulty", images, options={"off": 3})
    assert difference.layer == "output"
    assert difference.second - difference.first == 3
    assert {"spikes", "counts", "output"} <= set(compared)


def test_the_command_line_runs_and_verifies(deployment, capsys):
    assert main(["verify", deployment, "--target", "faulty", "--limit", "5"]) == 0
    assert "5 images, 4 layers, 2 steps: identical" in capsys.readouterr().out
    assert main(["verify", deployment, "--target", "faulty", "--limit", "5", "--off", "1"]) == 3
    assert main(["run", deployment, "--target", "faulty", "--limit", "5", "--off", "1"]) == 0
    assert main(["run", deployment, "--target", "golden", "--limit", "5", "--off", "1"]) == 1
    assert "--off is an option of --target faulty, not of golden" in capsys.readouterr().err
    assert main(["run", "--help"]) == 0
    assert "added to every output" in capsys.readouterr().out
