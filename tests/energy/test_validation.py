"""The published comparisons: the table in the documentation is the one the model makes today."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def validation(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import energy_validation

    return energy_validation


def test_the_table_in_the_documentation_is_current(validation):
    from benchmarks.marked import marks

    text = (ROOT / "docs" / "energy.md").read_text(encoding="utf-8")
    begin, end = marks("validation")
    assert text.split(begin)[1].split(end)[0] == f"\n{validation.markdown(validation.validate())}\n"


def test_the_appendix_of_the_report_is_current(validation):
    stored = (ROOT / "toolchain" / "reporting" / "page" / "validation.json").read_text(encoding="utf-8")
    assert stored == validation.appendix(validation.validate())
    assert '"id": "V7"' in stored


def test_counts_agree_with_hardware_and_the_misses_are_shown(validation):
    cases = validation.validate()
    by_id = {case.id: case for case in cases}
    total = next(c for c in cases if c.quantity == "SynOps per step, non-zero weights")
    assert abs(total.error) < 0.01
    layers = [c for c in cases if c.quantity.startswith("SynOps per step of conv")]
    assert len(layers) == 4
    assert max(abs(c.error) for c in layers) < 0.05
    assert by_id["V7"].inside is False
    assert abs(by_id["V1"].error) < 0.05
    assert by_id["V8"].inside is True


def test_the_average_fan_out_of_lava_dl_is_reproduced(validation):
    average = next(c for c in validation.validate() if "average" in c.quantity)
    assert average.error == pytest.approx(0, abs=1e-5)
