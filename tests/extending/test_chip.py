"""A chip from outside checks, places and stands in reports; nothing in the product names it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest

import spikec as tc
from spikec.analysis.violations import Violation
from spikec.cli import main
from spikec.ir import as_integer
from spikec.targets.chips import CHIPS, Limit, chip_names, get_chip


class Thimble:
    """Loihi 2's numbers, ten neurons in all."""

    name, title, profile = "thimble", "Thimble", "cmos45"

    def __init__(self) -> None:
        self.form = get_chip("loihi2").form
        self.limits: Mapping[str, Limit] = {"neurons": Limit("neurons", 10, "neurons", "assumed", "a test")}

    def check(self, graph, *, placement=None) -> list[Violation]:
        neurons = sum(int(np.prod(layer.shape)) for layer in as_integer(graph).layers)
        limit = self.limits["neurons"]
        return [Violation("neurons", "", neurons, limit.value, "error", "fewer")] if neurons > limit.value else []

    def place(self, graph, *, shared=True):
        return replace(get_chip("loihi2").place(graph, shared=shared), target=self.name)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    CHIPS.register("thimble")(Thimble)
    yield
    CHIPS.forget("thimble")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("net") / "net.nir"
    assert main(["export", "digits-cnn", "-T", "2", "-o", str(out)]) == 0
    return str(out)


def test_python_checks_and_places(deployment):
    graph = tc.load(deployment)
    assert "thimble" in chip_names()
    (violation,) = tc.check(graph, target="thimble")
    assert violation.limit == 10
    assert tc.place(graph, target="thimble").target == "thimble"


def test_the_command_line_checks_maps_and_reports(deployment, tmp_path, capsys):
    assert main(["check", deployment, "--target", "thimble"]) == 2
    assert "fewer" in capsys.readouterr().out
    assert main(["map", deployment, "--target", "thimble", "--svg", str(tmp_path / "map.svg")]) == 0
    assert main(["report", deployment, "--limit", "5", "-o", str(tmp_path / "report.html")]) == 0
    assert "Thimble" in (tmp_path / "report.html").read_text(encoding="utf-8")
