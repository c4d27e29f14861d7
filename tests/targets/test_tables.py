"""The benchmarks that write tables, on a small network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spikec.simulation import simulate
from spikec.targets.chips import place

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_rows_of_the_placement_table(network):
    from benchmarks.placement import row

    cells = row("small", network(), "loihi1").split("|")
    placement = place(network(), "loihi1")
    assert [cell.strip() for cell in cells[1:5]] == [
        "`small`", "loihi1", str(len(placement.cores)), str(placement.lower_bound)
    ]  # fmt: skip
    assert "does not fit" in row("large", network(channels=1, size=160), "loihi1")


def test_rows_of_the_models_table(network):
    from benchmarks.models_table import Measured, rows

    net = network()
    trace = simulate(net, np.ones((3, *net.input.shape)), threads=1)
    lines = rows("small", Measured(net, "50 %", trace), net)
    assert ["loihi1" in lines[0], "loihi2" in lines[1]] == [True, True]
    dense = 8 * 8 * ((3 * 16 - 2) ** 2 + (3 * 8 - 2) ** 2) + 10 * 8 * 64
    assert all(f"50 % | 4, QCFS | {dense:,} |" in line and "lower bound" in line for line in lines)
    assert all(len(line.split("|")) == 11 for line in [*lines, *rows("bare", None, net)])


def test_generated_parts_are_replaced_between_their_marks(tmp_path):
    from benchmarks.marked import marks, write

    begin, end = marks("part")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    write(page, "part", "new")
    assert page.read_text() == f"before\n{begin}\nnew\n{end}\nafter\n"
